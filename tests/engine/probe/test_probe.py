"""The probe against scikit-learn's own pipeline, written out fold by fold."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from medvlm_tui.core.events import Log, StepProgress
from medvlm_tui.engine.probe import folds as cv
from medvlm_tui.engine.probe.solver import choice as solver
from medvlm_tui.engine.probe.solver import svm_torch
from medvlm_tui.engine.step import device_session, devices
from medvlm_tui.errors import Cancelled, MedvlmError
from medvlm_tui.stages.params.probe import ProbeParams, SplitParams
from medvlm_tui.stages.protocols import PAPER_T_GRID
from tests.made.jobs import Bench, blobs, table_of

CODES = {"a": 0, "b": 1, "c": 2}


@pytest.fixture
def overlapping(tmp_path):
    """Three classes that overlap, d = 8 < N, one constant column."""
    matrix, codes = blobs((60, 45, 30), 8, 2.0)
    matrix[:, 3] = 7.0
    return Bench(tmp_path, table_of(matrix, codes, names=("a", "b", "c"))), matrix, codes


def fitted_by_sklearn(matrix, codes, train, cost):
    svc = LinearSVC(C=cost, dual=False, tol=1e-10, max_iter=100_000)
    return make_pipeline(StandardScaler(), svc).fit(matrix[train].astype(np.float64), codes[train])


def test_probe_equals_the_pipeline_fold_by_fold(overlapping):
    bench, matrix, codes = overlapping
    record, arrays, events = bench.run("probe", ProbeParams())
    hold_out, fold = arrays["hold_out"], arrays["fold"]
    assert record["t_grid"] == list(PAPER_T_GRID)
    n = len(codes)
    f1 = np.zeros((5, 5))
    for i, t in enumerate(PAPER_T_GRID):
        for f in range(5):
            train, held = np.flatnonzero((fold >= 0) & (fold != f)), np.flatnonzero(fold == f)
            pipe = fitted_by_sklearn(matrix, codes, train, t * 8 / len(train))
            f1[i, f] = reference.f1_score(codes[held], pipe.predict(matrix[held]), average="macro")
            if t == record["t"]:
                np.testing.assert_allclose(
                    arrays["scores_test"][f], pipe.decision_function(matrix[hold_out]), atol=1e-5
                )
                np.testing.assert_allclose(
                    arrays["scores_validation"][held], pipe.decision_function(matrix[held]), atol=1e-5
                )
    np.testing.assert_allclose(arrays["validation_macro_f1"], f1, atol=1e-12)
    assert record["t"] == PAPER_T_GRID[int(np.argmax(f1.mean(axis=1)))]
    final = fitted_by_sklearn(matrix, codes, np.flatnonzero(fold >= 0), record["t"] * 8 / (fold >= 0).sum())
    np.testing.assert_allclose(arrays["final_scores"], final.decision_function(matrix[hold_out]), atol=1e-5)
    assert record["c"] == pytest.approx(record["t"] * 8 / record["n_train"])
    assert record["n_train"] + record["n_test"] == n
    assert record["positive"] == ""
    assert not record["saturated"]
    assert record["tuned"] is None
    assert np.isnan(arrays["scores_validation"][hold_out]).all()
    assert (arrays["predicted_validation"][hold_out] == -1).all()
    assert events[-1].summary["accuracy"] == record["metrics"]["accuracy"]["mean"]


def test_metrics_equal_sklearn_and_have_their_own_spreads(overlapping):
    bench, _, codes = overlapping
    record, arrays, _ = bench.run("probe", ProbeParams())
    truth = codes[arrays["hold_out"]]
    wanted = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for scores, predicted in zip(arrays["scores_test"], arrays["predicted_test"], strict=True):
        np.testing.assert_array_equal(scores.argmax(axis=1), predicted)
        wanted["accuracy"].append(reference.accuracy_score(truth, predicted))
        wanted["balanced_accuracy"].append(reference.balanced_accuracy_score(truth, predicted))
        wanted["macro_f1"].append(reference.f1_score(truth, predicted, average="macro"))
    for name, values in wanted.items():
        found = record["metrics"][name]
        assert found["folds"] == pytest.approx(values)
        assert found["mean"] == pytest.approx(np.mean(values))
        assert found["std"] == pytest.approx(np.std(values, ddof=0))
        assert len(found["validation"]) == 5
    assert "f1_positive" not in record["metrics"]
    assert record["metrics"]["ece"]["validation"] == [None] * 5
    assert 0 <= record["metrics"]["ece"]["mean"] < 0.5


def test_two_classes_mirror_each_other_and_name_the_positive_one(tmp_path):
    matrix, codes = blobs((50, 40), 6, 1.5)
    bench = Bench(tmp_path, table_of(matrix, codes, names=("ill", "well")), positive="ill")
    record, arrays, _ = bench.run("probe", ProbeParams("poster"))
    assert record["positive"] == "ill"
    assert record["t"] == pytest.approx(100 / 6)
    assert record["c"] == pytest.approx(100 / record["n_train"])
    np.testing.assert_array_equal(arrays["scores_test"][..., 0], -arrays["scores_test"][..., 1])
    truth = codes[arrays["hold_out"]]
    f1 = [reference.f1_score(truth, p, pos_label=0) for p in arrays["predicted_test"]]
    assert record["metrics"]["f1_positive"]["folds"] == pytest.approx(f1)
    area = [reference.roc_auc_score(truth, s[:, 1]) for s in arrays["scores_test"]]
    assert record["metrics"]["auroc"]["folds"] == pytest.approx(area)


def test_separable_classes_saturate_the_grid_and_ties_take_the_smallest_t(tmp_path):
    matrix, codes = blobs((20, 20, 20), 100, 40.0)
    record, arrays, _ = Bench(tmp_path, table_of(matrix, codes, names=("a", "b", "c"))).run("probe", ProbeParams())
    assert record["saturated"]
    assert not arrays["train_error"].any()
    assert (arrays["validation_macro_f1"] == 1).all()
    assert record["t"] == 1.0
    assert record["tuned"]["t"] <= 1.0
    assert record["tuned"]["validation_macro_f1"] == 1.0
    assert any("saturated" in warning for warning in record["warnings"])


def test_what_the_tuned_grid_would_have_chosen_is_what_it_chooses(tmp_path):
    matrix, codes = blobs((40, 40, 40), 150, 5.0)
    bench = Bench(tmp_path, table_of(matrix, codes, names=("a", "b", "c")))
    paper, _, _ = bench.run("probe", ProbeParams("paper"))
    tuned, arrays, _ = bench.run("probe", ProbeParams("tuned"))
    assert paper["saturated"]
    assert tuned["tuned"] is None
    assert paper["tuned"]["t"] == tuned["t"] < 1
    best = arrays["validation_macro_f1"].mean(axis=1).max()
    assert paper["tuned"]["validation_macro_f1"] == pytest.approx(best)


def test_choice_of_t():
    assert cv.choose_t(np.array([[0.5, 0.6], [0.6, 0.5], [0.4, 0.4]])) == 0
    assert cv.choose_t(np.array([[0.5, 0.6], [0.7, 0.5], [0.6, 0.6]])) == 1
    assert cv.is_separated(np.zeros((2, 3)))
    assert not cv.is_separated(np.array([[0.0, 0.0], [0.0, 0.1]]))
    assert not cv.is_separated(np.zeros((1, 3)))


@pytest.mark.parametrize(("dim", "distance", "separated", "saturated"), [
    (100, 40.0, True, True), (16, 3.0, True, False), (8, 1.0, False, False),
])  # fmt: skip
def test_saturated_says_that_no_predicted_label_depends_on_t(tmp_path, dim, distance, separated, saturated):
    matrix, codes = blobs((30, 30), dim, distance)
    record, arrays, _ = Bench(tmp_path, table_of(matrix, codes, names=("a", "b"))).run("probe", ProbeParams())
    hold_out, fold = arrays["hold_out"], arrays["fold"]
    errors, moves = 0, 0
    for f in range(5):
        train, held = np.flatnonzero((fold >= 0) & (fold != f)), np.flatnonzero(fold == f)
        shown = []
        for t in PAPER_T_GRID:
            pipe = fitted_by_sklearn(matrix, codes, train, t * dim / len(train))
            errors += (pipe.predict(matrix[train]) != codes[train]).sum()
            shown.append(pipe.predict(matrix[np.concatenate([held, hold_out])]))
        moves += (np.stack(shown) != shown[0]).sum()
    assert (errors == 0) == separated == record["separated"]
    assert (separated and moves == 0) == saturated == record["saturated"]
    assert any("saturated" in warning for warning in record["warnings"]) == saturated
    assert any("no training error at any t of the grid" in w for w in record["warnings"]) == separated
    assert (record["tuned"] is not None) == separated


def test_same_split_and_scores_twice(tmp_path):
    matrix, codes = blobs((30, 30), 5, 1.0)
    table = table_of(matrix, codes, names=("a", "b"))
    first, one, _ = Bench(tmp_path / "1", table).run("probe", ProbeParams())
    again, two, _ = Bench(tmp_path / "2", table).run("probe", ProbeParams())
    assert first["metrics"] == again["metrics"]
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    other, _, _ = Bench(tmp_path / "3", table).run("probe", ProbeParams(split=SplitParams(seed=1)))
    assert other["seed"] == 1


def test_features_that_are_not_finite_are_named(tmp_path):
    matrix, codes = blobs((30, 30), 5, 1.0)
    matrix[7, 2], matrix[11, 0] = np.nan, np.inf
    with pytest.raises(MedvlmError, match="2 images: i7, i11"):
        Bench(tmp_path, table_of(matrix, codes, names=("a", "b"))).run("probe", ProbeParams())


def test_one_class_is_refused(tmp_path):
    matrix, codes = blobs((30,), 5, 1.0)
    with pytest.raises(MedvlmError, match="only one class"):
        Bench(tmp_path, table_of(matrix, codes, names=("a",))).run("probe", ProbeParams())


def test_a_class_without_images_is_left_out_and_said(tmp_path):
    matrix, codes = blobs((30, 30), 5, 1.0)
    bench = Bench(tmp_path, table_of(matrix, codes, names=("a", "b"), classes=("a", "empty", "b")))
    record, _, _ = bench.run("probe", ProbeParams())
    assert record["classes"] == ["a", "b"]
    assert any("empty" in warning for warning in record["warnings"])


def test_identical_features_are_refused(tmp_path):
    bench = Bench(tmp_path, table_of(np.ones((40, 3)), np.arange(40) % 2, names=("a", "b")))
    with pytest.raises(MedvlmError, match="the same features for every image"):
        bench.run("probe", ProbeParams())


def test_constant_columns_are_reported_before_the_svm_runs(overlapping):
    bench, _, _ = overlapping
    record, _, events = bench.run("probe", ProbeParams())
    said = [
        i
        for i, event in enumerate(events)
        if isinstance(event, Log) and "1 of 8 features are the same" in event.message
    ]
    fits = [i for i, event in enumerate(events) if isinstance(event, StepProgress)]
    assert said
    assert said[0] < fits[0]
    assert any("1 of 8 features" in warning for warning in record["warnings"])


def test_the_device_that_solved_is_in_the_record(overlapping, monkeypatch):
    bench, _, _ = overlapping
    record, arrays, _ = bench.run("probe", ProbeParams())
    assert record["solved_on"] == ["cpu"]
    assert "torch" not in record["versions"]
    on_torch = svm_torch.solve_path
    monkeypatch.setattr(svm_torch, "solve_path", lambda *given: on_torch(*given[:-1], "cpu"))
    monkeypatch.setattr(solver, "WORTH_A_GPU", 0)
    monkeypatch.setattr(device_session, "open_device", lambda _: None)
    monkeypatch.setattr(devices, "choose", lambda _: devices.Device("cuda:0", "made", "fp32"))
    again, others, _ = bench.run("probe", ProbeParams())
    assert again["solved_on"] == ["cuda:0"]
    assert "torch" in again["versions"]
    assert again["metrics"]["accuracy"] == record["metrics"]["accuracy"]
    np.testing.assert_allclose(others["scores_test"], arrays["scores_test"], atol=1e-4)


def test_cancel_stops_between_fits(tmp_path):
    matrix, codes = blobs((30, 30), 5, 1.0)
    asked = []

    def cancelled():
        asked.append(1)
        return len(asked) > 1

    bench = Bench(tmp_path, table_of(matrix, codes, names=("a", "b")), cancelled=cancelled)
    with pytest.raises(Cancelled):
        bench.run("probe", ProbeParams())
    assert len(asked) == 2


def test_no_warning_of_the_solver_leaks(tmp_path):
    matrix, codes = blobs((60, 60), 40, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        Bench(tmp_path, table_of(matrix, codes, names=("a", "b"))).run("probe", ProbeParams())
