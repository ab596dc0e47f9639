"""Notes and tags of marked images, kept in the workspace as the CSV that `--tags` reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.text import Text
from textual import on
from textual.widgets import Input

from medvlm_tui.core.atomic_files import write_atomic
from medvlm_tui.core.tags import COLUMNS, read_tags
from medvlm_tui.tui.shared.ask_line import AskLine

FILE = "tags.csv"


def known_tags(workspace: Path, given: str) -> dict[str, dict[str, str]]:
    """Return tag -> image -> value: those of the option `--tags`, and over them those kept in the workspace."""
    tags: dict[str, dict[str, str]] = {}
    for file in dict.fromkeys((Path(given) if given else workspace / FILE, workspace / FILE)):
        if file.is_file():
            for tag, values in read_tags(file).items():
                tags.setdefault(tag, {}).update(values)
    return tags


def keep_tag(
    workspace: Path, tags: Mapping[str, Mapping[str, str]], tag: str, value: str, images: Iterable[str]
) -> Path:
    """Write `tags` with one more value for these images to the workspace; an empty value takes the tag away."""
    merged = {name: dict(values) for name, values in tags.items()}
    for image in images:
        if value:
            merged.setdefault(tag, {})[image] = value
        else:
            merged.get(tag, {}).pop(image, None)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((image, name, one) for name, values in merged.items() for image, one in values.items())
    path = workspace / FILE
    write_atomic(path, text.getvalue().encode("utf-8"))
    return path


class TagScreen(AskLine[tuple[str, str]]):
    """Asks for TAG=VALUE; answers (tag, value), the value empty to take the tag away."""

    def __init__(self, images: int, tags: Iterable[str]) -> None:
        known = ", ".join(tags)
        text = Text(f"A tag and its value for {images} marked image{'s' if images != 1 else ''}, e.g. note=blurred.")
        if known:
            text.append(f"\nTags so far: {known}")
        super().__init__("Tag", text, "enter keep   TAG= takes it away   esc close", placeholder="TAG=VALUE")

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        tag, equals, value = (part.strip() for part in event.value.partition("="))
        if not (tag and equals):
            self.say("type TAG=VALUE")
            return
        self.dismiss((tag, value))
