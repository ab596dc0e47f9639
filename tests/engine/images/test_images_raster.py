"""Reading image files: what is read is read rightly, what is hostile or ambiguous is refused with a hint."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medvlm_tui.core.intensity_windows import PRESETS, parse_window
from medvlm_tui.engine.images.raster import read_image
from medvlm_tui.errors import ImageError

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "ppm"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    image = read_image(saved(tmp_path / f"a.{suffix}", Image.fromarray(COLOURS)))
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.array(image), COLOURS)


def test_the_suffix_is_not_believed(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(COLOURS).save(path, format="PNG")
    np.testing.assert_array_equal(np.array(read_image(path)), COLOURS)


def test_grey_and_one_bit_and_palette_become_rgb(tmp_path):
    grey = Image.fromarray(COLOURS[..., 0])
    np.testing.assert_array_equal(np.array(read_image(saved(tmp_path / "g.png", grey)))[..., 2], COLOURS[..., 0])
    bits = read_image(saved(tmp_path / "b.png", grey.convert("1")))
    assert set(np.unique(np.array(bits))) <= {0, 255}
    palette = Image.fromarray(COLOURS).quantize(16)
    expected = np.array(palette.convert("RGB"))
    np.testing.assert_array_equal(np.array(read_image(saved(tmp_path / "p.png", palette))), expected)


def test_alpha_is_composited_on_black_and_hides_what_it_hid(tmp_path):
    alpha = np.full((20, 30, 1), 255, np.uint8)
    alpha[:10] = 0
    image = Image.fromarray(np.concatenate([COLOURS, alpha], axis=2))
    read = np.array(read_image(saved(tmp_path / "a.png", image)))
    assert read[:10].max() == 0
    np.testing.assert_array_equal(read[10:], COLOURS[10:])


def test_a_palette_with_a_transparent_colour_is_composited_too(tmp_path):
    palette = Image.fromarray(np.full((4, 4), 1, np.uint8), "P")
    palette.putpalette([0, 0, 0, 200, 10, 10])
    assert np.array(read_image(saved(tmp_path / "t.png", palette, transparency=1))).max() == 0


def test_cmyk_and_orientation(tmp_path):
    assert read_image(saved(tmp_path / "c.jpg", Image.fromarray(COLOURS).convert("CMYK"))).mode == "RGB"
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = read_image(saved(tmp_path / "e.png", Image.fromarray(COLOURS), exif=exif))
    assert turned.size == (20, 30)
    np.testing.assert_array_equal(np.array(turned), np.rot90(COLOURS, 3))


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_deep_images_are_refused_until_a_window_is_given(tmp_path, dtype):
    values = np.linspace(0, 4095, 600).reshape(20, 30).astype(dtype)
    path = saved(tmp_path / "deep.tif", Image.fromarray(values))
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert "window" in caught.value.hint
    read = np.array(read_image(path, parse_window("2000/2000")))
    expected = np.rint(np.clip((values.astype(float) - 1000) / 2000, 0, 1) * 255)
    np.testing.assert_array_equal(read[..., 0], expected)
    low, high = np.percentile(values, [0.5, 99.5])
    stretched = np.rint(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255)
    np.testing.assert_array_equal(np.array(read_image(path, parse_window("percentiles")))[..., 1], stretched)


@pytest.mark.parametrize("name", PRESETS)
def test_hounsfield_presets_fit_signed_values_only(tmp_path, name):
    centre, width = PRESETS[name]
    hounsfield = np.linspace(-1200, 1500, 600).reshape(20, 30)
    expected = np.rint(np.clip((hounsfield.astype(np.float32).astype(float) - centre) / width + 0.5, 0, 1) * 255)
    path = saved(tmp_path / "hu.tif", Image.fromarray(hounsfield.astype(np.float32)))
    np.testing.assert_array_equal(np.array(read_image(path, parse_window(name)))[..., 0], expected)
    unsigned = saved(tmp_path / "raw.png", Image.fromarray((hounsfield + 1200).astype(np.uint16)))
    with pytest.raises(ImageError, match="no Hounsfield units"):
        read_image(unsigned, parse_window(name))


def test_fine_values_have_fine_windows_and_no_holes(tmp_path):
    values = np.linspace(0, 0.2, 600).reshape(20, 30).astype(np.float32)
    path = saved(tmp_path / "fine.tif", Image.fromarray(values))
    assert len(np.unique(np.array(read_image(path, parse_window("0.1/0.2"))))) == 256
    values[3, 4] = np.nan
    holes = saved(tmp_path / "holes.tif", Image.fromarray(values))
    for window in ("0.1/0.2", "percentiles", "bone"):
        with pytest.raises(ImageError, match="no numbers"):
            read_image(holes, parse_window(window))


def test_a_window_changes_nothing_of_eight_bits(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(COLOURS))
    for window in ("lung", "percentiles", "40/400"):
        np.testing.assert_array_equal(np.array(read_image(path, parse_window(window))), COLOURS)


def test_the_first_frame_of_several_is_read(tmp_path):
    frames = [Image.new("RGB", (4, 4), (c, 0, 0)) for c in (10, 200)]
    path = tmp_path / "f.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.array(read_image(path))[0, 0].tolist() == [10, 0, 0]


def png_bomb(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_500, 30_000, 2_000_000])
def test_a_bomb_is_refused_by_its_declared_size(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb(side, side))
    with pytest.raises(ImageError, match="pixels"):
        read_image(path)


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_truncated_files_are_refused(tmp_path, kind, kept):
    buffer = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)).save(buffer, kind)
    data = buffer.getvalue()
    path = tmp_path / "t"
    path.write_bytes(data[: min(int(len(data) * kept), len(data) - 20)])
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg/>", b"MZ" + b"\0" * 99, b"\x00" * 512]
)
def test_formats_outside_the_list_are_refused(tmp_path, data):
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with pytest.raises(ImageError):
        read_image(path)


def test_missing_files_folders_and_evil_names_are_refused_cleanly(tmp_path):
    with pytest.raises(ImageError):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageError):
        read_image(tmp_path)
    path = tmp_path / "a\x1b]52;c;x\x07.png"
    path.write_bytes(b"no")
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert "\x1b" not in caught.value.message


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_bytes_raise_anything_but_an_image_error(tmp_path_factory, data):
    buffer = io.BytesIO()
    Image.fromarray(COLOURS).save(buffer, data.draw(st.sampled_from(["PNG", "JPEG", "TIFF", "GIF", "BMP"])))
    bytes_ = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "x"
    path.write_bytes(bytes_)
    try:
        mode = read_image(path).mode
    except ImageError:
        mode = "RGB"
    assert mode == "RGB"


def test_an_empty_file_is_called_empty(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"a\.png is empty: it has 0 bytes"):
        read_image(tmp_path / "a.png")
