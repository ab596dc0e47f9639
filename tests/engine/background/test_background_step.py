"""Covered lesions with a known answer: where the lesion decides, and where a word in the corner does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from statsmodels.stats.proportion import proportion_confint

from medvlm_tui.engine.background.measures import measures_of
from medvlm_tui.errors import DatasetError
from medvlm_tui.report.background.finding import finding
from medvlm_tui.stages.background import BACKGROUND
from medvlm_tui.stages.params.background import BackgroundParams
from medvlm_tui.stages.params.probe import ProbeParams
from tests.made.bias import StubEncoder
from tests.made.encoders import having
from tests.made.jobs import Bench, table_of

N, SIDE = 120, 64
PARAMS = BackgroundParams(train_per_class=40, test_per_class=12)


class Blocks(StubEncoder):
    """Reads the means of 8 x 8 blocks."""

    def encode(self, pixels):
        self.seen += len(pixels)
        return torch.nn.functional.avg_pool2d(pixels[:, :1], 4).flatten(1) + 1


def bench_of(folder, encoder, decides, masks=True):
    """A bench on images with a lesion of 14 pixels; the class is the lesion's grey level, or the corner's."""
    rng, codes = np.random.default_rng(0), np.arange(N) % 2
    paths, rows, made = {}, [], []
    for number, code in enumerate(codes):
        pixels = np.repeat(rng.integers(60, 120, (SIDE, SIDE, 1), dtype=np.uint8), 3, axis=2)
        left, top = (int(at) for at in rng.integers(12, 38, 2))
        pixels[top : top + 14, left : left + 14] = 140 if decides == "word" else 140 + 110 * code
        if decides == "word":
            pixels[:8, :8] = 255 * code
        paths[f"i{number}"] = folder / f"{number}.png"
        Image.fromarray(pixels).save(paths[f"i{number}"])
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[top : top + 14, left : left + 14] = 255
        made.append(folder / f"{number}_mask.png")
        Image.fromarray(mask).save(made[-1])
        rows.append(encoder.encode(encoder.preprocess(Image.fromarray(pixels))[None])[0].numpy())
    bench = Bench(folder / "w", table_of(np.stack(rows), codes, names=("a", "b")), paths=paths)
    with_masks = zip(bench.dataset.samples, made, strict=True)
    samples = tuple(replace(sample, mask=mask if masks else None) for sample, mask in with_masks)
    bench.dataset = replace(bench.dataset, samples=samples)
    bench.context = replace(bench.context, resources=having(encoder))
    bench.run("probe", ProbeParams())
    return bench


@pytest.fixture
def encoder():
    return Blocks(False)


@pytest.mark.parametrize("decides", ["lesion", "word"])
def test_it_tells_what_decides(tmp_path, encoder, decides) -> None:
    bench = bench_of(tmp_path, encoder, decides)
    encoder.seen = 0
    bench.run("background", PARAMS)
    found = bench.store.read(bench.keys["background"], BACKGROUND.record)
    record = found.record
    assert encoder.seen == 7 * (record.n_train + record.n_test)
    assert record.side_share == pytest.approx(14 / SIDE * 1.05)
    accuracy = {name: record.by_name["accuracy", name] for name in record.conditions}
    assert accuracy["whole"].value > 0.9
    for fill in PARAMS.fills:
        index, cost = record.by_name["shortcut_index", fill], record.by_name["cost_of_cover", fill]
        if decides == "lesion":
            assert accuracy[f"only {fill}"].value > 0.9
            assert index.value < 0.5
            assert cost.low > 0
        else:
            assert accuracy[f"covered {fill}"].value > 0.9
            assert index.low > 0.5
            assert cost.value < 0.2
    assert accuracy["position"].low < 0.5
    for number, name in enumerate(record.conditions):
        assert found.arrays["right"][number].mean() == pytest.approx(accuracy[name].value)
    said = finding(record)
    assert ("the rest of the image alone tells the class above chance" in said) == (decides == "word")
    assert said.startswith("Covering lesions costs more") == (decides == "lesion")
    assert not list(bench.store.keys("bias/"))


def test_images_without_masks_are_counted_and_too_few_are_refused(tmp_path, encoder) -> None:
    bench = bench_of(tmp_path, encoder, "lesion", masks=False)
    with pytest.raises(DatasetError, match="fewer than two classes with lesions"):
        bench.run("background", PARAMS)


def test_measures_are_their_formulas() -> None:
    rng = np.random.default_rng(1)
    shares = {"whole": 0.9, "covered mean": 0.6, "moved mean": 0.85, "only mean": 0.8, "position": 0.5}
    right = {name: rng.random(200) < share for name, share in shares.items()}
    found = {(m.name, m.condition): m for m in measures_of(right, ("mean",), 0.5, 0, 4000)}
    means = {name: flags.mean() for name, flags in right.items()}
    assert found["cost_of_cover", "mean"].value == pytest.approx(means["moved mean"] - means["covered mean"])
    index = found["shortcut_index", "mean"]
    assert index.value == pytest.approx((means["covered mean"] - 0.5) / (means["whole"] - 0.5))
    picks = rng.integers(0, 200, (4000, 200))
    drawn = (right["covered mean"][picks].mean(axis=1) - 0.5) / (right["whole"][picks].mean(axis=1) - 0.5)
    assert (index.low, index.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.03)
    wilson = proportion_confint(right["whole"].sum(), 200, method="wilson")
    assert (found["accuracy", "whole"].low, found["accuracy", "whole"].high) == pytest.approx(wilson)


def test_without_knowledge_of_whole_images_there_is_no_index() -> None:
    rng = np.random.default_rng(2)
    right = {name: rng.random(60) < 0.5 for name in ("whole", "covered mean", "moved mean", "only mean")}
    assert ("shortcut_index", "mean") not in {(m.name, m.condition) for m in measures_of(right, ("mean",), 0.5, 0, 100)}
