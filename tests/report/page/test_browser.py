"""The page in a browser without a window: its policy lets it work, outside text does nothing, tables and maps react."""

from __future__ import annotations

import json
import os
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvlm_tui.report.bias.section import MOST_PICTURES
from medvlm_tui.report.formats.table import Table, numbers, texts
from medvlm_tui.report.maps.section import MOST_POINTS, MOST_THUMBNAILS
from medvlm_tui.report.page.blocks import Colouring, Drawing, MapImages, MapPoints, MapViewer, Section, Slider
from medvlm_tui.report.page.render import render
from medvlm_tui.report.saliency.section import MOST_MAPS
from tests.made.pages import SVG, Page, chromium, every_section, table

pytestmark = pytest.mark.slow
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy".*?>')
MOST_BYTES = 20_000_000


def driven(page: Path, folder: Path, script: str) -> Any:
    """Return what `script` gives when the page has run; the policy is left out of the copy, which lets it in."""
    ending = (
        "<script>addEventListener('load', () => { const found = document.createElement('pre'); found.id = 'found';"
        f"found.textContent = JSON.stringify((() => {{ {script} }})()); document.body.append(found); }});"
        "</script></body>"
    )
    copy = folder / "driven.html"
    copy.write_text(POLICY.sub("", page.read_text()).replace("</body>", ending))
    [found] = re.findall(r'<pre id="found">(.*?)</pre>', chromium(copy, folder / "profile"), re.DOTALL)
    return json.loads(unescape(found))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_bytes(render("The page", every_section(tmp_path)))
    return path


def test_outside_text_does_nothing_and_the_policy_lets_the_page_work(page: Path, tmp_path: Path) -> None:
    text = chromium(page, tmp_path / "profile", "--enable-logging=stderr")
    shown = Page(text)
    [title] = re.findall(r"<title>(.*?)</title>", text)
    assert title == "The page"
    assert shown.of("html") == [{"lang": "en", "class": "js"}]
    # The script has made buttons of the headings, and marks on the map.
    assert len([button for button in shown.of("button") if "aria-pressed" not in button]) == 6
    assert len(shown.of("path")) >= 3


def test_no_request_leaves_the_page(page: Path, tmp_path: Path) -> None:
    leaving = tmp_path / "leaving.html"
    leaving.write_text('<img src="https://example.org/x.png">')
    logs = []
    for number, path in enumerate((page, leaving)):
        log = tmp_path / f"net{number}.json"
        chromium(path, tmp_path / f"profile{number}", f"--log-net-log={log}", "--net-log-capture-mode=Everything")
        logs.append(log.read_text())
    # The second page shows that the log has what a page asks for; the browser's own requests are in both.
    assert ["example.org" in log for log in logs] == [False, True]


def test_a_table_is_sorted_by_its_headings(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    made = Table("n", (*texts("name"), *numbers("n")), [("b", 10.0), ("c", None), ("a", 9.0), ("d", -1e-3)])
    path.write_bytes(render("Tables", [Section("s", "S", 0, (made, table("x")))]))
    script = """
      const [first, second] = document.querySelectorAll("table");
      const order = table => [...table.tBodies[0].rows].map(row => row.cells[0].textContent);
      const head = (table, index) => table.tHead.rows[table.tHead.rows.length - 1].cells[index];
      const seen = [];
      for (let i = 0; i < 3; i++) {
        head(first, 1).querySelector("button").click();
        seen.push([head(first, 1).getAttribute("aria-sort"), order(first)]);
      }
      head(first, 0).querySelector("button").click();
      head(second, 1).querySelector("button").click();
      return [seen, order(first), order(second)];
    """
    seen, by_name, with_headings = driven(path, tmp_path, script)
    assert seen == [
        ["descending", ["b", "a", "d", "c"]], ["ascending", ["d", "a", "b", "c"]], [None, ["b", "c", "a", "d"]],
    ]  # fmt: skip
    assert by_name == ["a", "b", "c", "d"]
    assert with_headings == ["b", "a", "x", "d"]


def test_the_frame_of_a_map_has_its_shape_and_both_axes_one_scale(page: Path, tmp_path: Path) -> None:
    script = """
      const plot = document.querySelector(".map > svg");
      const places = [...plot.querySelectorAll("path")].map(one =>
        one.getAttribute("transform").match(/translate\\(([0-9.]+) ([0-9.]+)\\)/).slice(1).map(Number));
      return [plot.getAttribute("viewBox").split(" ").map(Number), places];
    """
    (left, top, wide, tall), places = driven(page, tmp_path, script)
    # The map of `every_section`: (0, 0), (1, 2), (4, 1), with a rim of 24 on a frame that is 640 wide.
    unit = (640 - 2 * 24) / 4
    assert (left, top, wide) == (0, 0, 640)
    assert abs(tall - (2 * unit + 2 * 24)) < 0.1
    expected = [[24 + x * unit, tall - 24 - y * unit] for x, y in ((0, 0), (1, 2), (4, 1))]
    assert np.allclose(places, expected, atol=0.2)


def test_classes_are_switched_and_the_keyboard_walks_the_map(page: Path, tmp_path: Path) -> None:
    script = """
      const plot = document.querySelector(".map > svg"), text = document.querySelector(".shown p");
      const shown = one => one.getAttribute("visibility") !== "hidden";
      const seen = () => [...plot.querySelectorAll("path")].filter(shown).length;
      const key = name => plot.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
      const counts = [seen()];
      const button = document.querySelector(".legend button");
      button.click();
      counts.push(seen(), button.getAttribute("aria-pressed"));
      button.click();
      counts.push(seen());
      key("ArrowRight");
      const first = text.textContent;
      key("ArrowRight");
      const slider = document.querySelector(".slider input"), over = document.querySelector(".slider .over");
      slider.value = 25;
      slider.dispatchEvent(new Event("input"));
      return [counts, first, text.textContent, document.querySelector(".shown img").hidden, over.style.clipPath];
    """
    counts, first, then, hidden, clip = driven(page, tmp_path, script)
    assert counts == [3, 2, "false", 3]
    assert first.startswith("i1 — b (no picture")
    assert then.startswith("i2 — none of these")
    assert not hidden
    assert clip == "inset(0px 75% 0px 0px)"


def test_the_page_has_no_serious_fault_of_accessibility(page: Path, tmp_path: Path) -> None:
    file = os.environ.get("MEDVLM_AXE", "")
    if not file:
        pytest.skip("MEDVLM_AXE does not name axe.min.js (npm install axe-core)")
    text = POLICY.sub("", page.read_text()).replace("<details>", "<details open>")
    run = (
        "<script>addEventListener('load', () => axe.run().then(found => { const made = document.createElement('pre');"
        "made.id = 'found'; made.textContent = JSON.stringify(found.violations); document.body.append(made); }));"
        "</script>"
    )
    copy = tmp_path / "axe.html"
    copy.write_text(text.replace("</body>", f"<script>{Path(file).read_text()}</script>{run}</body>"))
    shown = chromium(copy, tmp_path / "profile", "--virtual-time-budget=60000")
    [found] = re.findall(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)
    serious = [one["id"] for one in json.loads(unescape(found)) if one["impact"] in ("serious", "critical")]
    assert serious == []


def grain(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return a picture whose grain compresses as badly as ultrasound."""
    return np.repeat(rng.normal(110, 40, (side, side, 1)).clip(0, 255).astype(np.uint8), 3, axis=2)


def test_a_page_as_large_as_the_rules_allow_stays_below_20_mb(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "drawing.svg"
    path.write_bytes(SVG.replace(b"<rect", b"<rect/>" * 6000 + b"<rect"))
    ids = tuple(f"class_{number % 4}/patient_{number:05d}.png" for number in range(MOST_POINTS))
    values = tuple(number % 4 for number in range(MOST_POINTS))
    colourings = tuple(Colouring(name, tuple("abcd"), values) for name in ("class", "tag"))
    thumbnails = {number: grain(rng, 48) for number in range(MOST_THUMBNAILS // 8)}
    datasets = {str(number): MapImages("D", ids, colourings, thumbnails) for number in range(8)}
    xy = rng.normal(size=(MOST_POINTS, 2)).astype(np.float32)
    maps = tuple(MapPoints(f"m{m}", str(d), np.arange(MOST_POINTS), xy) for d in range(8) for m in range(26))
    slider = Slider(grain(rng, 224), grain(rng, 224), ("a", "b"), "caption")
    columns = (*texts(*(f"text_{number}" for number in range(6))), *numbers(*(f"n_{number}" for number in range(10))))
    rows = [(*(f"some text {row}" for _ in range(6)), *rng.normal(size=10).tolist()) for row in range(1000)]
    blocks = (
        *(Table(f"t{number}", columns, rows) for number in range(14)), MapViewer(datasets, maps),
        *[slider] * (MOST_MAPS + 2 * MOST_PICTURES), *[Drawing(path, "figure")] * 600,
    )  # fmt: skip
    size = len(render("study", [Section("s", "S", 0, blocks)]))
    assert MOST_BYTES / 2 < size < MOST_BYTES
