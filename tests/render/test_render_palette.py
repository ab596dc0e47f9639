"""Colours: the map's against matplotlib's, the classes' apart from each other."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from medvlm_tui.render.palette import class_colours, class_letters, grey, map_colours, rgb_style


def test_the_map_is_viridis_to_six_of_255() -> None:
    values = np.linspace(0, 1, 1001)
    reference = 255 * matplotlib.colormaps["viridis"](values)[:, :3]
    assert np.abs(map_colours(values, 0, 1) - reference).max() <= 6


def test_values_outside_the_range_and_nan_stay_at_its_ends() -> None:
    ends = map_colours(np.array([-5.0, 0.0, 1.0, 7.0, np.nan]), 0, 1)
    assert ends[0].tolist() == ends[1].tolist() == ends[4].tolist() == [68, 1, 84]
    assert ends[2].tolist() == ends[3].tolist() == [253, 231, 37]


def test_a_flat_map_is_one_colour() -> None:
    assert len(np.unique(map_colours(np.full((3, 3), 2.5), 2.5, 2.5).reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize("depth", ["truecolor", "256", "16"])
def test_eight_classes_have_eight_colours_and_none_is_the_grey(depth: str) -> None:
    colours = class_colours(8, depth)  # type: ignore[arg-type]
    assert len({*colours, grey(depth)}) == 9  # type: ignore[arg-type]


def test_the_colours_stay_apart_on_a_256_colour_terminal() -> None:
    from rich.color import Color, ColorSystem

    reduced = {Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT).number for colour in class_colours(8)}
    assert len(reduced) == 8


def test_without_colour_there_are_letters() -> None:
    assert class_colours(3, "none") == ("", "", "")
    assert class_letters(54)[:3] == ("a", "b", "c")
    assert class_letters(54)[26] == "A"
    assert class_letters(54)[-1] == "·"


def test_rgb_style() -> None:
    assert rgb_style((1, 171, 255)) == "#01abff"
