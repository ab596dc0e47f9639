"""Sections to the bytes of the page: one file without a link to another, under a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from medvlm_tui.report.formats.html import environment, table_html
from medvlm_tui.report.page import encoded
from medvlm_tui.report.page.blocks import Drawing, Section

DRAWINGS_BYTES = 4_500_000
"""All figures of a page together. Those that come later are named, and lie in the folder beside the page."""


def render(title: str, sections: Sequence[Section]) -> bytes:
    """Return the page; sections stand in the order of their places."""
    made = environment("medvlm_tui.report.page")
    style, script = _text("page.css"), _text("page.js")
    made.globals.update(
        kind_of=lambda block: type(block).__name__,
        table_html=table_html,
        picture=encoded.picture,
        thumbnail=partial(encoded.picture, longest_px=2 * encoded.THUMBNAIL_PX),
        drawing=_within(DRAWINGS_BYTES),
        maps=encoded.maps,
    )
    page = made.get_template("page.html").render(
        title=title,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704  files of this package
        script=Markup(script),  # noqa: S704
        sections=sorted(sections, key=lambda section: section.place),
    )
    return page.encode("utf-8")


def _within(budget: int) -> Callable[[Drawing], str]:
    """Return a function that gives the figures as data URIs until their bytes are used up, then empty texts."""
    left = budget

    def one(block: Drawing) -> str:
        nonlocal left
        uri = encoded.drawing(block.path)
        if len(uri) > left:
            return ""
        left -= len(uri)
        return uri

    return one


def _text(name: str) -> str:
    return files("medvlm_tui.report.page").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the content security policy: the page's own style and script by their hashes, images within the page."""
    rules: dict[str, Any] = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{_hash(style)}'",
        "script-src": f"'sha256-{_hash(script)}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
