"""Maps turned onto each other, the proposed cell, and new images on a map."""

import numpy as np
import pytest
from made_jobs import Bench, blobs, table_of
from scipy.spatial import procrustes as scipy_procrustes

from medvlm_tui.core.procrustes import procrustes
from medvlm_tui.engine.map_alignment import propose
from medvlm_tui.engine.neighbours import unit_rows
from medvlm_tui.engine.placing import place
from medvlm_tui.errors import MedvlmError


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
    assert propose(scores) == 1
    assert propose(scores[2:]) == 0


def test_step_turns_every_cell_to_the_first_models_proposal(tmp_path):
    matrix, codes = blobs((15, 15), 6, 1.0)
    bench = Bench(tmp_path, table_of(matrix, codes))
    xy = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    rows = np.arange(30)
    for key, shown, score in (("a1", xy, 0.9), ("a2", turned(xy), 0.8), ("b1", turned(xy, 2.0)[5:], 0.7)):
        record = {"n_neighbors": 15, "min_dist": 0.1, "scores": {"trustworthiness": score}}
        kept = rows[5:] if key == "b1" else rows
        bench.store.put_result(key, {"xy": np.asarray(shown, dtype=np.float32), "rows": kept}, record)
    maps = [{"model": key[0], "key": key} for key in ("a1", "a2", "b1", "missing")]
    record, _, _ = bench.run("grid", {"maps": maps})
    assert [model["proposed"] for model in record["models"]] == ["a1", "b1"]
    for model in record["models"]:
        for cell in model["cells"]:
            found = bench.store.result(cell["key"])
            back = cell["scale"] * found.arrays["xy"] @ np.array(cell["rotation"]) + cell["shift"]
            np.testing.assert_allclose(back, xy[found.arrays["rows"]], atol=1e-4)


def test_step_without_maps_is_refused(tmp_path):
    matrix, codes = blobs((5, 5), 4, 1.0)
    with pytest.raises(MedvlmError, match="no map"):
        Bench(tmp_path, table_of(matrix, codes)).run("grid", {"maps": [{"model": "a", "key": "missing"}]})


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
