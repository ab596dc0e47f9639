"""The outline of a region on a coarse picture."""

import numpy as np

from medvlm_tui.render.outline import outlined

PINK = (255, 64, 200)


def test_the_outermost_pixels_of_a_region_are_drawn():
    picture = np.full((8, 8, 3), 9, np.uint8)
    region = np.zeros((64, 64), bool)
    region[16:48, 16:48] = True  # pixels 2 to 5 of 8
    drawn = np.all(outlined(picture, region) == PINK, axis=2)
    wanted = np.zeros((8, 8), bool)
    wanted[2:6, 2:6] = True
    wanted[3:5, 3:5] = False
    np.testing.assert_array_equal(drawn, wanted)
    assert picture.max() == 9, "the picture that was given stays as it was"


def test_a_region_smaller_than_a_pixel_is_one_pixel_and_none_is_none():
    picture, region = np.zeros((4, 4, 3), np.uint8), np.zeros((64, 64), bool)
    assert outlined(picture, region) is picture
    assert outlined(picture, None) is picture
    region[20:22, 40:42] = True
    assert np.argwhere(np.all(outlined(picture, region) == PINK, axis=2)).tolist() == [[1, 2]]
    assert outlined(picture, region, "none")[1, 2].tolist() == [255, 255, 255]
