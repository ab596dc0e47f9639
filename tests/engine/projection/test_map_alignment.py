"""Maps turned onto each other, the proposed cell, and new images on a map."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import procrustes as scipy_procrustes

from medvlm_tui.engine.features.neighbours import unit_rows
from medvlm_tui.engine.new_images.placing import place
from medvlm_tui.engine.projection.clusters import find_clusters
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.map_choice import proposed
from medvlm_tui.measures.procrustes import procrustes, turn_by_common
from medvlm_tui.stages.records.projection import MapRecord
from tests.made.jobs import Bench, blobs, table_of


def turned(xy, angle=1.0):
    c, s = np.cos(angle), np.sin(angle)
    return 0.4 * xy @ np.array([[c, s], [s, -c]]) + [3.0, -7.0]  # mirrored too


def test_a_turned_map_comes_back():
    xy = np.random.default_rng(0).normal(size=(50, 2))
    turn = procrustes(xy, turned(xy))
    np.testing.assert_allclose(turn.apply(turned(xy)), xy, atol=1e-9)
    assert turn.disparity == pytest.approx(0.0, abs=1e-12)


def test_disparity_equals_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    assert procrustes(a, b).disparity == pytest.approx(scipy_procrustes(a, b)[2])


@pytest.mark.parametrize("xy", [np.zeros((4, 2)), np.ones((1, 2))])
def test_a_map_of_one_place_is_moved_only(xy):
    turn = procrustes(np.arange(2.0 * len(xy)).reshape(-1, 2), xy)
    assert np.isfinite(turn.apply(xy)).all()


def test_proposal_reads_no_labels():
    scores = [
        {"trustworthiness": 0.9, "continuity": 0.8, "knn_purity": 1.0},
        {"trustworthiness": 0.89, "continuity": 0.9, "knn_purity": 0.1},
        {"trustworthiness": None, "continuity": None},
    ]
    assert proposed(scores) == 1
    assert proposed(scores[2:]) == 0


def test_maps_are_turned_by_the_images_they_share():
    xy = np.random.default_rng(0).normal(size=(30, 2))
    turn = turn_by_common(xy, np.arange(30), turned(xy)[5:][::-1], np.arange(5, 30)[::-1])
    np.testing.assert_allclose(turn.apply(turned(xy)), xy, atol=1e-9)
    assert turn_by_common(xy, np.arange(30), xy, np.arange(30) + 100).disparity == 1.0


def stored_maps(bench, scores):
    """Cells n_neighbors x min_dist of turned and shaken copies of one map; returns it."""
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(30, 2)) + np.array([[0.0, 0.0], [12.0, 0.0]])[np.arange(30) % 2]
    for position, (key, score) in enumerate(scores.items()):
        record = replace(
            MapRecord.example(),
            n_neighbors=(5, 15)[position // 2],
            min_dist=(0.1, 0.5)[position % 2],
            scores={"trustworthiness": score, "continuity": score},
            n=30,
        )
        shown = turned(xy, float(position)) + 0.01 * rng.normal(size=xy.shape)
        bench.store.put_result(key, {"xy": shown.astype(np.float32), "rows": np.arange(30)}, record)
    return xy


def test_step_proposes_a_cell_and_turns_the_others_from_neighbour_to_neighbour(tmp_path):
    bench = Bench(tmp_path, table_of(np.zeros((30, 4)), np.arange(30) % 2))
    stored_maps(bench, {"a": 0.7, "b": 0.8, "c": 0.75, "d": 0.95})
    record, arrays, _ = bench.run("grid", {"maps": ["a", "b", "c", "d"]})
    assert record["proposed"] == "d"
    assert {cell["key"]: cell["onto"] for cell in record["cells"]} == {"d": None, "b": "d", "c": "d", "a": "b"}
    assert arrays["xy"].shape == (4, 30, 2)
    for cell, xy in zip(record["cells"], arrays["xy"], strict=True):
        found = bench.store.result(cell["key"])
        back = cell["scale"] * found.arrays["xy"] @ np.array(cell["rotation"]) + cell["shift"]
        np.testing.assert_allclose(back, xy, atol=1e-4)
        np.testing.assert_allclose(xy, arrays["xy"][3], atol=0.2)
        assert cell["disparity"] < 0.01
    assert [(c["size"], c["label"], c["share"]) for c in record["clusters"]] == [(15, "a", 1.0), (15, "b", 1.0)]


def test_step_with_a_missing_map_is_refused(tmp_path):
    bench = Bench(tmp_path, table_of(np.zeros((30, 4)), np.arange(30) % 2))
    stored_maps(bench, {"a": 0.7, "b": 0.8})
    with pytest.raises(MedvlmError, match="1 of 3 maps"):
        bench.run("grid", {"maps": ["a", "gone", "b"]})


@pytest.mark.parametrize("xy", [np.zeros((40, 2)), np.zeros((3, 2)), np.arange(8.0).reshape(4, 2)])
def test_few_or_equal_points_have_no_clusters(xy):
    clusters, described = find_clusters(xy.astype(np.float32), ["a"] * len(xy))
    assert (clusters == -1).all()
    assert described == []


def test_a_row_of_the_map_lies_on_itself_and_a_new_one_in_its_class():
    matrix, codes = blobs((40, 40), 10, 12.0)
    units = unit_rows(matrix)
    xy = (np.array([[0.0, 0.0], [100.0, 0.0]])[codes] + np.random.default_rng(0).normal(size=(80, 2))).astype(
        np.float32
    )
    np.testing.assert_allclose(place(units, units, xy, 10), xy, atol=1e-4)
    new = unit_rows(matrix + 0.3 * np.random.default_rng(1).normal(size=matrix.shape))
    placed = place(new, units, xy, 10)
    assert ((placed[:, 0] > 50) == (codes == 1)).all()
    # Alone as among others, but for the rounding of a matrix product of another size.
    np.testing.assert_allclose(placed[:7], place(new[:7], units, xy, 10), atol=1e-4)


def test_placing_on_few_or_equal_points():
    xy = np.zeros((2, 2), dtype=np.float32)
    assert np.isfinite(place(unit_rows(np.eye(2)), unit_rows(np.ones((2, 2))), xy, 15)).all()
    assert np.isfinite(place(unit_rows(np.zeros((1, 2))), unit_rows(np.zeros((2, 2))), xy, 15)).all()
