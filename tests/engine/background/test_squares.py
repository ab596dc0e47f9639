"""Squares over lesions and elsewhere: where they lie, and what fills them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.background.squares import TOO_LARGE, Squares, box_of, covered, extent, only, squares
from medvlm_tui.engine.images.geometry import view_of

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_the_box_is_tight() -> None:
    mask = np.zeros((10, 12), bool)
    assert box_of(mask) is None
    mask[2:5, 3:9] = True
    assert box_of(mask) == (3, 2, 9, 5)
    assert extent((3, 2, 9, 5), (12, 10)) == 0.6


@pytest.mark.parametrize("seed", range(40))
def test_the_square_holds_the_lesion_and_the_other_one_touches_none_of_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, top = rng.integers(0, 60), rng.integers(0, 40)
    box = (int(left), int(top), int(left + rng.integers(5, 20)), int(top + rng.integers(5, 20)))
    found = squares(box, (80, 60), 0.35, 0.05, (seed,))
    assert isinstance(found, Squares)
    for square in (found.lesion, found.moved):
        assert square[2] - square[0] == square[3] - square[1] == 21
        assert 0 <= square[0] <= 80 - 21
        assert 0 <= square[1] <= 60 - 21
    assert found.lesion[0] <= box[0] < box[2] <= found.lesion[2]
    assert found.lesion[1] <= box[1] < box[3] <= found.lesion[3]
    inside = np.zeros((60, 80), bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    assert found.overlap == 0
    assert not inside[found.moved[1] : found.moved[3], found.moved[0] : found.moved[2]].any()
    assert found == squares(box, (80, 60), 0.35, 0.05, (seed,))


def test_what_does_not_fit_says_why_and_without_room_the_other_square_hides_least() -> None:
    assert squares((0, 0, 40, 10), (80, 60), 0.5, 0.0, (0,)) == TOO_LARGE
    found = squares((50, 10, 70, 30), (80, 60), 0.9, 0.0, (0,))
    assert isinstance(found, Squares)
    assert found.moved[0] <= 2  # as far left as it goes: 54 of 80 pixels
    inside = np.zeros((60, 80), bool)
    inside[10:30, 50:70] = True
    hidden = inside[found.moved[1] : found.moved[3], found.moved[0] : found.moved[2]].sum() / inside.sum()
    assert found.overlap == pytest.approx(hidden)


def test_the_other_square_hides_no_lesion_first_and_lies_where_the_model_looks_then() -> None:
    for seed in range(30):
        found = squares((40, 20, 50, 30), (80, 60), 0.3, 0.05, (seed,), seen=(12, 2, 68, 58))
        assert isinstance(found, Squares)
        assert (found.overlap, found.cut_off) == (0, 0)
        assert 12 <= found.moved[0] < found.moved[2] <= 68
        narrow = squares((40, 20, 50, 30), (80, 60), 0.5, 0.05, (seed,), seen=(12, 2, 68, 58))
        assert isinstance(narrow, Squares)
        assert narrow.overlap == 0
        inside = np.zeros((60, 80), bool)
        inside[2:58, 12:68] = True
        left, top, right, bottom = narrow.moved
        assert narrow.cut_off == pytest.approx(1 - inside[top:bottom, left:right].mean())


def test_the_box_that_is_seen_is_the_crop() -> None:
    assert view_of(PreprocessSpec(224, 256), (256, 512)).seen((256, 512)) == (16, 144, 240, 368)
    assert view_of(PreprocessSpec(224, 224, resize="squash"), (300, 200)).seen((300, 200)) == (0, 0, 300, 200)


@pytest.mark.parametrize("fill", ["mean", "noise", "blur"])
def test_nothing_of_what_is_hidden_is_left_and_the_rest_is_untouched(fill: str) -> None:
    square, other = (10, 20, 30, 40), PIXELS.copy()
    other[20:40, 10:30] = 255 - other[20:40, 10:30]
    made = [np.asarray(covered(Image.fromarray(pixels), square, fill, (1, 2))) for pixels in (PIXELS, other)]
    np.testing.assert_array_equal(made[0], made[1])  # what is covered plays no part
    outside = np.ones((60, 80), bool)
    outside[20:40, 10:30] = False
    np.testing.assert_array_equal(made[0][outside], PIXELS[outside])
    alone = [np.asarray(only(Image.fromarray(pixels), square, fill, (1, 2))) for pixels in (PIXELS, other)]
    np.testing.assert_array_equal(alone[0][20:40, 10:30], PIXELS[20:40, 10:30])
    assert not np.array_equal(alone[0][outside], PIXELS[outside])


def test_the_mean_is_of_what_is_seen_and_noise_has_its_spread() -> None:
    square = (10, 20, 30, 40)
    outside = np.ones((60, 80), bool)
    outside[20:40, 10:30] = False
    made = np.asarray(covered(Image.fromarray(PIXELS), square, "mean", (0,)))
    np.testing.assert_array_equal(made[25, 15], np.rint(PIXELS[outside].mean(axis=0)))
    grey = np.repeat(PIXELS[:, :, :1] // 4 + 96, 3, axis=2)
    noise = np.asarray(covered(Image.fromarray(grey), square, "noise", (0,)))[20:40, 10:30, 0]
    assert noise.std() == pytest.approx(grey[outside][:, 0].std(), rel=0.1)
