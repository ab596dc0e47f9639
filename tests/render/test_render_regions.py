"""Regions of a map and the grid of small maps."""

import numpy as np

from medvlm_tui.render.regions import regions
from medvlm_tui.render.small_multiples import Panel, multiples, window


def two_blobs():
    rng = np.random.default_rng(0)
    xy = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(100, 2)) + 12, rng.normal(size=(2, 2)) - 20])
    codes = np.repeat([0, 1, 2], [200, 100, 2])
    codes[:20] = 1
    return xy, codes


def test_each_blob_is_named_by_the_class_that_prevails_and_specks_are_not() -> None:
    xy, codes = two_blobs()
    found = regions(xy, codes)
    assert [region.code for region in found] == [0, 1]
    assert found[0].images > 150
    assert 0.85 < found[0].share < 0.95
    assert found[1].share == 1.0
    assert np.hypot(found[0].x, found[0].y) < 3
    assert np.hypot(found[1].x - 12, found[1].y - 12) < 3


def test_regions_of_no_one_and_unplaced_points() -> None:
    assert regions(np.empty((0, 2)), np.empty(0, dtype=int)) == []
    assert regions(np.full((3, 2), np.nan), np.zeros(3, dtype=int)) == []
    (one,) = regions(np.zeros((10, 2)), np.zeros(10, dtype=int))
    assert (one.images, one.share) == (10, 1.0)
    # Of fewer than ten images no share is said.
    assert regions(np.zeros((9, 2)), np.zeros(9, dtype=int)) == []


def test_the_grid_fills_its_frame_and_marks_its_titles() -> None:
    xy, codes = two_blobs()
    panel = Panel(xy, codes, ("n 15 d 0.1  0.95", "15 0.1", "15"), "bold")
    drawn = multiples({(0, 0): panel, (1, 2): panel}, 2, 3, (0, 0), 60, 20)
    lines = drawn.plain.split("\n")
    assert len(lines) == 20
    assert {len(line) for line in lines} == {60}
    assert lines[0].startswith("n 15 d 0.1  0.95")
    assert lines[10].strip() == "n 15 d 0.1  0.95"
    narrow = multiples({(0, 0): panel}, 1, 6, (0, 0), 48, 6)
    assert narrow.plain.split("\n")[0].strip() == "15 0.1"


def test_what_does_not_fit_is_reached_by_the_current_panel() -> None:
    assert window(10, 80, 8, 0) == (0, 10)
    assert window(10, 40, 8, 9) == (5, 5)
    assert window(10, 40, 8, 5) == (3, 5)
    assert window(3, 2, 8, 2) == (2, 1)
