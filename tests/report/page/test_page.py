"""report.html: one file that loads nothing, outside text inert in it, its size kept by stated rules."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.plan import Step
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report import write
from medvlm_tui.report.check.section import sections as check_sections
from medvlm_tui.report.formats import html
from medvlm_tui.report.formats.html import table_html
from medvlm_tui.report.formats.table import Table, numbers, texts
from medvlm_tui.report.maps.section import map_viewer, spread
from medvlm_tui.report.page import render as page_render
from medvlm_tui.report.page.blocks import VERDICT, Drawing, MapPoints, MapViewer, Paragraph, Section
from medvlm_tui.report.page.encoded import maps
from medvlm_tui.report.page.render import render
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.saliency.section import chosen
from medvlm_tui.report.write import write_report
from medvlm_tui.stages.records.check import CheckRecord, CountRow, DuplicateSet, Unreadable
from medvlm_tui.stages.records.language import AlignmentRecord
from tests.made.pages import HOSTILE, SVG, Page, every_block, every_section, table
from tests.made.report_store import filled

# Everything the templates use; anything else came from outside.
TAGS = {
    "html", "head", "meta", "title", "link", "style", "body", "a", "header", "h1", "h2", "h3", "nav", "ul", "li",
    "main", "section", "p", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "strong", "span", "sup",
    "small", "figure", "figcaption", "img", "label", "input", "select", "svg", "script", "noscript", "pre", "details",
    "summary", "footer",
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(HOSTILE[0], every_section(tmp_path_factory.mktemp("page"))).decode()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ReportInput:
    return filled(tmp_path_factory.mktemp("store"))


def whole_page(source: ReportInput, out: Path) -> str:
    """Return the page of a report whose other files are left out but for two charts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvlm_tui.report.write.draw_figures", lambda *_: iter(()))
        patch.setattr("medvlm_tui.report.write.write_tables", lambda *_: iter(()))
        for _ in write_report(source, out):
            pass
    return (out / "report.html").read_text(encoding="utf-8")


def assert_nothing_leaves(text: str) -> None:
    page = Page(text)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "background", "xlink:href", "formaction"):
            assert attributes.get(name, "#").startswith(("#", "data:")), attributes
        assert not any(name.startswith("on") or name == "style" for name in attributes), attributes
    assert "url(" not in text
    assert "@import" not in text


def test_outside_text_is_text_in_every_field(hostile: str) -> None:
    page = Page(hostile)
    assert {tag for tag, _ in page.tags} <= TAGS
    assert_nothing_leaves(hostile)
    assert len(page.of("script")) == 2  # the page's own, and the data of the maps
    assert not any(ord(letter) < 32 and letter != "\n" for letter in hostile)
    assert "\u202e" not in hostile
    for name in HOSTILE:
        assert clean(name) in page.text


def test_the_policy_lets_only_the_pages_own_style_and_script_run(hostile: str) -> None:
    [policy] = [meta["content"] for meta in Page(hostile).of("meta") if "http-equiv" in meta]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert (rules["default-src"], rules["img-src"]) == ("'none'", "data:")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        [text] = re.findall(rf"<{tag}>(.*?)</{tag}>", hostile, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_ids_are_unique_and_labels_and_links_lead_to_them(hostile: str) -> None:
    page = Page(hostile)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [
        attributes[name] for _, attributes in page.tags for name in ("aria-labelledby", "for") if name in attributes
    ]
    assert set(named) <= set(ids)
    assert {link["href"][1:] for link in page.of("a")} <= set(ids)
    assert all(image.get("alt") is not None for image in page.of("img"))


def test_sections_stand_in_the_order_of_their_places(hostile: str) -> None:
    assert [section["id"] for section in Page(hostile).of("section")] == ["first", "hostile"]


def test_the_data_of_the_maps_read_back(tmp_path: Path) -> None:
    viewer = every_block(tmp_path)[4]
    text = render("maps", [Section("maps", "Maps", 0, (viewer,))]).decode()
    [data] = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    found = json.loads(data)
    [shown] = found["maps"]
    images = found["datasets"][shown["dataset"]]
    assert images["ids"][1:] == ["i1", "i2"]
    assert images["ids"][0] == clean(viewer.maps[0].title)  # type: ignore[union-attr]
    assert sorted(images["thumbnails"]) == ["0", "2"]
    points = np.frombuffer(base64.b64decode(shown["points"]), "<u2").reshape(-1, 3)
    # Both axes by the longer one, of 4: the points keep their distances.
    assert points[:, 0].tolist() == [0, 1, 2]
    assert np.allclose(points[:, 1:] / 65535 * 4, [[0, 0], [1, 2], [4, 1]], atol=1e-4)


def test_the_wide_gaps_of_a_map_are_closed_and_the_page_says_so() -> None:
    """Two groups of thirty, 100 apart and one wide: each fills more than a third of the axis, and keeps its shape."""
    rng = np.random.default_rng(0)
    xy = np.concatenate([rng.uniform(0, 1, (30, 2)), rng.uniform((100, 0), (101, 1), (30, 2))])
    [shown] = maps(MapViewer({}, (MapPoints("m", "d", np.arange(60), xy),)))["maps"]
    points = np.frombuffer(base64.b64decode(shown["points"]), "<u2").reshape(-1, 3)[:, 1:].astype(float)
    widths = [np.ptp(points[:30, 0]) / np.ptp(points[:, 0]), np.ptp(points[30:, 0]) / np.ptp(points[:, 0])]
    assert shown["closed"] is True
    assert min(widths) > 1 / 3
    assert np.ptp(points[:30, 1]) / np.ptp(points[:30, 0]) == pytest.approx(
        np.ptp(xy[:30, 1]) / np.ptp(xy[:30, 0]), rel=0.01
    )
    [open_] = maps(MapViewer({}, (MapPoints("m", "d", np.arange(60), rng.uniform(0, 1, (60, 2))),)))["maps"]
    assert open_["closed"] is False


def test_a_table_has_its_marks_and_its_numbers_in_full() -> None:
    page = Page(str(table_html(table("name"), 1)))
    keys = [cell.get("data-key") for cell in page.of("td")]
    assert [key for key in keys if key is not None] == ["0.91", "1.0", "", "0.09", ""]
    assert "91.0 ± 0.5 % (best)★ [1, 2] name" in page.text
    assert "100.0 ± 0.5 %=ⁿᶜ" in page.text
    assert "9.0 ± 0.5 %† too few" in page.text


def test_a_long_text_has_a_class_that_keeps_it_readable_on_a_narrow_screen() -> None:
    made = Table("t", texts("a", "b"), (("x", "y" * 41), ("x", "y" * 40)))
    assert [cell.get("class") for cell in Page(str(table_html(made, 1))).of("td")] == ["long", None]


def test_a_long_table_is_cut_and_says_where_the_rest_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_ROWS", 2)
    made = Table("long", (*texts("name"), *numbers("empty", "n")), [(f"row {i}", None, i) for i in range(5)])
    text = Page(str(table_html(made, 1))).text
    assert "row 1" in text
    assert "row 2" not in text
    assert "3 more rows in long.csv" in text
    assert "empty" not in text  # a column without any value


def test_figures_are_drawings_until_the_page_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.svg"
    path.write_bytes(SVG)
    drawings = tuple(Drawing(path, f"figure {number}") for number in range(3))
    [whole] = {image["src"] for image in Page(render("x", [Section("s", "S", 0, drawings)]).decode()).of("img")}
    svg = base64.b64decode(whole.removeprefix("data:image/svg+xml;base64,"))
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"<!--" not in svg
    monkeypatch.setattr(page_render, "DRAWINGS_BYTES", 2 * len(whole))
    page = Page(render("x", [Section("s", "S", 0, drawings)]).decode())
    assert len(page.of("img")) == 2
    assert "figure 2: in the file figures/a.svg" in page.text


def test_a_selection_has_its_share_of_every_class() -> None:
    labels = ["a"] * 900 + ["b"] * 90 + ["c"] * 10
    kept = [labels[position] for position in spread(labels, 100)]
    assert {name: kept.count(name) for name in "abc"} == {"a": 90, "b": 9, "c": 1}
    assert spread(labels, 2000) == list(range(1000))
    assert len(spread([str(number) for number in range(50)], 7)) == 7


def test_the_first_map_of_every_model_comes_before_any_second_one(source: ReportInput) -> None:
    explained = Gathered(source).explained
    several = [replace(one, items=one.items * 3) for one in explained[:2]]
    assert chosen(several, most=3) == [(0, 0), (0, 1), (1, 0)]
    assert chosen(several, most=2) == [(0, 0), (1, 0)]


def test_thumbnails_are_of_the_images_that_can_be_read(source: ReportInput) -> None:
    asked: list[str] = []

    def read(samples, side_px):  # type: ignore[no-untyped-def]
        asked.extend(sample.id for sample in samples)
        return [np.zeros((4, side_px, 3), np.uint8) if number % 2 else None for number, _ in enumerate(samples)]

    viewer = map_viewer(Gathered(replace(source, read_pictures=read)))
    images = viewer.datasets["brain_mr"]
    assert set(asked) >= set(images.ids)
    assert sorted(images.thumbnails) == [position for position in range(len(images.ids)) if position % 2]
    assert {name: len(found.ids) for name, found in viewer.datasets.items()} == {"brain_mr": 60, "phantom": 60}
    assert all(len(shown.image) == len(shown.xy) == 60 for shown in viewer.maps)


def test_the_page_of_a_run_has_its_sections_and_loads_nothing(source: ReportInput, tmp_path: Path) -> None:
    names = {name: replace(model, name=" ".join(HOSTILE)) for name, model in source.models.items()}
    datasets = {
        name: replace(dataset, spec=replace(dataset.spec, name=HOSTILE[2]), warnings=HOSTILE)
        for name, dataset in source.datasets.items()
    }
    run = replace(source, models=names, datasets=datasets, failures=(("probe:x", HOSTILE[0], HOSTILE[2]),))
    text = whole_page(run, tmp_path)
    assert_nothing_leaves(text)
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= TAGS
    assert [section["id"] for section in page.of("section")] == ["scores", "comparisons", "maps", "saliency", "run"]
    assert "1 step failed" in page.text
    assert len(page.of("input")) == len(Gathered(run).explained)
    assert json.loads((tmp_path / "manifest.json").read_text())["files"]["report.html"]


def test_the_data_check_stands_on_the_page_worst_sets_with_their_pictures(source: ReportInput) -> None:
    example = CheckRecord.example()
    report = replace(
        example.report,
        images=60,
        differences=("60 images found",),
        counts=(CountRow("Training", HOSTILE[2], 20, 22),),
        unreadable=(Unreadable("broken.png", "truncated"),),
        exact=(DuplicateSet("exact", ("a.png", HOSTILE[0]), ("x", "y"), ("",), (), 1.0),),
        near=(),
        similar=(),
        group_leaks=(),
    )
    arrays = {"pictures": np.zeros((1, 64, 64, 3), np.uint8), "sizes": np.array([[48, 64]])}
    source.store.put_result("checked", arrays, CheckRecord(report=report, worst=(), pictures=((0, "a.png"),)))
    step = Step("check:brain_mr", "check", "", "brain_mr", {}, "checked")
    run = replace(source, plan=replace(source.plan, steps=(step,)))
    [section] = check_sections(Gathered(run), [])
    page = Page(render("x", [section]).decode())
    assert all(text in page.text for text in ("60 images found", clean(HOSTILE[0]), clean(HOSTILE[2]), "truncated"))
    assert [cell["data-key"] for cell in page.of("td") if cell.get("data-key")] == ["20.0", "22.0", "1.0"]
    [image] = page.of("img")
    with Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))) as shown:
        assert shown.size == (64, 48)


def test_sets_across_classes_come_first_whatever_the_classes_are_called(source: ReportInput) -> None:
    one_class = DuplicateSet("exact", ("a.png", "b.png"), ("left, upper, lateral",), ("",), (), 1.0)
    across = DuplicateSet("near", ("c.png", "d.png"), ("x", "y"), ("",), (), 0.99)
    report = replace(CheckRecord.example().report, exact=(one_class,), near=(across,), similar=())
    arrays = {"pictures": np.zeros((0, 64, 64, 3), np.uint8), "sizes": np.zeros((0, 2), np.int64)}
    source.store.put_result("commas", arrays, CheckRecord(report=report, worst=report.worst, pictures=()))
    step = Step("check:brain_mr", "check", "", "brain_mr", {}, "commas")
    [section] = check_sections(Gathered(replace(source, plan=replace(source.plan, steps=(step,)))), [])
    table = next(block for block in section.blocks if getattr(block, "name", "") == "duplicates_brain_mr")
    assert isinstance(table, Table)
    assert [row[1] for row in table.values] == ["c.png, d.png", "a.png, b.png"]


class Verdict:
    """A module of an analysis that has a section and no files."""

    def sections(self, results: Gathered, written: list[Path]) -> list[Section]:
        return [Section("verdict", "Verdict", VERDICT, (Paragraph(f"{len(results.cells)} cells"),))]


def test_a_section_of_a_further_analysis_stands_at_its_place(
    source: ReportInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = write._modules()
    monkeypatch.setattr(write, "_modules", lambda: [*others, Verdict(), object()])
    found = list(write.page_sections(Gathered(source), []))
    page = Page(render("x", found).decode())
    assert page.of("section")[0]["id"] == "verdict"
    assert "6 cells" in page.text


def test_language_stands_between_comparisons_and_maps(source: ReportInput) -> None:
    record = AlignmentRecord.example()
    source.store.put_result("aligned", {}, asdict(record))
    step = Step("alignment:biomedclip:brain_mr", "alignment", "biomedclip", "brain_mr", {}, "aligned")
    run = replace(source, plan=replace(source.plan, steps=(*source.plan.steps, step)))
    found = Page(render("x", list(write.page_sections(Gathered(run), []))).decode())
    names = [section["id"] for section in found.of("section")]
    assert names[names.index("comparisons") + 1 : names.index("maps")] == ["language"]
    assert "modality_gap" in found.text
