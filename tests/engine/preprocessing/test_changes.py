"""Each change of the preprocessing lab against its own formula."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.preprocessing.changes import _CHANGES, Place, changed, seed_of
from medvlm_tui.engine.preprocessing.frames import reframed
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.params.preprocessing import KINDS, PANEL, parse_variant

RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)
SMOOTH = np.repeat(np.add.outer(np.arange(48), np.arange(64) * 2).astype(np.uint8)[:, :, None], 3, axis=2)
HERE = Place(1.0, (0, 1, 2))


def made(name: str, pixels: np.ndarray = PIXELS, place: Place = HERE) -> np.ndarray:
    return np.asarray(changed(Image.fromarray(pixels), parse_variant(name), place))


def rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("name", ["bits:3", "gamma:0.7", "gamma:1.5", "invert", "brightness:-0.2", "contrast:0.5"])
def test_levels_follow_their_formula(name: str) -> None:
    x = PIXELS.astype(np.float64)
    mean = np.asarray(Image.fromarray(PIXELS).convert("L"), dtype=np.float64).mean()
    expected = {
        "bits:3": np.rint(x / 255 * 7) / 7 * 255, "gamma:0.7": 255 * (x / 255) ** 0.7,
        "gamma:1.5": 255 * (x / 255) ** 1.5, "invert": 255 - x, "brightness:-0.2": x - 51,
        "contrast:0.5": mean + 0.5 * (x - mean),
    }  # fmt: skip
    np.testing.assert_allclose(made(name), rounded(expected[name]), atol=1)
    assert np.mean(made(name) == rounded(expected[name])) > 0.99  # halves may round either way


def test_bits_leave_so_many_levels() -> None:
    assert len(np.unique(made("bits:4"))) == 16


@pytest.mark.parametrize(("name", "options"), [("jpeg:25", {"quality": 25, "subsampling": 2})])
def test_compression_is_what_the_library_writes(name: str, options: dict[str, int]) -> None:
    with io.BytesIO() as file:
        Image.fromarray(PIXELS).save(file, "JPEG", **options)
        expected = np.asarray(Image.open(file))
    np.testing.assert_array_equal(made(name), expected)


def test_jpeg_2000_loses_more_at_a_higher_ratio() -> None:
    errors = [np.abs(made(f"jp2:{ratio}").astype(float) - PIXELS).mean() for ratio in (2, 20)]
    assert 0 < errors[0] < errors[1]


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_a_blur_is_in_pixels_of_the_view(scale: float) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[100:, :] = 255
    blurred = made("blur:4", image, Place(scale, (0,)))
    expected = gaussian_filter(image[:, :, 0].astype(np.float64), 4 * scale)
    assert np.abs(blurred[:, 100, 0] - expected[:, 100]).max() < 10  # Pillow passes three boxes


def test_noise_is_seeded_and_has_its_size_and_is_grey() -> None:
    grey = np.full((120, 160, 3), 128, np.uint8)
    noise = made("noise:0.04", grey)[:, :, :].astype(np.float64) - 128
    assert np.std(noise[:, :, 0]) == pytest.approx(0.04 * 255, rel=0.03)
    np.testing.assert_array_equal(noise[:, :, 0], noise[:, :, 2])
    np.testing.assert_array_equal(made("noise:0.04", grey), made("noise:0.04", grey))
    assert not np.array_equal(made("noise:0.04", grey), made("noise:0.04", grey, Place(1.0, (1, 1, 2))))
    coarse = made("noise:0.04", grey, Place(4.0, (0,)))
    np.testing.assert_array_equal(coarse[0:4, 0:4], np.broadcast_to(coarse[0, 0], (4, 4, 3)))


def test_the_seed_depends_on_image_and_change_alone() -> None:
    noise, more = parse_variant("noise:0.04"), parse_variant("noise:0.08")
    seeds = {
        seed_of(0, "a.png", noise),
        seed_of(0, "b.png", noise),
        seed_of(0, "a.png", more),
        seed_of(1, "a.png", noise),
    }
    assert len(seeds) == 4
    assert seed_of(0, "a.png", noise) == seed_of(0, "a.png", noise)


def test_down_and_up_is_the_mean_of_blocks_where_sides_divide() -> None:
    small = Image.fromarray(PIXELS).resize((16, 12), Image.Resampling.BOX)
    blocks = PIXELS.reshape(12, 4, 16, 4, 3).astype(np.float64).mean(axis=(1, 3))
    np.testing.assert_allclose(np.asarray(small), blocks, atol=1)
    np.testing.assert_array_equal(made("down:12"), np.asarray(small.resize((64, 48), Image.Resampling.BICUBIC)))
    np.testing.assert_array_equal(made("down:64"), PIXELS)  # the short side has 48: nothing to take away


def test_a_border_is_black_and_the_rest_untouched() -> None:
    framed = made("border:0.125")
    np.testing.assert_array_equal(framed[6:-6, 6:-6], PIXELS[6:-6, 6:-6])
    framed = framed.copy()
    framed[6:-6, 6:-6] = 0
    assert framed.max() == 0


def test_grey_and_equalised_have_equal_channels() -> None:
    for name in ("grey", "equalise"):
        image = made(name)
        np.testing.assert_array_equal(image[:, :, 0], image[:, :, 1])
    levels = made("equalise", SMOOTH)[:, :, 0]
    assert (levels.min(), levels.max()) == (0, 255)


@pytest.mark.parametrize("name", [n for n in PANEL if parse_variant(n).place == "image"] + ["speckle:0.1", "jp2:20"])
def test_every_change_keeps_size_and_mode(name: str) -> None:
    assert made(name).shape == PIXELS.shape


def test_every_kind_has_a_function_and_the_panel_is_valid() -> None:
    assert set(_CHANGES) == {kind for kind, known in KINDS.items() if known.place == "image"}
    assert len({parse_variant(name) for name in PANEL}) == len(PANEL)


@pytest.mark.parametrize("name", ["jpg:75", "jpeg", "jpeg:0", "bits:8", "invert:1", "gamma:x", "window:moon", "crop:2"])
def test_wrong_names_say_what_is_right(name: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_variant(name)
    assert error.value.hint


def test_frames_change_one_field_or_say_why_not() -> None:
    spec = PreprocessSpec(224, 256)
    squash = reframed(spec, parse_variant("resize:squash"))
    assert squash == PreprocessSpec(224, 224, resize="squash")
    assert reframed(spec, parse_variant("antialias:off")) == PreprocessSpec(224, 256, antialias=False)
    assert reframed(spec, parse_variant("crop:1")) == PreprocessSpec(224, 224)
    assert "own preprocessing" in str(reframed(spec, parse_variant("resize:short_side")))
    other = PreprocessSpec(512, 512, resize="long_side_pad")
    assert "does not apply" in str(reframed(other, parse_variant("resize:squash")))
