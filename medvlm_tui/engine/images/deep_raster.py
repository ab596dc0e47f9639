"""The values of raster files that hold more than 8 bits per channel, as the file states them.

Pillow cuts 16-bit colour to its high bytes and scales the values of PGM, PPM and JPEG 2000. Colour is therefore
unpacked twice here, once for the high and once for the low bytes, PGM and PPM are read without it, and the values of
JPEG 2000 are scaled back.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medvlm_tui.errors import ImageError

_GREY_MODES = ("I", "F")
_PNM = re.compile(rb"P([2356])")
_COMMENT = re.compile(rb"#[^\r\n]*")
_JPEG_2000_SIZE, _JPEG_2000_HEAD = b"\xffO\xffQ", 1 << 16
_TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 262, 339
_WHITE_IS_ZERO, _UNSIGNED = 0, 1
_LAYOUTS = {
    # Pillow's name of what lies in the file -> the mode and the two names that unpack its high and low bytes.
    "RGB;16": ("RGB", "RGB;16"),
    "RGBX;16": ("RGB", "RGBX;16"),
    "RGBA;16": ("RGBA", "RGBA;16"),
    "RGBa;16": ("RGBA", "RGBA;16"),
    "LA;16": ("RGBA", "RGBA"),
}


@dataclass(frozen=True, slots=True)
class DeepImage:
    """An image of more than 8 bits per channel, upright."""

    values: NDArray[Any]
    """(H, W) grey or (H, W, 3) colour, in the file's own numbers."""
    alpha: NDArray[np.float64] | None = None
    """(H, W) from 0, hidden, to 1."""
    premultiplied: bool = False
    """The values are multiplied by `alpha` already."""
    inverted: bool = False
    """The least value is white (TIFF's WhiteIsZero)."""


def deep_image(image: Image.Image, path: Path) -> DeepImage | None:
    """Return what an opened and not yet loaded file holds, None for 8 bits and fewer; raises ImageError.

    Decoders raise almost anything on hostile bytes.
    """
    if image.format == "PPM" and (found := _pnm(image, path)) is not None:
        return found
    if image.format == "JPEG2000":
        return _jpeg_2000(image, path)
    kind = raw_kind(image)
    if kind.startswith("CMYK;16"):
        raise ImageError("holds CMYK of 16 bits per channel, which is not read", "convert it to RGB")
    layout = _LAYOUTS.get(kind[:-1])
    if layout is not None:
        return _colour(image, path, kind, *layout)
    if image.mode in _GREY_MODES or image.mode.startswith("I;"):
        return _grey(image)
    return None


def raw_kind(image: Image.Image) -> str:
    """Return Pillow's name of how the pixels lie in the file, e.g. `RGB;16B`."""
    for tile in image.tile[:1] if hasattr(image, "tile") else ():
        args = tile[3]
        return str(args[0] if isinstance(args, tuple) and args else args)
    return ""


def _grey(image: Image.Image) -> DeepImage:
    tags = getattr(image, "tag_v2", {})
    hidden = image.info.get("transparency")
    inverted = image.format == "TIFF" and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
    unsigned = image.mode == "I" and image.format == "TIFF" and tags.get(_TIFF_SAMPLE_FORMAT, (1,))[0] == _UNSIGNED
    values = np.asarray(ImageOps.exif_transpose(image))
    if unsigned:
        values = values.view(np.uint32)  # Pillow has no mode for it
    alpha = None if not isinstance(hidden, int) else (values != hidden).astype(np.float64)
    return DeepImage(values, alpha, inverted=inverted)


def _colour(image: Image.Image, path: Path, kind: str, mode: str, layout: str) -> DeepImage:
    order = kind[-1] if kind[-1] in "BL" else "BL"[sys.byteorder == "little"]
    hidden = image.info.get("transparency")
    if kind.startswith("LA"):
        both = _unpacked(image, mode, layout).astype(np.uint16)
        channels = both[..., 0::2] << 8 | both[..., 1::2]
        return DeepImage(channels[..., 0], channels[..., 1] / 65535.0)
    with Image.open(path, formats=[str(image.format)]) as again:
        high = _unpacked(image, mode, layout + order)
        low = _unpacked(again, mode, layout + "BL"["LB".index(order)])
    channels = high.astype(np.uint16) << 8 | low
    alpha = None
    if mode == "RGBA":
        alpha = channels[..., 3] / 65535.0
    elif isinstance(hidden, tuple):
        alpha = (channels[..., :3] != np.asarray(hidden, np.uint16)).any(axis=-1).astype(np.float64)
    return DeepImage(channels[..., :3], alpha, premultiplied=kind.startswith("RGBa"))


def _unpacked(image: Image.Image, mode: str, layout: str) -> NDArray[np.uint8]:
    """Return (H, W, C) bytes of an image whose pixels are unpacked as `layout` says instead of as Pillow chose."""
    changed = []
    for tile in image.tile:  # type: ignore[attr-defined]
        args = (layout, *tile[3][1:]) if isinstance(tile[3], tuple) else layout
        changed.append(tile._replace(args=args))
    image.tile = changed  # type: ignore[attr-defined]
    image.info.pop("transparency", None)
    image.load()
    if image.mode != mode:
        raise ImageError("has its channels in an unknown order", "convert it to PNG")
    return np.asarray(ImageOps.exif_transpose(image))


def _jpeg_2000(image: Image.Image, path: Path) -> DeepImage | None:
    """Return a grey JPEG 2000 of more than 8 bits; raises ImageError for deep colour, which Pillow cuts to 8 bits."""
    with open(path, "rb") as file:
        head = file.read(_JPEG_2000_HEAD)
    place = head.find(_JPEG_2000_SIZE)
    fields = head[place + 40 : place + 42]
    if place < 0 or len(fields) < 2:
        raise ImageError("states no size near its beginning, as JPEG 2000 does", "get the file again, or remove it")
    # Csiz, then Ssiz of each channel: one less than its bits, and 128 for signed values (ISO/IEC 15444-1, A.5.1).
    channels = int.from_bytes(fields, "big")
    sizes = head[place + 42 : place + 42 + 3 * channels : 3]
    depth = max((size & 0x7F) + 1 for size in sizes) if sizes else 0
    if depth <= 8 and not any(size & 0x80 for size in sizes):
        return None
    if channels > 1 or any(size & 0x80 for size in sizes) or depth > 16 or not image.mode.startswith("I;16"):
        raise ImageError("holds JPEG 2000 of more than 8 bits per channel that is not plain grey", "convert it to PNG")
    return DeepImage(np.asarray(image).astype(np.uint16) >> (16 - depth))


def _pnm(image: Image.Image, path: Path) -> DeepImage | None:
    """Return a PGM or PPM whose stated maximum is above 255."""
    with open(path, "rb") as file:
        kind = _PNM.match(file.read(2))
        args = image.tile[0][3] if hasattr(image, "tile") and image.tile else ()
        maximum = 65535 if args == "I;16B" else args[1] if isinstance(args, tuple) and len(args) == 2 else 255
        if kind is None or int(maximum) < 256:
            return None
        file.seek(image.tile[0][2])  # type: ignore[attr-defined]
        channels = 3 if kind[1] in b"36" else 1
        shape = (image.height, image.width, 3) if channels == 3 else (image.height, image.width)
        wanted = image.height * image.width * channels
        if kind[1] in b"56":
            values = np.frombuffer(file.read(2 * wanted), ">u2").astype(np.uint16)
        else:
            values = np.fromiter(_plain_numbers(file.read(), wanted), np.uint16)
    if len(values) < wanted:
        raise ImageError(f"ends after {len(values):,} of its {wanted:,} values", "get the file again, or remove it")
    return DeepImage(values[:wanted].reshape(shape))


def _plain_numbers(text: bytes, wanted: int) -> Iterator[int]:
    words = _COMMENT.sub(b" ", text).split(None, wanted)[:wanted]
    return (int(word) for word in words)
