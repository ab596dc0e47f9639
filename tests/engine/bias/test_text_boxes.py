"""Burned-in words found where they were drawn, nothing found in speckle, and taken out again."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay
from medvlm_tui.engine.bias.text_boxes import blank, find_text, inpaint, mask_border


def speckle(seed, size=(320, 240)):
    noise = np.random.default_rng(seed).rayleigh(30, size=(size[1], size[0]))
    return Image.fromarray(np.repeat(np.clip(noise, 0, 255).astype(np.uint8)[..., None], 3, axis=2))


def overlap(a, b):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@pytest.mark.parametrize("word", ["LEFT", "RIGHT"])
def test_a_word_on_a_dark_ground_is_found(word):
    drawn = draw_overlay(Image.new("RGB", (320, 240), (8, 8, 8)), OverlaySpec(word))
    lines = find_text(drawn.image)
    assert len(lines) == 1
    assert overlap(lines[0].box, drawn.box) > 0.7


@pytest.mark.parametrize("seed", range(5))
def test_speckle_is_no_text(seed):
    assert find_text(speckle(seed)) == []


@pytest.mark.parametrize("fill", [blank, inpaint])
def test_a_filled_box_is_gone_and_the_rest_untouched(fill):
    ground = Image.new("RGB", (320, 240), (60, 70, 80))
    drawn = draw_overlay(ground, OverlaySpec("LEFT"))
    np.testing.assert_allclose(np.asarray(fill(drawn.image, [drawn.box])), np.asarray(ground), atol=1)
    busy = speckle(0)
    changed = (np.asarray(fill(busy, [drawn.box])) != np.asarray(busy)).any(axis=2)
    left, top, right, bottom = drawn.box
    changed[top - 2 : bottom + 2, left - 2 : right + 2] = False
    assert not changed.any()


def test_inpainting_continues_a_ramp():
    ramp = np.repeat(np.tile(np.linspace(0, 250, 60), (40, 1))[..., None], 3, axis=2).astype(np.uint8)
    filled = inpaint(Image.fromarray(ramp), [(25, 15, 33, 23)])
    np.testing.assert_allclose(np.asarray(filled).astype(float), ramp.astype(float), atol=4)


def test_border_is_black_and_the_middle_kept():
    image = speckle(1)
    masked = np.asarray(mask_border(image, 0.1))
    assert not masked[:24].any()
    assert not masked[:, -32:].any()
    np.testing.assert_array_equal(masked[24:-24, 32:-32], np.asarray(image)[24:-24, 32:-32])


@pytest.mark.parametrize("box", [(20, 25, 40, 33), (0, 0, 12, 8), (50, 40, 64, 48)])
def test_inpainting_is_the_relaxation_of_the_whole_picture(box):
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64), dtype=np.uint8)
    hole = np.zeros(pixels.shape, dtype=bool)
    margin = 2  # of a box, for what blurs around the letters
    hole[max(box[1] - margin, 0) : box[3] + margin, max(box[0] - margin, 0) : box[2] + margin] = True
    near = ndimage.distance_transform_edt(hole, return_distances=False, return_indices=True)
    wanted = pixels[near[0], near[1]].astype(np.float64)
    for _ in range(200):
        edge = np.pad(wanted, 1, mode="edge")
        mean = (edge[:-2, 1:-1] + edge[2:, 1:-1] + edge[1:-1, :-2] + edge[1:-1, 2:]) / 4
        wanted[hole] = mean[hole]
    filled = np.array(inpaint(Image.fromarray(pixels), [box]))[..., 0]
    np.testing.assert_allclose(filled, wanted, atol=0.5 + 1e-6)
