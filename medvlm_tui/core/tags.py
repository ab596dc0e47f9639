"""Tags: further groupings of a dataset's images beside its classes (plane, annotation, overlay word, ...).

They come from a reader (`Sample.tags`) or from a CSV file with the columns path, tag, value. Every column of it is
outside text: names and values are compared and shown, and never interpreted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset
from medvlm_tui.errors import UsageError

COLUMNS = ("path", "tag", "value")
Tags = Mapping[str, Mapping[str, str]]
"""Tag -> sample id -> value."""
_HINT = "a CSV with the columns path,tag,value; path as the dataset names its images, e.g. glioma/gg (1).jpg"


def read_tags(file: Path) -> dict[str, dict[str, str]]:
    """Return tag -> path -> value of a tag CSV (UTF-8); raises UsageError naming the line that is wrong."""
    tags: dict[str, dict[str, str]] = {}
    for number, path, tag, value in _lines(file):
        if not (path and tag and value):
            raise UsageError(f"{clean(str(file))}, line {number}: path, tag or value is empty", _HINT)
        known = tags.setdefault(tag, {})
        if known.setdefault(path, value) != value:
            raise UsageError(
                f"{clean(str(file))}, line {number}: {clean(path)} has two values of {clean(tag)}",
                "keep one of the lines",
            )
    return tags


def tags_of(dataset: Dataset, given: Tags) -> dict[str, dict[str, str]]:
    """Return the tags of a dataset's images, the reader's and the given ones (which win); none without an image.

    A given path names an image by its id, or by the place of its file.
    """
    names = {sample.id: sample.id for sample in dataset.samples}
    places = {str(sample.path): sample.id for sample in dataset.samples} if given else {}
    tags: dict[str, dict[str, str]] = {}
    for sample in dataset.samples:
        for tag, value in sample.tags.items():
            tags.setdefault(tag, {})[sample.id] = value
    for tag, values in given.items():
        for path, value in values.items():
            found = names.get(path) or places.get(path)
            if found is not None:
                tags.setdefault(tag, {})[found] = value
    return tags


def unmatched(dataset: Dataset, given: Tags) -> int:
    """Return how many of the given paths name no image of the dataset."""
    known = {name for sample in dataset.samples for name in (sample.id, str(sample.path))}
    return len({path for values in given.values() for path in values if path not in known})


def _lines(file: Path) -> Iterator[tuple[int, str, str, str]]:
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise UsageError(f"{clean(str(file))} lacks one of the columns path, tag, value", _HINT)
            for row in rows:
                yield rows.line_num, *((row[name] or "").strip() for name in COLUMNS)  # type: ignore[misc]
    except OSError as error:
        raise UsageError(f"--tags {clean(str(file))}: {error.strerror}", _HINT) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{clean(str(file))} is no CSV in UTF-8: {error}", _HINT) from error
