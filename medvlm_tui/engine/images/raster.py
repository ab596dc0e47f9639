"""Reading JPEG, PNG, TIFF and their kin: to an 8-bit RGB image, or to a clear refusal."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from medvlm_tui.core.intensity_windows import FROM_FILE, PERCENTILES, Window
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.images.windowing import stretched, windowed
from medvlm_tui.errors import ImageError

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
# Pillow's own limit, a quarter of a gibibyte as RGB; the largest image of the study's data sets has 24 million.
MAX_PIXELS = 89_478_485
_DEEP_MODES = ("I", "F")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")

# Filters belong to the process, so this is set once and not in the reading threads.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def read_image(path: Path, window: Window = FROM_FILE) -> Image.Image:
    """Return the first frame of an image file as 8-bit RGB, upright, alpha composited on black.

    `window` maps a grey image of more than 8 bits to 0..255 linearly. Such a file states no window of its own, so
    that `file` refuses it: any guess would clip or stretch it. Raises ImageError for everything that cannot be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            _refuse_size(image, path)
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image), window, path)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{clean(path.name)} is not an image that this program reads", _formats_hint()) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(path) from error
    except Exception as error:  # decoders raise almost anything on hostile bytes; it costs this image alone
        reason = clean(str(error)) or type(error).__name__
        message = f"{clean(path.name)} cannot be decoded: {reason}"
        raise ImageError(message, "get the file again, or remove it") from error


def _refuse_size(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(path)


def _too_large(path: Path) -> ImageError:
    return ImageError(
        f"{clean(path.name)} declares more than {MAX_PIXELS:,} pixels", "scale it down or cut tiles from it first"
    )


def _formats_hint() -> str:
    return f"readable: {', '.join(FORMATS)}"


def _to_rgb(image: Image.Image, window: Window, path: Path) -> Image.Image:
    if image.mode in _DEEP_MODES or image.mode.startswith("I;"):
        grey = _grey(np.asarray(image), window, clean(path.name))
        return Image.fromarray(np.rint(grey * 255.0).astype(np.uint8)).convert("RGB")
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        layer = image.convert("RGBA")
        black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layer).convert("RGB")
    return image.convert("RGB")


def _grey(values: NDArray[Any], window: Window, name: str) -> NDArray[np.float64]:
    """Return (H, W) in 0 to 1 of values of more than 8 bits."""
    if window.kind == "file":
        raise ImageError(
            f"{name} holds more than 8 bits a pixel and no window of its own",
            "choose one, --window CENTRE/WIDTH or percentiles, or convert the files to 8 bit yourself",
        )
    if not np.isfinite(values).all():
        raise ImageError(f"{name} holds values that are no numbers", "write it again without them")
    if window.kind == "percentiles":
        return stretched(values, *np.percentile(values, PERCENTILES))
    if window.kind == "preset" and values.dtype.kind == "u":
        raise ImageError(
            f"{name} holds no Hounsfield units (its values have no sign), and the window {window} is meant for them",
            "use --window CENTRE/WIDTH in the file's own values, or percentiles",
        )
    return windowed(values, window.centre, window.width, "LINEAR_EXACT")
