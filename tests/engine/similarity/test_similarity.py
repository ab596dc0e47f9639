"""Similarities of models: exact where the answer is known, near chance where there is nothing to find."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.stats import t

from medvlm_tui.engine.features.neighbours import cosine_neighbours, unit_rows
from medvlm_tui.engine.similarity.deletions import procrustes_left_out
from medvlm_tui.engine.similarity.measures import DebiasedCka, MutualNeighbours, ProcrustesDistance
from medvlm_tui.engine.similarity.step import Space, compare
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.params.similarity import SimilarityParams
from tests.made.jobs import Bench, blobs, table_of


def no_check():
    pass


def rotated(x, seed=0):
    return 3.0 * x @ np.linalg.qr(np.random.default_rng(seed).normal(size=(x.shape[1], x.shape[1])))[0] + 2.0


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(120, 30)) * np.arange(1, 31)


def biased_cka(x, y):
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))


def test_cka_is_one_for_a_rotation_and_near_zero_for_independent_rows(x):
    assert DebiasedCka.of(x, x).value() == pytest.approx(1.0)
    assert DebiasedCka.of(x, rotated(x)).value() == pytest.approx(1.0)
    y = np.random.default_rng(1).normal(size=(120, 400))
    assert abs(DebiasedCka.of(x, y).value()) < 0.05
    assert biased_cka(x, y) > 0.2  # what the debiasing is for


def test_cka_equals_the_definition_of_unbiased_hsic():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 4))

    def hsic(a, b):
        k, h = a @ a.T, b @ b.T
        total = 0.0
        from itertools import permutations

        for i, j, q, r in permutations(range(7), 4):
            total += k[i, j] * (h[i, j] + h[q, r] - 2 * h[i, q])
        return total / (7 * 6 * 5 * 4)

    wanted = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    assert DebiasedCka.of(x, y).value() == pytest.approx(wanted)


def test_cka_grows_with_what_is_shared(x):
    noise = np.random.default_rng(1).normal(size=x.shape) * np.arange(1, 31)
    values = [DebiasedCka.of(x, x + s * noise).value() for s in (0.0, 0.5, 1.0, 4.0)]
    assert values == sorted(values, reverse=True)


def test_procrustes_equals_scipy_and_ignores_rotation(x):
    y = x + np.random.default_rng(1).normal(size=x.shape) * 8
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    rotation, _ = orthogonal_procrustes(a, b)
    wanted = np.linalg.norm(a @ rotation - b) ** 2
    assert ProcrustesDistance.of(x, y).value() == pytest.approx(wanted, rel=1e-6)
    assert ProcrustesDistance.of(x, rotated(y)).value() == pytest.approx(wanted, rel=1e-6)
    assert ProcrustesDistance.of(x, rotated(x)).value() == pytest.approx(0.0, abs=1e-9)
    wide = np.concatenate([x, np.zeros((120, 300))], axis=1)  # more columns than rows
    assert ProcrustesDistance.of(wide, y).value() == pytest.approx(wanted, rel=1e-6)


def test_mutual_neighbours_by_sets(x):
    y = x + np.random.default_rng(1).normal(size=x.shape) * 10
    near = [cosine_neighbours(unit_rows(m), 6, no_check).indices[:, 1:].astype(np.int64) for m in (x, y)]
    wanted = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*near, strict=True)])
    assert MutualNeighbours(*near).value() == pytest.approx(wanted)
    assert MutualNeighbours(near[0], near[0]).value() == 1.0


def test_a_permutation_is_that_of_the_rows(x):
    y = x[:, :9] + np.random.default_rng(1).normal(size=(120, 9)) * 4
    order = np.random.default_rng(5).permutation(120)

    def near(rows):
        return cosine_neighbours(unit_rows(rows), 6, no_check).indices[:, 1:].astype(np.int64)

    assert DebiasedCka.of(x, y).value(order) == pytest.approx(DebiasedCka.of(x, y[order]).value())
    assert ProcrustesDistance.of(x, y).value(order) == pytest.approx(ProcrustesDistance.of(x, y[order]).value())
    permuted = MutualNeighbours(near(x), near(y)).value(order)
    assert permuted == pytest.approx(MutualNeighbours(near(x), near(y[order])).value())


def test_p_values(x):
    params = SimilarityParams(permutations=39)
    alike = compare({"cka": DebiasedCka.of(x, x), "procrustes": ProcrustesDistance.of(x, x)}, 120, params, no_check)
    assert (alike["cka_p"], alike["procrustes_p"]) == (pytest.approx(1 / 40), pytest.approx(1 / 40))
    y = np.random.default_rng(9).normal(size=(120, 30))
    assert compare({"cka": DebiasedCka.of(x, y)}, 120, params, no_check)["cka_p"] > 0.05


def named(**tables):
    return [{"model": model, "table": key} for model, key in tables.items()]


def two_models(folder, a, b, drop=0):
    codes = np.arange(len(a)) % 2
    bench = Bench(folder, table_of(a, codes))
    failed = {f"i{row}": "unreadable" for row in range(len(b) - drop, len(b))}
    bench.store.seal("other", replace(table_of(b[: len(b) - drop], codes[: len(b) - drop]), failed=failed))
    return bench, {"tables": named(stub="table", second="other"), "permutations": 19}


def test_step_compares_the_images_that_both_models_have(tmp_path, x):
    bench, params = two_models(tmp_path, x, rotated(x), drop=10)
    record, _, _ = bench.run("similarity", params)
    (pair,) = record["pairs"]
    assert (pair["n"], pair["used"]) == (110, 110)
    assert (pair["a"], pair["b"]) == ("stub", "second")
    assert pair["cka"] == pytest.approx(1.0, abs=1e-6)
    assert pair["cka_p"] == pytest.approx(1 / 20)
    assert pair["procrustes"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("rows", [np.ones((1, 3)), np.eye(2), np.ones((12, 3)), np.zeros((12, 3))])
def test_degenerate_sets_have_values_or_none(tmp_path, rows):
    bench, params = two_models(tmp_path, rows, rows)
    record, _, _ = bench.run("similarity", params)
    numbers = [value for name, value in record["pairs"][0].items() if name not in ("a", "b")]
    assert all(value is None or np.isfinite(value) for value in numbers)


def test_one_model_is_refused(tmp_path):
    matrix, codes = blobs((10, 10), 4, 1.0)
    with pytest.raises(MedvlmError, match="there is one"):
        Bench(tmp_path, table_of(matrix, codes)).run("similarity", {"tables": named(stub="table")})


def test_one_more_model_measures_its_own_pairs_only(tmp_path, x, monkeypatch):
    from medvlm_tui.engine.similarity import step as similarity

    bench, params = two_models(tmp_path, x, rotated(x))
    bench.store.seal("third", table_of(x[:, :9], np.arange(120) % 2))
    first, _, _ = bench.run("similarity", params)
    measured = []
    own = similarity.compare
    monkeypatch.setattr(similarity, "compare", lambda *a: measured.append(1) or own(*a))
    tables = named(stub="table", second="other", third="third")
    record, _, _ = bench.run("similarity", {**params, "tables": tables})
    assert len(measured) == 2
    assert [(p["a"], p["b"]) for p in record["pairs"]] == [("stub", "second"), ("stub", "third"), ("second", "third")]
    assert record["pairs"][0] == first["pairs"][0]


def left_out_by_hand(x, y, k):
    """Return CKA, mutual kNN and Procrustes of the step's pair (n, 3), measured anew without each image."""

    def near(rows):
        return cosine_neighbours(unit_rows(rows), k + 1, no_check).indices[:, 1:].astype(np.int64)

    def measured(a, b):
        measures = DebiasedCka.of(a, b), MutualNeighbours(near(a), near(b)), ProcrustesDistance.of(a, b)
        return [measure.value() for measure in measures]

    return np.array([measured(np.delete(x, i, axis=0), np.delete(y, i, axis=0)) for i in range(len(x))])


def test_intervals_are_those_of_leaving_out_each_image(tmp_path):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 6)).astype(np.float32).astype(np.float64)
    y = (x[:, :5] + rng.normal(size=(40, 5))).astype(np.float32).astype(np.float64)
    bench, params = two_models(tmp_path, x, y)
    (pair,) = bench.run("similarity", params)[0]["pairs"]
    values = left_out_by_hand(x, y, 10)
    half = t.ppf(0.975, 39) * np.sqrt(39 / 40 * ((values - values.mean(axis=0)) ** 2).sum(axis=0))
    for name, wide in zip(("cka", "mutual_knn", "procrustes"), half, strict=True):
        assert pair[f"{name}_low"] == pytest.approx(pair[name] - wide, rel=1e-6)
        assert pair[f"{name}_high"] == pytest.approx(pair[name] + wide, rel=1e-6)
        assert wide > 0.01


def test_a_space_beside_itself_has_no_interval_of_zero_width(tmp_path, x):
    bench, params = two_models(tmp_path, x, x)
    (pair,) = bench.run("similarity", params)[0]["pairs"]
    assert [pair[f"{name}_low"] for name in ("cka", "mutual_knn")] == [None, None]


def test_many_images_are_left_out_in_groups(x):
    y = x[:, :9] + np.random.default_rng(1).normal(size=(120, 9)) * 9
    measure = ProcrustesDistance.of(x, y)
    groups = np.array_split(np.random.default_rng(0).permutation(120), 100)
    wanted = [ProcrustesDistance.of(np.delete(x, g, axis=0), np.delete(y, g, axis=0)).value() for g in groups]
    assert procrustes_left_out(measure, 0, no_check) == pytest.approx(np.array(wanted))


def test_a_row_is_not_its_own_neighbour_where_rows_are_identical():
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(10, 8)), 7, axis=0)[rng.permutation(70)]
    for made in (rows, np.ones((70, 4)), np.zeros((70, 4))):
        space = Space.of(made, 10, no_check, "cpu")
        assert space.others.shape == (70, 10)
        assert not (space.others == np.arange(70)[:, None]).any()
        assert not (space.one_more == np.arange(70)[:, None]).any()
