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
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.saliency.figures import saliency_pages
from medvlm_tui.report.saliency.pages import Shown, draw_images
from medvlm_tui.report.saliency.rows import write_images, write_quality
from tests.made.report_store import filled

KINDS = ("text", "box")
LEVELS = (0.0, 1.0)
WAYS = ("as it is", "blank", "inpaint", "border")


def lab(classes: tuple[str, ...], rng: np.random.Generator) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """A result as engine/bias/step.py stores it."""
    names = [(name, kind) for name in ("shift", "flip_rate", "accuracy_with") for kind in KINDS]
    names += [(f"accuracy_{test}", f"{level:g}") for test in ("matching", "random", "reversed") for level in LEVELS]
    names += [("removal_reversed", way) for way in WAYS] + [("mass_text", f"{level:g}") for level in LEVELS]
    names.append(("robustness", "k=10"))
    measures = [
        {"name": name, "condition": c, "value": v, "low": v - 0.1, "high": v + 0.1, "n": 6, "chance": None}
        for (name, c), v in zip(names, rng.uniform(0.2, 0.8, len(names)).tolist(), strict=True)
    ]
    arrays = {
        "shifts": rng.uniform(0, 1, (2, 6)).astype(np.float32),
        "scores": rng.normal(size=(3, 6, len(classes))).astype(np.float32),
        "labels": np.zeros(6, dtype=np.int16),
        "pictures": rng.integers(0, 255, (2, 3, 32, 32, 3), dtype=np.uint8),
        "boxes": np.array([[2, 20, 18, 26]] * 2, dtype=np.int32),
        "map_images": rng.integers(0, 255, (2, 32, 32, 3), dtype=np.uint8),
        "map_boxes": np.array([[2, 20, 18, 26]] * 2, dtype=np.int32),
        "maps": rng.normal(size=(2, 2, 32, 32)).astype(np.float32),
    }
    said = [classes[0], classes[1]]
    record: dict[str, object] = {
        "words": ["BREAST", "AXILLA"], "position": "bottom_left", "height": 0.08, "contrast": 1.0, "seed": 0,
        "levels": list(LEVELS), "kinds": list(KINDS), "classes": list(classes), "images": [f"i{n}" for n in range(6)],
        "shown": [0, 3], "measures": measures, "map_levels": list(LEVELS), "n_train": 12, "n_test": 6,
        "rise_masks": 256,
        "rise_fill": "mean",
        "map_items": [{"image": f"i{n}", "label": classes[0], "word": "LEFT", "predicted": said} for n in range(2)],
        "texts": [
            {"image": "=i0", "boxes": [[0, 0, 5, 5]], "words": ["AXILLA"], "by": "read"},
            {"image": "i1", "boxes": [], "words": [], "by": "read"},
        ],
    }  # fmt: skip
    return arrays, record


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportInput]:
    made = filled(tmp_path_factory.mktemp("store"))
    rng, steps = np.random.default_rng(0), list(made.plan.steps)
    for model in made.models:
        key = f"bias-{len(steps)}"
        made.store.put_result(key, *lab(("=glioma", "no_tumor", "pituitary $x_1$"), rng))
        steps.append(Step(f"bias:{model}:brain_mr", "bias", model, "brain_mr", {}, key))
    group = {
        "measure": "shift", "condition": "text", "trait": "medical", "difference": 0.1, "p_value": 0.5, "holm": 1.0,
        "inside": 1, "outside": 1, "datasets": 1, "permutations": 2, "exhaustive": True,
    }  # fmt: skip
    made.store.put_result("groups", {}, {"models": [], "datasets": [], "rankings": [], "groups": [group]})
    steps.append(Step("bias_groups:*:*", "bias_groups", "", "", {}, "groups"))
    yield replace(made, plan=Plan("run-1", tuple(steps), ()))
    made.store.close()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_bias_tables(source: ReportInput, tmp_path: Path) -> None:
    written = [path.name for path in bias_tables.write_all(tmp_path, source)]
    assert written == ["bias.csv", "bias_groups.csv", "burned_text_brain_mr.csv"]
    found = rows(tmp_path / "bias.csv")
    assert tuple(found[0]) == bias_tables.BIAS
    assert {row["model"] for row in found} == {"biomedclip", "vgg16", "local:net"}
    shift = next(r for r in found if (r["model"], r["measure"], r["condition"]) == ("vgg16", "shift", "text"))
    assert float(shift["ci_low"]) < float(shift["value"]) < float(shift["ci_high"])
    assert (shift["words"], shift["chance"]) == ("BREAST AXILLA", "")
    (group,) = rows(tmp_path / "bias_groups.csv")
    assert (group["trait"], group["p_value"], group["exhaustive"]) == ("medical", "0.5", "true")


def test_burned_text_is_a_tag_file(source: ReportInput, tmp_path: Path) -> None:
    list(bias_tables.write_all(tmp_path, source))
    tags = read_tags(tmp_path / "burned_text_brain_mr.csv")
    assert tags["burned_text"] == {"'=i0": "yes", "i1": "no"}
    assert tags["word_AXILLA"] == {"'=i0": "yes"}


def test_bias_figures(source: ReportInput, tmp_path: Path) -> None:
    names = [Path(event.path).name for event in bias_figures(source, tmp_path)]
    assert names[:3] == [f"{stem}_biomedclip_brain_mr.png" for stem in ("bias_images", "bias", "bias_maps")]
    assert "bias_models_shift_brain_mr.png" in names
    assert "bias_models_robustness_brain_mr.png" in names
    for name in names:
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
    write_images(tmp_path / "images.csv", explained)
    found = rows(tmp_path / "images.csv")
    assert len(found) == sum(len(one.items) for one in explained)
    quality = {"pointing": {"mean": 0.5, "low": 0.25, "high": 0.75, "n": 4.0}}
    write_quality(tmp_path / "quality.csv", [replace(explained[0], quality=quality)])
    (row,) = rows(tmp_path / "quality.csv")
    assert (row["measure"], row["mean"], row["ci_low"], row["n"]) == ("pointing", "0.5", "0.25", "4")
