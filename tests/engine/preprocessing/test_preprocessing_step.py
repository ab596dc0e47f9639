"""The preprocessing lab end to end on a made encoder, and its measures against independent formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binomtest

from medvlm_tui.engine.preprocessing.measures import Neighbourhood, Way, of_change
from medvlm_tui.measures.intervals import median_interval
from medvlm_tui.stages.params.preprocessing import PreprocessingParams
from medvlm_tui.stages.preprocessing import PREPROCESSING
from tests.made.bias import StubEncoder, bench_of

PARAMS = PreprocessingParams(
    variants=("invert", "window:percentiles", "noise:0.3", "resize:squash"), train_per_class=20, test_per_class=6
)


def read(bench):
    return bench.store.read(bench.keys["preprocessing"], PREPROCESSING.record)


@pytest.fixture
def lab(tmp_path):
    encoder = StubEncoder(False)
    bench = bench_of(tmp_path, "w", encoder)
    encoder.seen = 0
    bench.run("preprocessing", PARAMS)
    return encoder, bench


def test_changes_are_measured_or_left_out_with_the_reason(lab) -> None:
    encoder, bench = lab
    record = read(bench).record
    assert record.measured == ("invert", "noise:0.3")
    reasons = {each.name: each.left_out for each in record.changes if each.left_out}
    assert reasons["window:percentiles"] == "it changes none of 12 hold-out images"  # files of 8 bits
    assert "own" in reasons["resize:squash"]  # the made encoder resizes by itself
    assert encoder.seen == 3 * 52
    assert {each.name: each.changed for each in record.changes}["invert"] == 12
    # Black becomes white: the unchanged classifier is lost, a retrained one reads the same squares.
    assert record.by_name["accuracy_retrained", "invert"].value > record.by_name["accuracy_transfer", "invert"].value
    assert record.by_name["accuracy_transfer", "invert"].chance == 0.5


def test_arrays_agree_with_the_measures(lab) -> None:
    found = read(lab[1])
    for number, name in enumerate(found.record.measured, start=1):
        for way in ("retrained", "transfer"):
            expected = found.record.by_name[f"accuracy_{way}", name]
            assert found.arrays[way][number].mean() == pytest.approx(expected.value)
    assert found.arrays["pictures"].shape[:2] == (3, 2)
    plain, inverted = found.arrays["pictures"][:2].astype(int)
    assert np.abs(inverted - (255 - plain)).max() <= 1  # resized before or after, each rounded


def test_nothing_is_kept_of_a_finished_lab_and_another_panel_is_another_result(lab) -> None:
    encoder, bench = lab
    assert not list(bench.store.keys("bias/"))
    before = encoder.seen
    bench.run("preprocessing", replace(PARAMS, variants=("invert",)))
    assert encoder.seen == before + 2 * 52


def test_measures_are_their_formulas() -> None:
    rng = np.random.default_rng(5)
    n_train, n_test, d = 30, 20, 6
    codes = np.arange(n_train + n_test) % 2
    plain = rng.normal(size=(n_train + n_test, d)) + codes[:, None] * 1.5
    plain[-1] = plain[0]  # a hold-out image that is in the training part too
    after = plain + rng.normal(scale=0.8, size=plain.shape)
    ways = [Way.of(features, codes, n_train, 2, 1.0) for features in (plain, after)]
    around = Neighbourhood.of(ways[0])
    found, retrained, transfer = of_change("x", *ways, around, codes[n_train:], 0.5)
    measures = {measure.name: measure for measure in found}
    distances = cdist(plain[n_train:], plain, "cosine")
    distances[np.arange(n_test), n_train + np.arange(n_test)] = np.inf
    own = np.array(
        [cdist(a[None], b[None], "cosine")[0, 0] for a, b in zip(plain[n_train:], after[n_train:], strict=True)]
    )
    ratio = own[:-1] / distances.min(axis=1)[:-1]
    assert measures["shift_over_nearest"].value == pytest.approx(np.median(ratio), rel=1e-5)
    assert measures["shift_over_nearest"].n == n_test - 1
    nearest = cdist(after[n_train:-1], plain, "cosine").argmin(axis=1)
    assert measures["match1"].value == pytest.approx(np.mean(nearest == n_train + np.arange(n_test - 1)))
    at_home = ways[0].classifier.scores(plain[n_train:]).argmax(axis=1) == codes[n_train:]
    assert measures["loss_of_information"].value == pytest.approx(at_home.mean() - retrained.mean())
    assert measures["loss_of_fit"].value == pytest.approx(retrained.mean() - transfer.mean())
    interval = binomtest(int(transfer.sum()), n_test).proportion_ci(method="wilson")
    assert (measures["accuracy_transfer"].low, measures["accuracy_transfer"].high) == pytest.approx(tuple(interval))


@pytest.mark.parametrize("n", [6, 9, 20, 51])
def test_the_medians_interval_covers(n: int) -> None:
    rng = np.random.default_rng(n)
    draws = rng.exponential(size=(4000, n))
    ends = np.array([median_interval(draw) for draw in draws])
    covered = np.mean((ends[:, 0] <= np.log(2)) & (np.log(2) <= ends[:, 1]))
    assert covered > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 4000)
    assert median_interval(draws[0][:5]) is None
