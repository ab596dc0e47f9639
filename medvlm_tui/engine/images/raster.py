"""Reading JPEG, PNG, TIFF and their kin: to an 8-bit RGB image, or to a clear refusal."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from medvlm_tui.core.intensity_windows import FROM_FILE, Window
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.images.deep_raster import DeepImage, deep_image, raw_kind
from medvlm_tui.engine.images.windowing import between_percentiles, to_bytes, windowed, windowed_rgb
from medvlm_tui.errors import ImageError

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
# Pillow's own limit, a quarter of a gibibyte as RGB; the largest image of the study's data sets has 24 million.
MAX_PIXELS = 89_478_485
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")
# Pillow scales greys of 2 and 4 bits to 8, but not the grey that a PNG calls transparent.
_GREY_SCALES = {"L;2": 85, "L;4": 17}
_TIFF_BITS, _TIFF_COLOUR_MAP, _TIFF_SAMPLE_FORMAT = 258, 320, 339
_SIGNED = 2
_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TOO_LARGE = f"declares more than {MAX_PIXELS:,} pixels"
_SMALLER = "scale it down or cut tiles from it first"

# Filters belong to the process, so this is set once and not in the reading threads.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def read_image(path: Path, window: Window = FROM_FILE) -> Image.Image:
    """Return the first frame of an image file as 8-bit RGB, upright, alpha composited on black.

    Images of 8 bits per channel or fewer look the same under every window. Deeper ones need one, which maps all
    channels linearly to 0..255. Such a file states no window of its own, so that `file` refuses it: any guess would
    clip or stretch it. Raises ImageError for everything that cannot be read.
    """
    name = clean(path.name)
    try:
        with Image.open(path, formats=FORMATS) as image:
            _refuse_size(image)
            deep = deep_image(image, path)
            if deep is not None:
                return windowed_rgb(to_bytes(_composited(deep, window)))
            _refuse_hidden_depth(image)
            return _to_rgb(_loaded(image))
    except ImageError as error:
        raise ImageError(f"{name} {error.message}", error.hint) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} {_unknown(path)}", _formats_hint()) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name} {_TOO_LARGE}", _SMALLER) from error
    except Exception as error:  # decoders raise almost anything on hostile bytes; it costs this image alone
        reason = clean(str(error)) or type(error).__name__
        raise ImageError(f"{name} cannot be decoded: {reason}", "get the file again, or remove it") from error


def _refuse_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE, _SMALLER)


def _refuse_hidden_depth(image: Image.Image) -> None:
    """Refuse a TIFF whose deep channels Pillow would read as 8 bits."""
    tags = getattr(image, "tag_v2", {})
    if image.format == "TIFF" and max(tags.get(_TIFF_BITS, (1,))) > 8:
        raise ImageError("holds more than 8 bits per channel in a layout that is not read", "convert it to PNG")


def _unknown(path: Path) -> str:
    with open(path, "rb") as file:
        mark = file.read(4)
    if not mark:
        return "is empty: it has 0 bytes"
    tiff = mark in _TIFF_MARKS
    return "is a TIFF of a kind that this program does not read" if tiff else "is not an image that this program reads"


def _formats_hint() -> str:
    return f"readable: {', '.join(FORMATS)}"


def _loaded(image: Image.Image) -> Image.Image:
    """Decode an image of 8 bits or fewer, upright, and mend what Pillow leaves as it stands in the file."""
    tags = getattr(image, "tag_v2", {})
    scale = _GREY_SCALES.get(raw_kind(image), 1)
    image.load()
    upright = ImageOps.exif_transpose(image)
    if image.format == "PNG" and image.mode == "L" and isinstance(upright.info.get("transparency"), int):
        upright.info["transparency"] *= scale
    if image.format != "TIFF":
        return upright
    if image.mode == "P" and (table := tags.get(_TIFF_COLOUR_MAP)) and max(table) < 256:
        # Entries have 16 bits, and Pillow takes their high byte; some writers store bytes.
        upright.putpalette([entry for colour in zip(*_thirds(table), strict=True) for entry in colour])
    if image.mode == "L" and tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == _SIGNED:
        return Image.fromarray(np.asarray(upright) ^ 0x80)  # -128 is black
    return upright


def _thirds(table: tuple[int, ...]) -> list[tuple[int, ...]]:
    size = len(table) // 3
    return [table[start : start + size] for start in (0, size, 2 * size)]


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits or fewer as RGB."""
    if image.mode == "La":  # multiplied by its alpha already, which is all that black behind it does
        return Image.fromarray(np.asarray(image)[..., 0]).convert("RGB")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        layer = image.convert("RGBA")
        black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layer).convert("RGB")
    return image.convert("RGB")


def _composited(deep: DeepImage, window: Window) -> NDArray[np.float64]:
    """Return (H, W) or (H, W, 3) in 0 to 1 of an image of more than 8 bits per channel, on black."""
    values = deep.values
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]  # grey that is stored as colour has the percentiles of grey
    visible = values if deep.alpha is None else values[deep.alpha > 0]
    shares = _windowed(values, visible if visible.size else values, window)
    if deep.inverted:
        shares = 1.0 - shares
    if deep.alpha is None or deep.premultiplied:
        return shares
    return shares * (deep.alpha if shares.ndim == 2 else deep.alpha[..., None])


def _windowed(values: NDArray[Any], visible: NDArray[Any], window: Window) -> NDArray[np.float64]:
    """Return values of more than 8 bits in 0 to 1, all channels by the same window."""
    if window.kind == "file":
        raise ImageError(
            "holds more than 8 bits a pixel and no window of its own",
            "choose one, --window CENTRE/WIDTH or percentiles, or convert the files to 8 bit yourself",
        )
    if not np.isfinite(values).all():
        raise ImageError("holds values that are no numbers", "write it again without them")
    if window.kind == "percentiles":
        return between_percentiles(values, visible)
    if window.kind == "preset" and not _may_be_hounsfield(values):
        raise ImageError(
            f"holds no Hounsfield units ({_reason(values)}), and the window {window} is meant for them",
            "use --window CENTRE/WIDTH in the file's own values, or percentiles",
        )
    return windowed(values, window.centre, window.width, "LINEAR_EXACT")


def _may_be_hounsfield(values: NDArray[Any]) -> bool:
    return values.ndim == 2 and values.dtype.kind != "u" and float(np.abs(values).max()) > 1


def _reason(values: NDArray[Any]) -> str:
    if values.ndim == 3:
        return "it is in colour"
    return "its values have no sign" if values.dtype.kind == "u" else "its values lie between -1 and 1"
