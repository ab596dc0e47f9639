"""Pages with every kind of block, hostile text in every field; a parser of pages; Chromium without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.report.formats.table import Column, Heading, Printed, Table
from medvlm_tui.report.page.blocks import (
    Block,
    Caution,
    Colouring,
    Drawing,
    Fold,
    Gallery,
    Listing,
    MapImages,
    MapPoints,
    MapViewer,
    Paragraph,
    Section,
    Slider,
    Subtitle,
)

HOSTILE = (
    "<script>document.title='owned'</script>", "</script><script>document.title='owned'</script>",
    "\"><img src=x onerror=document.title='owned'>", "' onmouseover='document.title=1", "{{ 7*7 }}{% raw %}",
    "\x1b]0;owned\x07\x1b[31m", "\u202egnp.exe", "javascript:document.title='owned'", "<!--", "]]>", "&lt;b&gt;",
    "</style></title></textarea><svg onload=document.title='owned'>", "https://example.org/x.png", "\udcff\u2028",
)  # fmt: skip
NAME = " ".join(HOSTILE)
SVG = b"""<?xml version="1.0"?><!DOCTYPE svg>
<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><!-- <script> --><rect width="20" height="20"/></svg>
"""


def picture(level: int) -> np.ndarray:
    return np.full((12, 16, 3), level, dtype=np.uint8)


def table(name: str = NAME) -> Table:
    columns = (
        Column("model", name), Column("accuracy", name, "number", group=name), Column("note", kind="text", group=name),
    )  # fmt: skip
    rows = (
        Heading(name),
        ("a", Printed("91.0 ± 0.5", 0.91, "%", best=True, mark="star", interval="[1, 2]", precision=name), name),
        ("b", Printed("100.0 ± 0.5", 1.0, "%", tied=True, raised="nc"), None),
        (name, Printed("9.0 ± 0.5", 0.09, "%", too_few=True, mark="dagger"), "x"),
        ("d", None, "y"),
    )
    return Table(name, columns, rows, name, (name,))


def every_block(folder: Path, name: str = NAME) -> tuple[Block, ...]:
    """Return one of each block, `name` wherever text stands."""
    path = folder / "drawing.svg"
    path.write_bytes(SVG)
    colourings = (Colouring(name, (name, "b"), (0, 1, -1)), Colouring("tag", ("x",), (0, -1, 0)))
    images = MapImages(name, (name, "i1", "i2"), colourings, {0: picture(0), 2: picture(200)})
    xy = np.array([[0.0, 0.0], [1.0, 2.0], [4.0, 1.0]], dtype=np.float32)
    viewer = MapViewer({name: images}, (MapPoints(name, name, np.arange(3), xy),))
    return (
        Paragraph(name), Caution(name), table(name), Drawing(path, name), viewer, Listing(f"{name}\nsecond"),
        Slider(picture(10), picture(240), (name, name), name), Gallery([(picture(90), name)], name),
        Fold(name, (Paragraph(name), table(name))), Subtitle(name),
    )  # fmt: skip


def every_section(folder: Path) -> list[Section]:
    return [Section("hostile", NAME, 10, every_block(folder)), Section("first", "First", 0, (Paragraph("first"),))]


class Page(HTMLParser):
    """Tags with their attributes, and the text, of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def chromium(page: Path, profile: Path, *options: str) -> str:
    """Return the page's document after its scripts have run; skips where there is no Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        assert not os.environ.get("CI"), "Chromium is missing: install the package chromium"
        pytest.skip("Chromium is not installed")
    command = [
        program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={profile}", "--virtual-time-budget=5000", "--dump-dom", *options, page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
