"""The map: reproducible, faithful where it should be, alive on degenerate input."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import cosine_distances
from sklearn.neighbors import NearestNeighbors

from medvlm_tui.engine.features.neighbours import cosine_neighbours, unit_rows
from medvlm_tui.engine.projection import map_scores
from medvlm_tui.errors import Cancelled, UsageError
from medvlm_tui.measures.draws import stratified_subsample
from medvlm_tui.measures.silhouette import cosine_silhouette
from medvlm_tui.stages.params.projection import ProjectionParams
from tests.made.jobs import Bench, blobs, table_of


def no_check():
    pass


def continuity_by_hand(distances, xy, k):
    """Venna and Kaski's definition, point by point."""
    n = len(xy)
    penalty = 0
    for i in range(n):
        others = np.delete(np.arange(n), i)
        on_map = others[np.argsort(np.linalg.norm(xy[others] - xy[i], axis=1), kind="stable")]
        in_features = others[np.argsort(distances[i, others], kind="stable")[:k]]
        lost = set(in_features) - set(on_map[:k])
        penalty += sum(int(np.flatnonzero(on_map == j)[0]) + 1 - k for j in lost)
    return 1 - 2 * penalty / (n * k * (2 * n - 3 * k - 1))


def test_map_separates_classes_and_repeats_to_the_byte(tmp_path):
    matrix, codes = blobs((40, 40, 30), 20, 12.0)
    bench = Bench(tmp_path, table_of(matrix, codes, names=("a", "b", "c")))
    record, arrays, events = bench.run("project", ProjectionParams())
    _, again, _ = bench.run("project", ProjectionParams())
    np.testing.assert_array_equal(arrays["xy"], again["xy"])
    _, other, _ = bench.run("project", ProjectionParams(seed=1))
    assert not np.array_equal(arrays["xy"], other["xy"])
    assert arrays["xy"].shape == (110, 2)
    assert arrays["xy"].dtype == np.float32
    np.testing.assert_array_equal(arrays["rows"], np.arange(110))
    assert record["scores"]["knn_purity"] > 0.95
    assert record["scores"]["trustworthiness"] > 0.7
    assert (record["n"], record["subsampled"], record["note"]) == (110, False, "")
    assert events[-1].summary == record["scores"]


def test_neighbours_equal_sklearn():
    matrix, _ = blobs((700,), 12, 0.0)
    found = cosine_neighbours(unit_rows(matrix), 10, no_check)
    distances, indices = NearestNeighbors(n_neighbors=10, metric="cosine").fit(matrix.astype(float)).kneighbors()
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(700))
    np.testing.assert_allclose(found.distances[:, 1:], distances[:, :9], atol=1e-6)
    assert (found.indices[:, 1:] == indices[:, :9]).mean() > 0.999
    np.testing.assert_array_equal(found.first(4).indices, found.indices[:, :4])


def test_a_row_is_its_own_first_neighbour_among_duplicates():
    found = cosine_neighbours(unit_rows(np.repeat(np.eye(3), 5, axis=0)), 4, no_check)
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(15))
    assert not found.distances.any()


def test_rows_of_any_length_become_units():
    rows = unit_rows(np.array([[3e30, 4e30], [3e-30, 4e-30], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)


@pytest.mark.parametrize("n", [40, 700])
def test_scores_equal_sklearn(n):
    matrix, codes = blobs((n // 2, n // 2), 8, 1.5)
    xy = matrix[:, :2] + 0.1 * np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    units = unit_rows(matrix)
    features = map_scores.FeatureRanks(units, cosine_neighbours(units, 16, no_check))
    scores = map_scores.map_scores(features, xy, codes)
    wanted = trustworthiness(cosine_distances(matrix), xy, n_neighbors=15, metric="precomputed")
    assert scores["trustworthiness"] == pytest.approx(wanted, abs=2e-4)
    swapped = map_scores.continuity(features.near, xy, 15)
    assert scores["continuity"] == swapped
    assert swapped == pytest.approx(continuity_by_hand(cosine_distances(matrix), xy, 15), abs=2e-4)
    assert scores["silhouette"] == pytest.approx(silhouette_score(xy, codes), abs=1e-6)
    wanted = silhouette_score(matrix, codes, metric="cosine")
    assert scores["silhouette_features"] == pytest.approx(wanted, abs=1e-6)
    _, near = NearestNeighbors(n_neighbors=15).fit(xy).kneighbors()
    assert scores["knn_purity"] == pytest.approx((codes[near] == codes[:, None]).mean(), abs=1e-3)


def test_silhouette_with_a_class_of_one_and_a_zero_row():
    matrix = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0, 0.0]])
    codes = np.array([0, 0, 1, 1, 2])
    wanted = silhouette_score(cosine_distances(matrix), codes, metric="precomputed")
    assert cosine_silhouette(unit_rows(matrix), codes) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7])
def test_few_points_give_a_picture(tmp_path, n):
    matrix, _ = blobs((n,), 6, 0.0)
    bench = Bench(tmp_path, table_of(matrix, np.arange(n) % 2, names=("a", "b")))
    record, arrays, _ = bench.run("project", ProjectionParams())
    assert arrays["xy"].shape == (n, 2)
    assert np.isfinite(arrays["xy"]).all()
    assert "too few" in record["note"] or f"reduced from 15 to {n - 1}" in record["note"]


@pytest.mark.parametrize("matrix", [np.ones((30, 4)), np.zeros((30, 4))])
def test_identical_points_give_a_picture_and_a_note(tmp_path, matrix):
    record, arrays, _ = Bench(tmp_path, table_of(matrix, np.arange(30) % 2)).run("project", ProjectionParams())
    assert np.isfinite(arrays["xy"]).all()
    assert "same features" in record["note"]


def test_one_class_has_no_class_scores(tmp_path):
    matrix, codes = blobs((30,), 6, 0.0)
    record, _, _ = Bench(tmp_path, table_of(matrix, codes)).run("project", ProjectionParams())
    assert record["scores"]["silhouette"] is None
    assert record["scores"]["knn_purity"] is None
    assert record["scores"]["trustworthiness"] is not None


def test_failed_spectral_start_falls_back_to_principal_components(tmp_path, monkeypatch):
    from scipy.sparse.linalg import ArpackError
    from umap import spectral

    def fail(*_args, **_kwargs):
        raise ArpackError(-9999, {-9999: "made to fail"})

    monkeypatch.setattr(spectral.scipy.sparse.linalg, "eigsh", fail)
    matrix, codes = blobs((20, 20), 6, 1.0)
    record, arrays, _ = Bench(tmp_path, table_of(matrix, codes)).run("project", ProjectionParams())
    assert "principal components" in record["note"]
    assert np.isfinite(arrays["xy"]).all()


def test_subsample_keeps_shares_and_every_class():
    codes = np.repeat([0, 1, 2], [900, 98, 2])
    rows = stratified_subsample(codes, 100, 0)
    counts = np.bincount(codes[rows])
    assert counts.sum() == 100
    assert counts[2] == 1
    assert counts[0] in (89, 90)
    np.testing.assert_array_equal(rows, stratified_subsample(codes, 100, 0))
    assert not np.array_equal(rows, stratified_subsample(codes, 100, 1))
    assert (np.diff(rows) > 0).all()


def test_subsampled_map_says_so(tmp_path):
    matrix, codes = blobs((60, 60), 6, 1.0)
    record, arrays, _ = Bench(tmp_path, table_of(matrix, codes)).run("project", ProjectionParams(max_points=40))
    assert record["subsampled"]
    assert record["n"] == 120
    assert arrays["xy"].shape == (40, 2)
    assert len(arrays["rows"]) == 40


@pytest.mark.parametrize("params", [ProjectionParams(n_neighbors=1), ProjectionParams(min_dist=1.5)])
def test_parameters_outside_their_range_are_refused(tmp_path, params):
    matrix, codes = blobs((20, 20), 6, 1.0)
    with pytest.raises(UsageError, match=r"min_dist|n_neighbors"):
        Bench(tmp_path, table_of(matrix, codes)).run("project", params)


def test_cancel(tmp_path):
    matrix, codes = blobs((20, 20), 6, 1.0)
    with pytest.raises(Cancelled):
        Bench(tmp_path, table_of(matrix, codes), cancelled=lambda: True).run("project", ProjectionParams())
