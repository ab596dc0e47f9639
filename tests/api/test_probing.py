"""A probe on arrays: the numbers of a run, and the protocols on labels of one's own."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

import medvlm_tui
from medvlm_tui.errors import MedvlmError, UsageError
from tests.made.jobs import blobs


def test_the_numbers_are_those_of_a_run(here: Path) -> None:
    with medvlm_tui.open_store("study") as store:
        stored = store.read()
    result = medvlm_tui.run_probe(stored.features, stored.labels)
    rows = list(csv.DictReader((here / "out" / "results.csv").read_text().splitlines()))
    written = {row["metric"]: row for row in rows if row["protocol"] == "paper"}
    frame = result.to_pandas()
    assert {"accuracy", "macro_f1", "auroc"} <= set(written) & set(frame.index)
    for metric, row in written.items():
        ours = frame.loc[metric]
        for column in ("mean", "std", "ci_low", "ci_high"):
            assert ours[column] == pytest.approx(float(row[column] or "nan"), nan_ok=True), (metric, column)
    assert result.record.n_train + result.record.n_test == 60


def test_the_scores_are_those_of_the_predictions() -> None:
    features, codes = blobs((60, 50, 40), 8, 2.0)
    labels = np.array(["a", "b", "c"])[codes]
    result = medvlm_tui.run_probe(features, labels, protocol="tuned", seed=3)
    truth = codes[result.arrays["hold_out"]]
    each = [accuracy_score(truth, fold) for fold in result.arrays["predicted_test"]]
    assert result.record.metrics["accuracy"].mean == pytest.approx(np.mean(each))
    low, high = result.intervals["accuracy"]
    assert low < np.mean(each) < high
    predicted = result.predict(features)
    final = f1_score(labels[result.arrays["hold_out"]], predicted[result.arrays["hold_out"]], average="macro")
    assert result.record.final_metrics["macro_f1"] == pytest.approx(final)


def test_groups_stay_on_one_side() -> None:
    features, codes = blobs((60, 60), 8, 2.0)
    groups = np.arange(120) // 4
    result = medvlm_tui.run_probe(features, codes, groups=groups, protocol="grouped")
    held = np.isin(np.arange(120), result.arrays["hold_out"])
    assert set(groups[held]).isdisjoint(groups[~held])
    assert result.record.grouping is not None
    assert result.record.grouping.groups == 30


@pytest.mark.parametrize("protocol", ["poster", "knn", "few_shot"])
def test_every_protocol_runs(protocol: str) -> None:
    features, codes = blobs((60, 60), 8, 2.0)
    result = medvlm_tui.run_probe(features, codes, protocol=protocol, positive="0")
    assert result.record.positive == "0"
    assert 0.5 < result.record.metrics["accuracy"].mean <= 1
    if protocol != "poster":
        with pytest.raises(UsageError, match="fits no final classifier"):
            result.predict(features)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros(5)}, r"shape \(5,\)"),
        ({"features": [["x"]]}, "no table of numbers"),
        ({"features": np.full((40, 2), np.nan)}, "NaN"),
        ({"labels": ["a"] * 39}, "40 rows of features, and 39 labels"),
        ({"groups": ["g"]}, "1 groups"),
        ({"protocol": "best"}, "unknown protocol"),
        ({"protocol": "grouped"}, "needs groups"),
        ({"positive": "z"}, "no label is 'z'"),
        ({"labels": ["a"] * 40}, "two classes"),
        ({"folds": 1}, "folds"),
    ],
)
def test_wrong_arguments_are_named(change, message) -> None:
    features, codes = blobs((20, 20), 4, 2.0)
    arguments = {"features": features, "labels": codes, **change}
    with pytest.raises(MedvlmError, match=message):
        medvlm_tui.run_probe(arguments.pop("features"), arguments.pop("labels"), **arguments)


def test_features_of_another_dimension_are_refused() -> None:
    features, codes = blobs((20, 20), 4, 2.0)
    with pytest.raises(UsageError, match="takes 4 dimensions, these features have 5"):
        medvlm_tui.run_probe(features, codes).predict(np.zeros((1, 5)))
