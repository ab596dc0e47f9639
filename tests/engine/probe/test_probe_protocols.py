"""The protocols beside the paper's: by group, by neighbours, with few labels; each against a plain computation."""

import math
import operator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from medvlm_tui.engine.features.exact_neighbours import wide_unit_rows
from medvlm_tui.engine.probe import knn
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.params.probe import ProbeParams, SplitParams
from medvlm_tui.stages.protocols import DRAWS, NEIGHBOR_COUNTS, PAPER_T_GRID, SHOTS
from tests.made.jobs import Bench, blobs, table_of

NAMES = ("a", "b", "c")


def made(folder, counts=(60, 45, 40), dim=8, distance=2.0, groups=None, paths=None):
    matrix, codes = blobs(counts, dim, distance)
    table = table_of(matrix, codes, NAMES[: len(counts)])
    if groups is not None:
        table = replace(table, groups=tuple(groups(codes)))
    return Bench(folder, table, paths=paths), matrix, codes


def grouped_by_five(codes):
    """Groups of five images of one class each."""
    seen = dict.fromkeys(range(codes.max() + 1), 0)
    for c in codes.tolist():
        seen[c] += 1
        yield f"patient {c}-{(seen[c] - 1) // 5}"


def test_every_protocol_reports_the_same_split_and_metrics(tmp_path):
    bench, _, codes = made(tmp_path)
    found = {p: bench.run("probe", ProbeParams(p)) for p in ("paper", "knn", "few_shot")}
    held = found["paper"][1]["hold_out"]
    for protocol, (record, arrays, events) in found.items():
        np.testing.assert_array_equal(arrays["hold_out"], held)
        assert record["protocol"] == protocol
        assert record["n_train"] + record["n_test"] == len(codes)
        assert record["grouping"] is None
        accuracy = [(p == codes[held]).mean() for p in arrays["predicted_test"]]
        assert record["metrics"]["accuracy"]["folds"] == pytest.approx(accuracy)
        assert record["metrics"]["accuracy"]["std"] == pytest.approx(np.std(accuracy))
        assert events[-1].summary["accuracy"] == pytest.approx(np.mean(accuracy))


def test_neighbours_vote_as_in_sklearn(tmp_path):
    bench, matrix, codes = made(tmp_path)
    record, arrays, _ = bench.run("probe", ProbeParams("knn"))
    fold, held = arrays["fold"], arrays["hold_out"]
    f1 = np.zeros((3, 5))
    for i, k in enumerate(NEIGHBOR_COUNTS):
        for f in range(5):
            train, own = np.flatnonzero((fold >= 0) & (fold != f)), np.flatnonzero(fold == f)
            theirs = KNeighborsClassifier(k, metric="cosine").fit(matrix[train], codes[train])
            f1[i, f] = f1_score(codes[own], theirs.predict(matrix[own]), average="macro")
            np.testing.assert_array_equal(arrays["predicted_readings"][i, f], theirs.predict(matrix[held]))
            if k == record["k"]:
                np.testing.assert_allclose(arrays["scores_test"][f], theirs.predict_proba(matrix[held]))
                np.testing.assert_allclose(arrays["scores_validation"][own], theirs.predict_proba(matrix[own]))
    np.testing.assert_allclose(arrays["validation_macro_f1"], f1)
    assert record["k"] == NEIGHBOR_COUNTS[int(np.argmax(f1.mean(axis=1)))]
    assert [one["value"] for one in record["readings"]] == list(NEIGHBOR_COUNTS)
    assert record["metrics"] == record["readings"][NEIGHBOR_COUNTS.index(record["k"])]["metrics"]
    final = KNeighborsClassifier(record["k"], metric="cosine").fit(matrix[fold >= 0], codes[fold >= 0])
    np.testing.assert_array_equal(arrays["final_predicted"], final.predict(matrix[held]))
    assert record["t"] is None
    assert not record["saturated"]


def test_tied_neighbours_go_to_the_lower_row_at_the_last_place_too():
    rng = np.random.default_rng(0)
    known = np.repeat(rng.normal(size=(30, 6)), 3, axis=0)[rng.permutation(90)]
    queries, codes = rng.normal(size=(200, 6)), rng.integers(0, 3, 90)
    shares = knn.votes(wide_unit_rows(queries), wide_unit_rows(known), codes, 3, (1, 5, 20), lambda: None)
    for q, query in enumerate(queries.tolist()):
        length = math.hypot(*query)
        cosine = [
            round(math.fsum(map(operator.mul, query, row)) / length / math.hypot(*row), 11) for row in known.tolist()
        ]
        order = sorted(range(90), key=lambda row: (-cosine[row], row))
        for i, k in enumerate((1, 5, 20)):
            np.testing.assert_allclose(shares[i, q], np.bincount(codes[order[:k]], minlength=3) / k)


def test_neighbours_in_a_collapsed_space_are_those_of_float64(tmp_path):
    matrix, codes = blobs((60, 60), 16, 2.0)
    table = table_of(matrix * 1e-3 + 1, codes)
    bench, matrix = Bench(tmp_path, table), table.matrix.astype(np.float64)
    record, arrays, _ = bench.run("probe", ProbeParams("knn"))
    fold, held = arrays["fold"], arrays["hold_out"]
    for i, k in enumerate(NEIGHBOR_COUNTS):
        for f in range(5):
            train = np.flatnonzero((fold >= 0) & (fold != f))
            theirs = KNeighborsClassifier(k, metric="cosine").fit(matrix[train], codes[train])
            np.testing.assert_array_equal(arrays["predicted_readings"][i, f], theirs.predict(matrix[held]))
    assert record["metrics"]["accuracy"]["mean"] > 0.5


def test_more_neighbours_than_images_are_left_out_and_said(tmp_path):
    bench, _, _ = made(tmp_path, counts=(8, 8))
    record, _, _ = bench.run("probe", ProbeParams("knn", SplitParams(folds=3)))
    assert [one["value"] for one in record["readings"]] == [1, 5]
    assert any("k = 20" in warning for warning in record["warnings"])


def test_few_shots_are_the_pipeline_on_the_rows_drawn(tmp_path):
    bench, matrix, codes = made(tmp_path)
    record, arrays, _ = bench.run("probe", ProbeParams("few_shot"))
    held = arrays["hold_out"]
    assert arrays["predicted_readings"].shape == (len(SHOTS), DRAWS, len(held))
    assert len({tuple(rows) for rows in arrays["drawn_rows"].tolist()}) == DRAWS
    for rows, scores in list(zip(arrays["drawn_rows"], arrays["scores_test"], strict=True))[:3]:
        assert not np.isin(rows, held).any()
        assert np.bincount(codes[rows]).tolist() == [SHOTS[-1]] * 3
        scaler = StandardScaler().fit(matrix[rows].astype(np.float64))
        svc = LinearSVC(C=8 / len(rows), dual=False, tol=1e-10, max_iter=100_000)
        svc.fit(scaler.transform(matrix[rows].astype(np.float64)), codes[rows])
        values = svc.decision_function(scaler.transform(matrix[held].astype(np.float64)))
        np.testing.assert_allclose(scores, values, atol=1e-4)
    assert (arrays["fold"][held] == -1).all()
    assert set(arrays["fold"].tolist()) == {-1, -2}
    assert "final_scores" not in arrays
    assert record["metrics"]["ece"]["mean"] is None


def test_the_learning_curve_rises_from_one_image_a_class_to_all(tmp_path):
    bench, _, _ = made(tmp_path, counts=(100, 80, 60), dim=20, distance=3.0)
    record, _, _ = bench.run("probe", ProbeParams("few_shot"))
    curve = [(one["value"], one["n_train"], one["metrics"]["accuracy"]["mean"]) for one in record["readings"]]
    assert [value for value, _, _ in curve] == [*SHOTS, None]
    assert [n for _, n, _ in curve] == [3, 6, 12, 24, 48, record["n_train"]]
    assert curve[0][2] < curve[3][2] < curve[5][2]


def test_a_class_with_few_images_gives_all_it_has_and_is_named(tmp_path):
    bench, _, codes = made(tmp_path, counts=(60, 45, 10))
    record, arrays, _ = bench.run("probe", ProbeParams("few_shot"))
    assert np.bincount(codes[arrays["drawn_rows"][0]]).tolist() == [16, 16, 8]
    assert any(warning.endswith("c 8") for warning in record["warnings"])


def test_groups_of_the_dataset_stay_on_one_side(tmp_path):
    bench, _, _ = made(tmp_path, groups=grouped_by_five)
    record, arrays, _ = bench.run("probe", ProbeParams("grouped"))
    for group in np.unique(arrays["group"]):
        assert len(set(arrays["fold"][arrays["group"] == group].tolist())) == 1
    assert record["t_grid"] == list(PAPER_T_GRID)
    assert record["grouping"] == {"kind": "dataset", "groups": 29, "shared": 29, "largest": 5}
    assert "final_coef" in arrays


def test_a_fold_without_a_class_is_said(tmp_path):
    """Class c has three patients: one is held out, so that three of five folds are validated without it."""

    def rare(codes):
        return (f"c{i % 3}" if c == 2 else f"i{i}" for i, c in enumerate(codes.tolist()))

    bench, _, _ = made(tmp_path, counts=(60, 45, 12), groups=rare)
    record, arrays, _ = bench.run("probe", ProbeParams("grouped"))
    held_folds = {int(f) for f in arrays["fold"][arrays["labels"] == 2] if f >= 0}
    short = [warning for warning in record["warnings"] if "is validated without c" in warning]
    assert len(short) == 5 - len(held_folds) == 3
    assert record["metrics"]["macro_f1"]["mean"] > 0


def pictures(folder, codes, copies):
    """Noise images by sample id; the last `copies` of class a show its first one's picture, scaled."""
    rng = np.random.default_rng(0)
    own = np.flatnonzero(codes == 0)
    for row in range(len(codes)):
        noise = Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8))
        noise.resize((64, 64)).convert("RGB").save(folder / f"{row}.png")
    for row in own[len(own) - copies :]:
        Image.open(folder / f"{own[0]}.png").resize((72, 72)).save(folder / f"{row}.png")
    return {f"i{row}": folder / f"{row}.png" for row in range(len(codes))}


def test_without_groups_images_that_look_alike_stay_together(tmp_path):
    _, codes = blobs((30, 30), 8, 2.0)
    bench, _, _ = made(tmp_path, counts=(30, 30), paths=pictures(tmp_path, codes, 4))
    record, arrays, _ = bench.run("probe", ProbeParams("grouped"))
    assert record["grouping"] == {"kind": "near_duplicates", "groups": 56, "shared": 1, "largest": 5}
    together = arrays["fold"][np.bincount(arrays["group"])[arrays["group"]] == 5]
    assert len(together) == 5
    assert len(set(together.tolist())) == 1
    for path in tmp_path.glob("*.png"):
        path.unlink()  # the clusters are in the store: no image is read again
    again, _, _ = bench.run("probe", ProbeParams("grouped", SplitParams(seed=1)))
    assert again["grouping"] == record["grouping"]


def test_nothing_to_group_by_is_refused(tmp_path):
    _, codes = blobs((30, 30), 8, 2.0)
    bench, _, _ = made(tmp_path, counts=(30, 30), paths=pictures(tmp_path, codes, 0))
    with pytest.raises(MedvlmError, match="no two of its images show the same picture"):
        bench.run("probe", ProbeParams("grouped"))


@pytest.mark.parametrize("protocol", ["paper", "knn", "few_shot"])
def test_a_class_with_fewer_members_than_folds_is_named(tmp_path, protocol):
    bench, _, _ = made(tmp_path, counts=(30, 30, 4))
    with pytest.raises(MedvlmError, match=r"too few images for 5 folds.*: c 4"):
        bench.run("probe", ProbeParams(protocol))


def test_calibrated_probabilities_are_stored(tmp_path):
    bench, _, codes = made(tmp_path)
    for protocol in ("paper", "knn"):
        record, arrays, _ = bench.run("probe", ProbeParams(protocol))
        truth, probabilities = codes[arrays["hold_out"]], arrays["probabilities_test"]
        assert probabilities.shape == arrays["scores_test"].shape
        np.testing.assert_allclose(probabilities.sum(axis=2), 1, atol=1e-6)
        for fold, shares in enumerate(probabilities):
            predicted = arrays["predicted_test"][fold]
            confidence = shares[np.arange(len(truth)), predicted].astype(np.float64)
            bins = np.minimum((confidence * 15).astype(int), 14)
            gap = np.bincount(bins, weights=(predicted == truth) - confidence, minlength=15)
            assert record["metrics"]["ece"]["folds"][fold] == pytest.approx(np.abs(gap).sum() / len(truth), abs=0.02)
        assert arrays["final_probabilities"].shape == arrays["final_scores"].shape


def test_an_unknown_protocol_is_refused(tmp_path):
    bench, _, _ = made(tmp_path)
    with pytest.raises(MedvlmError, match="unknown protocol zero_shot"):
        bench.run("probe", ProbeParams("zero_shot"))
