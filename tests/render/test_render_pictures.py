"""Half-block pictures: thumbnails, heat maps, overlays."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from medvlm_tui.render.framed_image import closer, framed
from medvlm_tui.render.half_blocks import fit, half_blocks, resized
from medvlm_tui.render.heat import colour_bar, heat, overlay
from medvlm_tui.render.thumbnail import small, thumbnail

LOW, HIGH = "#440154", "#fde725"


def test_the_ends_of_a_map_have_the_ends_of_the_colours() -> None:
    values = np.zeros((4, 4))
    values[:2, :] = 1.0
    text = heat(values, 4, 2)
    assert text.plain == "▀▀▀▀\n▀▀▀▀"
    assert [str(span.style) for span in text.spans] == [f"{HIGH} on {HIGH}", f"{LOW} on {LOW}"]


def test_one_cell_shows_two_pixels() -> None:
    text = heat(np.array([[0.0], [1.0]]), 1, 1)
    assert [str(span.style) for span in text.spans] == [f"{LOW} on {HIGH}"]


def test_given_bounds_hold() -> None:
    text = heat(np.full((2, 2), 0.5), 2, 1, bounds=(0.5, 2.0))
    assert str(text.spans[0].style) == f"{LOW} on {LOW}"


def test_an_overlay_is_half_image_half_map() -> None:
    values = np.array([[0.0, 1.0], [0.0, 1.0]])
    text = overlay(values, np.full((2, 2, 3), 200, dtype=np.uint8), 2, 1)
    halves = [tuple(round((200 + c) / 2) for c in colour) for colour in ((68, 1, 84), (253, 231, 37))]
    styles = [str(span.style) for span in text.spans]
    for (red, green, blue), style in zip(halves, styles, strict=True):
        expected = f"#{red:02x}{green:02x}{blue:02x}"
        assert style == f"{expected} on {expected}"


@pytest.mark.parametrize(("shape", "size"), [((224, 224), (20, 20)), ((100, 200), (20, 10)), ((300, 100), (7, 20))])
def test_a_thumbnail_keeps_the_aspect(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert fit(shape, 20, 10) == size
    lines = thumbnail(np.zeros(shape, dtype=np.uint8), 20, 10).plain.split("\n")
    assert {cell_len(line) for line in lines} == {size[0]}
    assert len(lines) == (size[1] + 1) // 2


def test_shrinking_takes_the_mean_of_the_area() -> None:
    picture = np.random.default_rng(0).random((12, 9))
    assert np.allclose(resized(picture, 3, 4), picture.reshape(4, 3, 3, 3).mean(axis=(1, 3)))
    assert np.isclose(resized(picture, 5, 7).mean(), picture.mean())
    assert np.array_equal(resized(picture, 9, 12), picture)
    assert np.array_equal(resized(np.array([[1.0, 2.0]]), 4, 2), [[1, 1, 2, 2], [1, 1, 2, 2]])


def test_grey_and_colour_images_are_both_shown() -> None:
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    assert np.array_equal(small(grey, 4, 2), np.repeat(grey[..., None], 3, axis=2))
    assert str(thumbnail(np.array([[[1, 2, 3]], [[4, 5, 6]]], dtype=np.uint8), 1, 1).spans[0].style) == (
        "#010203 on #040506"
    )


def test_without_colour_brightness_is_a_shade() -> None:
    ramp = np.repeat(np.linspace(0, 1, 5)[None, :], 2, axis=0)
    text = heat(ramp, 5, 1, depth="none")
    assert text.plain == " ░▒▓█"
    assert not text.spans


def test_a_bar_names_its_ends() -> None:
    bar = colour_bar(20, -0.5, 1.25)
    top, under = bar.plain.split("\n")
    assert (cell_len(top), under) == (20, "-0.5            1.25")
    assert str(bar.spans[0].style) == LOW
    assert str(bar.spans[-1].style) == HIGH


def test_nothing_to_show_is_empty() -> None:
    assert thumbnail(np.zeros((0, 5), dtype=np.uint8), 5, 5).plain == ""
    assert heat(np.zeros((5, 5)), 0, 5).plain == ""


def test_a_frame_stands_just_outside_the_box() -> None:
    expected = np.zeros((8, 8, 3), dtype=np.uint8)
    expected[1:6, 1:6] = (230, 159, 0)
    expected[2:5, 2:5] = 0
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    assert framed(image, (4, 4, 10, 10), 8, 4) == half_blocks(expected)
    assert not image.any()


def test_a_frame_of_a_box_at_the_edge_stays_inside() -> None:
    expected = np.full((4, 4, 3), (230, 159, 0), dtype=np.uint8)
    expected[1:3, 1:3] = 0
    assert framed(np.zeros((4, 4, 3), dtype=np.uint8), (0, 0, 4, 4), 4, 2) == half_blocks(expected)


def test_a_box_is_shown_larger_with_a_little_around_it() -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    assert closer(image, (10, 60, 40, 69), 40, 20) == thumbnail(image[57:72, 7:43], 40, 20)
    assert closer(image, (0, 81, 30, 90), 40, 20) == thumbnail(image[78:90, 0:33], 40, 20)
