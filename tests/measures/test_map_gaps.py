"""Far islands moved together: order and distances inside them stay, the frame is filled at least by half."""

import numpy as np

from medvlm_tui.measures.map_gaps import LEAST_FILLED, Gaps, filled


def islands(apart: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([rng.uniform(0, 1, (50, 2)), apart + rng.uniform(0, 1, (50, 2))])


def test_far_islands_come_near_and_keep_their_shape() -> None:
    xy = islands(20.0)
    assert filled(xy[:, 0]) < 0.15
    gaps = Gaps.of(xy)
    assert gaps
    closed = gaps.close(xy)
    for axis in (0, 1):
        assert filled(closed[:, axis]) >= LEAST_FILLED
        assert (np.argsort(xy[:, axis], kind="stable") == np.argsort(closed[:, axis], kind="stable")).all()
        for part in (slice(0, 50), slice(50, 100)):
            assert np.allclose(np.diff(xy[part, axis]), np.diff(closed[part, axis]))


def test_a_map_that_fills_its_frame_stays_as_it_is() -> None:
    xy = islands(1.0)
    assert not Gaps.of(xy)
    assert Gaps.of(xy).close(xy) is xy
    assert not Gaps.of(np.zeros((0, 2)))
    assert not Gaps.of(np.full((3, 2), np.nan))


def test_one_point_far_away_does_not_push_all_others_into_a_corner() -> None:
    xy = np.concatenate([np.random.default_rng(1).uniform(0, 1, (200, 2)), [[80.0, 0.5]]])
    gaps = Gaps.of(xy)
    assert gaps.up is None
    closed = gaps.close(xy)
    assert filled(closed[:, 0]) >= LEAST_FILLED
    assert closed[-1, 0] == closed[:, 0].max()
    # Another map's points go with it, those beyond the ends too.
    assert gaps.close(np.array([[81.0, 0.5]]))[0, 0] > closed[-1, 0]
