"""The bias lab's tables and figures, and the pages of saliency maps, from made results."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.tags import read_tags
from medvlm_tui.report.bias import rows as bias_tables
from medvlm_tui.report.bias.figures import bias_figures
from medvlm_tui.report.bias.section import sections
from medvlm_tui.report.formats.csv_file import write_all, write_csv
from medvlm_tui.report.page.render import render
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.saliency.figures import saliency_pages
from medvlm_tui.report.saliency.one_map import NOISE_COLOUR, draw_saliency
from medvlm_tui.report.saliency.pages import Shown, draw_images
from medvlm_tui.report.saliency.rows import images, quality
from medvlm_tui.stages.records.bias import EVERY_CONTROL, BiasGroupsRecord, BiasRecord
from medvlm_tui.stages.records.saliency import QualityRecord
from tests.made.examples import Arrays, bias_arrays
from tests.made.pages import SVG, Page
from tests.made.report_store import filled


def lab(classes: tuple[str, ...], rng: np.random.Generator) -> tuple[Arrays, BiasRecord]:
    """The example of a lab with names that must be escaped, and numbers of its own."""
    example = BiasRecord.example()
    measures = tuple(
        one if one.low is None else replace(one, value=value, low=value - 0.1, high=value + 0.1)
        for one, value in zip(example.measures, rng.uniform(0.2, 0.8, len(example.measures)).tolist(), strict=True)
    )
    measures = tuple(replace(one, words=example.words) if one.condition == EVERY_CONTROL else one for one in measures)
    item = replace(example.map_items[0], label=classes[0], predicted=classes[:2])
    texts = (replace(example.texts[0], image="=i0"), replace(example.texts[1], image="i1"))
    record = replace(example, classes=classes, measures=measures, texts=texts, map_items=(item, item))
    return bias_arrays(record, rng), record


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportInput]:
    made = filled(tmp_path_factory.mktemp("store"))
    rng, steps = np.random.default_rng(0), list(made.plan.steps)
    for model in made.models:
        key = f"bias-{len(steps)}"
        made.store.put_result(key, *lab(("=glioma", "no_tumor", "pituitary $x_1$"), rng))
        steps.append(Step(f"bias:{model}:brain_mr", "bias", model, "brain_mr", {}, key))
    example = BiasGroupsRecord.example()
    group = replace(example.groups[0], measure="shift", condition="text", primary=False, p_value=0.5, holm=1.0)
    made.store.put_result("groups", {}, replace(example, groups=(group,)))
    steps.append(Step("bias_groups:*:*", "bias_groups", "", "", {}, "groups"))
    yield replace(made, plan=Plan("run-1", tuple(steps), ()))
    made.store.close()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_bias_tables(source: ReportInput, tmp_path: Path) -> None:
    made = (*bias_tables.measured(Gathered(source)), *bias_tables.burned_texts(source))
    written = [path.name for path in write_all(tmp_path, made)]
    assert written == ["bias.csv", "bias_groups.csv", "burned_text_brain_mr.csv"]
    found = rows(tmp_path / "bias.csv")
    assert tuple(found[0]) == made[0].names
    assert {row["model"] for row in found} == {"biomedclip", "vgg16", "local:net"}
    shift = next(r for r in found if (r["model"], r["measure"], r["condition"]) == ("vgg16", "shift", "text"))
    assert float(shift["ci_low"]) < float(shift["value"]) < float(shift["ci_high"])
    assert (shift["words"], shift["chance"]) == ("BREAST", "")  # the words that this number is about
    lead = next(r for r in found if (r["model"], r["condition"]) == ("vgg16", "every control"))
    assert (lead["ci_low"], lead["ci_high"], lead["words"]) == ("", "", "BREAST AXILLA")
    (group,) = rows(tmp_path / "bias_groups.csv")
    assert (group["trait"], group["primary"], group["p_value"]) == ("medical", "false", "0.5")


def test_burned_text_is_a_tag_file(source: ReportInput, tmp_path: Path) -> None:
    list(write_all(tmp_path, bias_tables.burned_texts(source)))
    tags = read_tags(tmp_path / "burned_text_brain_mr.csv")
    assert tags["burned_text"] == {"'=i0": "yes", "i1": "no"}
    assert tags["word_AXILLA"] == {"'=i0": "yes"}


def test_the_lab_stands_on_the_page_with_its_pictures(source: ReportInput, tmp_path: Path) -> None:
    chart = tmp_path / "bias_biomedclip_brain_mr.svg"
    chart.write_bytes(SVG)
    [section] = sections(Gathered(source), [chart])
    page = Page(render("x", [section]).decode())
    labs = bias_tables.labs(source)
    pictures = sum(min(4, len(lab.record.shown)) + min(4, len(lab.record.map_items)) for _, lab in labs)
    assert len(page.of("input")) == pictures > 0
    assert sum(image["src"].startswith("data:image/svg") for image in page.of("img")) == 1
    assert "shift_over_control" in page.text


def test_bias_figures(source: ReportInput, tmp_path: Path) -> None:
    names = [Path(event.path).name for event in bias_figures(source, tmp_path)]
    assert [name for name in names if name.endswith(".png")][:3] == [
        f"{stem}_biomedclip_brain_mr.png" for stem in ("bias_images", "bias", "bias_maps")
    ]
    assert "bias_models_shift_brain_mr.png" in names
    assert "bias_models_robustness_brain_mr.png" in names
    assert "bias_biomedclip_brain_mr.svg" in names
    for name in (name for name in names if name.endswith(".png")):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 200
            assert json.loads(image.text["parameters"])["dataset"] == "brain_mr"  # type: ignore[attr-defined]


def test_pages_of_maps(source: ReportInput, tmp_path: Path) -> None:
    gathered = Gathered(source)
    names = [Path(event.path).name for event in saliency_pages(gathered, source.store, tmp_path)]
    assert names
    assert all(name.startswith("rise_models_") for name in names)  # these results explain one image each
    explained = gathered.explained[0]
    result = source.store.result(explained.key)
    assert result is not None
    page = [Shown(explained, explained.items[0], result.arrays["images"][0], result.arrays["maps"][0])] * 50
    draw_images(tmp_path / "page.png", page)
    for name, count in ((names[0], 3), ("page.png", 48)):
        with Image.open(tmp_path / name) as image:
            maps = json.loads(image.text["parameters"])["maps"]  # type: ignore[attr-defined]
        assert len(maps) == count
        assert {"model", "image", "explained", "masks"} <= set(maps[0])


def test_saliency_tables(source: ReportInput, tmp_path: Path) -> None:
    explained = Gathered(source).explained
    write_csv(tmp_path / "images.csv", images(explained))
    found = rows(tmp_path / "images.csv")
    assert len(found) == sum(len(one.items) for one in explained)
    pointing = QualityRecord(mean=0.5, low=0.25, high=0.75, n=4, misclassified=1, mostly_noise=2)
    measures = {
        "pointing": pointing,
        "mass_over_area_lesion": replace(pointing, mean=0.125, low=None, high=None),
    }
    made = {**explained[0].parameters, "explained": "the predicted class", "curve_points": 17}
    write_csv(tmp_path / "quality.csv", quality([replace(explained[0], quality=measures, parameters=made)]))
    share, mass = rows(tmp_path / "quality.csv")
    assert (share["measure"], share["mean"], share["ci_low"], share["n"]) == ("pointing", "0.5", "0.25", "4")
    assert (share["misclassified"], share["mostly_noise"]) == ("1", "2")
    assert (mass["ci_low"], mass["ci_high"]) == ("", "")
    assert (mass["explained"], mass["curve_points"], mass["fill"]) == ("the predicted class", "17", "mean")


def test_a_map_that_is_mostly_noise_is_marked_in_the_table_and_on_its_pictures(
    source: ReportInput, tmp_path: Path
) -> None:
    explained = Gathered(source).explained[0]
    result = source.store.result(explained.key)
    assert result is not None
    image, values = result.arrays["images"][0], result.arrays["maps"][0]
    found = {}
    for name, error in (("sure", 0.2), ("noisy", 0.71)):
        item = replace(explained.items[0], relative_error=error, mostly_noise=error > 0.5)
        one = replace(explained, items=(item,))
        write_csv(tmp_path / f"{name}.csv", images([one]))
        draw_saliency(tmp_path / f"{name}.png", one, item, image, values)
        draw_images(tmp_path / f"{name}_page.png", [Shown(one, item, image, values)] * 2)
        found[name] = [coloured(tmp_path / f"{name}{page}.png") for page in ("", "_page")]
        with Image.open(tmp_path / f"{name}.png") as drawn:
            known = json.loads(drawn.text["parameters"])  # type: ignore[attr-defined]
        assert (known["relative_error"], known["mostly_noise"]) == (error, error > 0.5)
    assert [rows(tmp_path / f"{name}.csv")[0]["mostly_noise"] for name in found] == ["false", "true"]
    assert found["sure"] == [0, 0]
    assert min(found["noisy"]) > 20


def coloured(path: Path) -> int:
    """Pixels in the colour of the mark."""
    wanted = np.array([int(NOISE_COLOUR[i : i + 2], 16) for i in (1, 3, 5)])
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((np.abs(pixels - wanted).max(axis=2) <= 8).sum())
