"""Intervals of a probe: around the score, of the width that theory predicts, by group, for the final classifier too."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import brier_score_loss
from statsmodels.stats.proportion import proportion_confint

from medvlm_tui.stages.params.comparison import StatisticsParams
from medvlm_tui.stages.params.probe import ProbeParams, SplitParams
from tests.made.jobs import Bench, blobs, table_of


@pytest.fixture
def bench(tmp_path):
    matrix, codes = blobs((150, 100), 6, 1.5)
    return Bench(tmp_path, table_of(matrix, codes, names=("a", "b")))


def test_intervals_contain_the_score_and_repeat(bench):
    probe, arrays, _ = bench.run("probe", ProbeParams())
    record, _, _ = bench.run("statistics", StatisticsParams())
    again, _, _ = bench.run("statistics", StatisticsParams())
    assert record["intervals"] == again["intervals"]
    names = {"accuracy", "balanced_accuracy", "macro_f1", "f1_positive", "auroc", "brier", "ece_debiased"}
    assert set(record["intervals"]) == set(record["final_intervals"]) == names
    for name in names:
        low, high = record["intervals"][name]
        mean = probe["metrics"][name]["mean"]
        final_low, final_high = record["final_intervals"][name]
        assert 0 <= low <= mean < high <= 1
        assert 0 <= final_low <= probe["final_metrics"][name] < final_high <= 1
        # A debiased error of 0 is the end of its scale; no other score is at its interval's end here.
        assert name == "ece_debiased" or (low < mean and final_low < probe["final_metrics"][name])
    assert (record["confidence"], record["n"], record["groups"]) == (0.95, 50, None)
    wider, _, _ = bench.run("statistics", StatisticsParams(confidence=0.99))
    assert wider["intervals"]["accuracy"][0] < record["intervals"]["accuracy"][0]
    truth = arrays["labels"][arrays["hold_out"]]
    right = (arrays["final_predicted"] == truth).sum()
    # One classifier: nearly Wilson's, a little narrower as the classes' numbers are fixed.
    wilson = proportion_confint(right, 50, method="wilson")
    assert record["final_intervals"]["accuracy"] == pytest.approx(wilson, abs=0.02)
    wanted = np.mean([brier_score_loss(truth, fold, scale_by_half=False) for fold in arrays["probabilities_test"]])
    assert probe["metrics"]["brier"]["mean"] == pytest.approx(wanted, abs=1e-6)


def test_a_perfect_score_has_an_interval(tmp_path):
    bench = Bench(tmp_path, table_of(*blobs((40, 35), 6, 30.0), names=("a", "b")))
    probe, _, _ = bench.run("probe", ProbeParams())
    record, _, _ = bench.run("statistics", StatisticsParams())
    assert probe["metrics"]["accuracy"]["mean"] == 1.0
    # 15 of 15: Wilson's lower end is n / (n + z^2).
    assert record["intervals"]["accuracy"] == pytest.approx([15 / (15 + norm.ppf(0.975) ** 2), 1.0])
    for name in ("balanced_accuracy", "macro_f1", "f1_positive", "auroc"):
        low, high = record["intervals"][name]
        assert 0.5 < low < 0.85, name
        assert high == 1.0, name


def test_four_images_have_no_interval(tmp_path):
    bench = Bench(tmp_path, table_of(*blobs((10, 10), 6, 3.0), names=("a", "b")))
    bench.run("probe", ProbeParams())
    record, _, _ = bench.run("statistics", StatisticsParams())
    assert (record["n"], record["intervals"], record["final_intervals"]) == (4, {}, {})


def test_a_further_hold_out_is_a_probe_under_its_own_kind(bench):
    probe, arrays, _ = bench.run("probe", ProbeParams())
    record, other, events = bench.run("repeat", ProbeParams(split=SplitParams(seed=1)))
    assert (record["seed"], probe["seed"]) == (1, 0)
    assert set(other["hold_out"].tolist()) != set(arrays["hold_out"].tolist())
    assert events[-1].kind == "repeat"
    again, _, _ = bench.run("probe", ProbeParams(split=SplitParams(seed=1)))
    assert again["metrics"] == record["metrics"]
