"""Reading JPEG, PNG, TIFF and their kin: to an 8-bit RGB image, or to a clear refusal."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from medvlm_tui.core.text import clean
from medvlm_tui.errors import ImageError

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP", "PPM")
# Pillow's own limit, a quarter of a gibibyte as RGB; the largest image of the study's data sets has 24 million.
MAX_PIXELS = 89_478_485
_DEEP_MODES = ("I", "F")
_ALPHA_MODES = ("RGBA", "LA", "PA", "RGBa", "La")

# Filters belong to the process, so this is set once and not in the reading threads.
warnings.simplefilter("error", Image.DecompressionBombWarning)


def read_image(path: Path, window: tuple[float, float] | None = None) -> Image.Image:
    """Return the first frame of an image file as 8-bit RGB, upright, alpha composited on black.

    `window` (low, high) maps a 16-bit, 32-bit or float image to 0..255 linearly; without one such an image is
    refused, because any guess would clip or stretch it. Raises ImageError for everything that cannot be read.
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


def _to_rgb(image: Image.Image, window: tuple[float, float] | None, path: Path) -> Image.Image:
    if image.mode in _DEEP_MODES or image.mode.startswith("I;"):
        if window is None:
            raise ImageError(
                f"{clean(path.name)} holds more than 8 bits a pixel (mode {image.mode})",
                "give the intensity window to show (low, high), or convert the files to 8 bit yourself",
            )
        return _windowed(image, window)
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        layer = image.convert("RGBA")
        black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layer).convert("RGB")
    return image.convert("RGB")


def _windowed(image: Image.Image, window: tuple[float, float]) -> Image.Image:
    low, high = window
    if not high > low:
        raise ImageError(f"the window {low} to {high} is empty", "low must lie below high")
    values = np.asarray(image).astype(np.float64)
    grey = np.clip((values - low) / (high - low), 0.0, 1.0) * 255.0
    return Image.fromarray(np.rint(np.nan_to_num(grey)).astype(np.uint8)).convert("RGB")
