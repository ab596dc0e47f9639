"""Each measure against a reference, or against spaces where its value is known."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import skew
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import davies_bouldin_score, silhouette_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from medvlm_tui.engine.features.neighbours import cosine_neighbours, unit_rows
from medvlm_tui.engine.separability import measures
from medvlm_tui.engine.separability.step import class_measures, open_space, space_measures
from medvlm_tui.stages.params.separability import SeparabilityParams
from tests.made.jobs import Bench, blobs, table_of


def no_check():
    pass


def space_of(matrix, codes, neighbours=5):
    return open_space(np.asarray(matrix), np.asarray(codes), SeparabilityParams(neighbours=neighbours), no_check)


def test_class_measures_equal_references():
    matrix, codes = blobs((50, 40, 30), 10, 4.0)
    found = class_measures(space_of(matrix, codes), codes)
    assert found["silhouette"] == pytest.approx(silhouette_score(matrix, codes, metric="cosine"), abs=1e-5)
    assert found["davies_bouldin"] == pytest.approx(davies_bouldin_score(matrix, codes), rel=1e-5)
    near = NearestNeighbors(n_neighbors=5, metric="cosine").fit(matrix).kneighbors(return_distance=False)
    assert found["knn_purity"] == pytest.approx((codes[near] == codes[:, None]).mean(), abs=1e-3)
    units = unit_rows(matrix).astype(float)
    pairs = np.concatenate([pdist(units[codes == c]) ** 2 for c in range(3)])
    assert found["alignment"] == pytest.approx(pairs.mean(), rel=1e-6)


def test_fisher_ratio_equals_the_scatter_matrices():
    matrix, codes = blobs((30, 20), 5, 3.0)
    wide = matrix.astype(float)
    lda = LinearDiscriminantAnalysis(solver="eigen").fit(wide, codes)
    within = np.trace(lda.covariance_) * len(wide)  # scikit-learn's is the classes' covariances, weighted by size
    total = ((wide - wide.mean(axis=0)) ** 2).sum()
    assert measures.fisher_ratio(wide, codes) == pytest.approx((total - within) / within, rel=1e-9)


def test_kmeans_finds_far_classes_and_not_mixed_ones():
    matrix, codes = blobs((40, 40), 6, 40.0)
    far = class_measures(space_of(matrix, codes), codes)
    assert (far["kmeans_ari"], far["kmeans_nmi"]) == (pytest.approx(1.0), pytest.approx(1.0))
    mixed = class_measures(space_of(matrix, codes), np.arange(80) % 2)
    assert abs(mixed["kmeans_ari"]) < 0.1


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_rank_me_and_participation_ratio_of_flat_spectra(rank):
    spectrum = np.concatenate([np.full(rank, 3.0), np.zeros(32 - rank)])
    assert measures.rank_me(spectrum) == pytest.approx(rank, rel=1e-3)
    assert measures.participation_ratio(spectrum) == pytest.approx(rank)


def test_participation_ratio_of_a_known_covariance():
    covariance = np.cov(blobs((200,), 5, 0.0)[0].T)
    space = space_of(blobs((200,), 5, 0.0)[0], np.zeros(200, dtype=int))
    wanted = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    assert space_measures(space)["participation_ratio"] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_two_nn_finds_the_dimension_of_a_manifold(dimension):
    rng = np.random.default_rng(0)
    inner = rng.uniform(size=(3000, dimension))
    distances, _ = NearestNeighbors(n_neighbors=3).fit(inner).kneighbors()
    assert measures.two_nn(distances[:, 0], distances[:, 1]) == pytest.approx(dimension, rel=0.1)


def test_intrinsic_dimension_of_unit_rows_on_a_sphere():
    matrix = (
        np.random.default_rng(0).normal(size=(2000, 4))
        @ np.linalg.qr(np.random.default_rng(1).normal(size=(9, 4)))[0].T
    )
    found = space_measures(space_of(matrix, np.zeros(2000, dtype=int)))["intrinsic_dimension"]
    assert found == pytest.approx(3.0, rel=0.1)


def test_uniformity_equals_all_pairs_and_is_worst_for_one_point():
    matrix, codes = blobs((600,), 8, 0.0)
    units = unit_rows(matrix).astype(float)
    assert measures.uniformity(units) == pytest.approx(np.log(np.exp(-2 * pdist(units) ** 2).mean()), rel=1e-6)
    assert measures.uniformity(np.ones((10, 1))) == pytest.approx(0.0)
    assert codes.max() == 0


def test_hubness_is_the_skewness_of_the_counts():
    matrix, _ = blobs((300,), 40, 0.0)
    near = cosine_neighbours(unit_rows(matrix), 11, no_check)
    wanted = skew(np.bincount(near.indices[:, 1:].ravel(), minlength=300))
    assert measures.hubness(near) == pytest.approx(wanted)


def test_a_row_that_is_everyones_neighbour_is_a_hub():
    star = np.concatenate([np.eye(30) + 0.2, np.ones((1, 30))])
    near = cosine_neighbours(unit_rows(star), 2, no_check)
    assert measures.hubness(near) > 4


def test_step_separates_true_classes_from_drawn_ones(tmp_path):
    matrix, codes = blobs((40, 40), 8, 5.0)
    record, _, _ = Bench(tmp_path / "a", table_of(matrix, codes)).run(
        "separability", {"permutations": 49, "neighbours": 5}
    )
    assert record["p_values"]["knn_purity"] == record["p_values"]["davies_bouldin"] == pytest.approx(1 / 50)
    assert record["purity_by_chance"] == pytest.approx(39 / 79)
    drawn = np.random.default_rng(3).integers(0, 2, 80)
    record, _, _ = Bench(tmp_path / "b", table_of(matrix, drawn)).run("separability", {"permutations": 49})
    assert record["p_values"]["knn_purity"] > 0.05
    assert record["p_values"]["silhouette"] > 0.05


@pytest.mark.parametrize(
    ("matrix", "codes"),
    [
        (np.ones((1, 4)), [0]),
        (np.eye(2), [0, 1]),
        (np.eye(3), [0, 1, 2]),
        (np.ones((20, 4)), [0, 1] * 10),
        (np.zeros((20, 4)), [0, 1] * 10),
        (np.random.default_rng(0).normal(size=(20, 4)), [0] * 20),
    ],
)
def test_degenerate_sets_have_measures_or_none(tmp_path, matrix, codes):
    record, _, _ = Bench(tmp_path, table_of(matrix, codes)).run("separability", {"permutations": 3})
    values = [*record["measures"].values(), *record["p_values"].values()]
    assert all(value is None or np.isfinite(value) for value in values)


def test_purity_is_what_a_nearest_neighbour_classifier_votes():
    matrix, codes = blobs((30, 30), 4, 3.0)
    near = cosine_neighbours(unit_rows(matrix), 2, no_check)
    units = unit_rows(matrix)
    left_out = [
        KNeighborsClassifier(1, metric="cosine")
        .fit(np.delete(units, i, 0), np.delete(codes, i))
        .predict(units[i : i + 1])
        == codes[i]
        for i in range(60)
    ]
    assert measures.knn_purity(near, codes) == pytest.approx(np.mean(left_out))
