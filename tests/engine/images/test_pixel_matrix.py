"""Every format and depth under every window, against values computed from the raw data; the table in docs/datasets.md.

The rule: images of 8 bits per channel or fewer look the same under every window, deeper ones need one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pydicom", reason="DICOM needs pydicom")
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from medvlm_tui.core.intensity_windows import PRESETS
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.errors import ImageError
from tests.made.images import dicom, dicom_dataset, palette_tags, png, pnm, tiff
from tests.made.shared import ROOT

DOCS = ROOT / "docs" / "datasets.md"
RNG = np.random.default_rng(7)
SHAPE = (35, 41)
WINDOWS = ("file", "1500/2000", "percentiles", "bone")
SAME, REFUSED = "as it is", "refused"


def drawn(high: int, channels: int = 0, low: int = 0, kind: str = "uint16") -> np.ndarray:
    """Return values from `low` to `high`, both among them."""
    values = RNG.integers(low, high + 1, (*SHAPE, channels) if channels else SHAPE)
    values.flat[0], values.flat[-1] = low, high
    return values.astype(kind)


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey


def rounded(shares: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def exact(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.clip((values.astype(float) - centre) / width + 0.5, 0, 1)


def linear(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    return np.clip((values.astype(float) - centre + 0.5) / (width - 1) + 0.5, 0, 1)


def between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values.astype(float) - low) / (high - low), 0, 1)


@dataclass(frozen=True)
class Case:
    """One row of the matrix."""

    format: str
    kind: str
    write: Callable[[Path], object]
    same: np.ndarray | None = None
    """What it looks like under every window; None for a deep one."""
    deep: np.ndarray | None = None
    """Its values; None where every window refuses it."""
    alpha: np.ndarray | None = None
    inverted: bool = False
    preset: str = REFUSED
    """`Hounsfield units` where a preset is taken."""
    file: str = REFUSED
    """What the window `file` does."""
    formula: Callable[[np.ndarray, float, float], np.ndarray] = exact
    tolerance: int = 0
    refused: str = ""
    """A part of the message where every window refuses it."""

    def expected(self, window: str) -> tuple[str, np.ndarray | None]:
        """Return the outcome in words, and the picture where there is one."""
        if self.same is not None:
            return SAME, self.same
        assert self.deep is not None
        shares: np.ndarray | None = None
        words = REFUSED
        if window == "1500/2000":
            words, shares = "windowed", self.formula(self.deep, 1500, 2000)
        elif window == "percentiles":
            visible = self.deep if self.alpha is None else self.deep[self.alpha > 0]
            words, shares = "stretched", between(self.deep, *np.percentile(visible, (0.5, 99.5)))
        elif window == "bone" and self.preset != REFUSED:
            words, shares = "windowed", self.formula(self.deep, *PRESETS["bone"])
        elif window == "file" and self.file == "all levels":
            words, shares = self.file, between(self.deep, self.deep.min(), self.deep.max())
        elif window == "file" and self.file == "soft tissue":
            words, shares = self.file, linear(self.deep, *PRESETS["soft_tissue"])
        elif window == "file" and self.file == "its window":
            words, shares = self.file, linear(self.deep, 2000, 1000)
        if shares is None:
            return words, None
        shares = 1 - shares if self.inverted else shares
        if self.alpha is not None:
            shares = shares * (self.alpha if shares.ndim == 2 else self.alpha[..., None])
        return words, rounded(shares)


GREY8, GREY12, GREY16 = drawn(255, kind="uint8"), drawn(4095), drawn(65535)
RGB8, RGB16 = drawn(255, 3, kind="uint8"), drawn(65535, 3)
RGBA8, RGBA16 = drawn(255, 4, kind="uint8"), drawn(65535, 4)
SIGNED = drawn(3000, low=-1200, kind="int16")
FLOAT = RNG.normal(500, 900, SHAPE).astype(np.float32)
PALETTE = RNG.integers(0, 256, (256, 3), dtype=np.uint8)


def over_black(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """8-bit colours on black; Pillow's own rounding stays within a level of it."""
    return np.rint(as_rgb(colours).astype(float) * alpha[..., None] / 255).astype(np.uint8)


def key16(*levels: int) -> bytes:
    return struct.pack(f">{len(levels)}H", *levels)


def by_pillow(image: Image.Image, **options: object) -> Callable[[Path], object]:
    return lambda path: image.save(path, **options)


def encoded_dicom(pixels: np.ndarray, syntax: str, **tags: object) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        dataset = dicom_dataset(pixels, **tags)
        dataset.compress(syntax)
        dataset.save_as(path, enforce_file_format=True)

    return write


def cases() -> list[Case]:
    return [*png_cases(), *tiff_cases(), *pnm_cases(), *other_raster_cases(), *dicom_cases()]


def png_cases() -> list[Case]:
    found = []
    for depth in (1, 2, 4, 8):
        grey = drawn(2**depth - 1, kind="uint8")
        shown = (grey.astype(int) * 255 // (2**depth - 1)).astype(np.uint8)
        found.append(Case("PNG", f"grey, {depth} bit", lambda p, g=grey, d=depth: png(p, g, d, 0), as_rgb(shown)))
        level = int(grey[3, 4])
        found.append(
            Case(
                "PNG",
                f"grey, {depth} bit, one level transparent",
                lambda p, g=grey, d=depth, t=level: png(p, g, d, 0, transparent=key16(t)),
                as_rgb(np.where(grey == level, 0, shown)),
            )
        )
        colours = PALETTE[: 2**depth]
        found.append(
            Case(
                "PNG",
                f"palette, {depth} bit",
                lambda p, g=grey, d=depth, c=colours: png(p, g, d, 3, palette=c),
                colours[grey],
            )
        )
        alpha = RNG.integers(0, 256, 2**depth).astype(np.uint8)
        found.append(
            Case(
                "PNG",
                f"palette, {depth} bit, transparency",
                lambda p, g=grey, d=depth, c=colours, a=alpha: png(p, g, d, 3, palette=c, transparent=a.tobytes()),
                over_black(colours[grey], alpha[grey]),
                tolerance=1,
            )
        )
    key = RGB8[2, 3]
    key_of_16 = RGB16[5, 6]
    hidden = (key == RGB8).all(axis=-1, keepdims=True)
    level = int(GREY16[4, 4])
    la8, la16 = drawn(255, 2, kind="uint8"), drawn(65535, 2)
    found += [
        Case("PNG", "grey, 16 bit", lambda p: png(p, GREY16, 16, 0), deep=GREY16),
        Case("PNG", "grey, 16 bit, one level transparent",
             lambda p: png(p, GREY16, 16, 0, transparent=key16(level)), deep=GREY16, alpha=(level != GREY16) * 1.0),
        Case("PNG", "grey with alpha, 8 bit", lambda p: png(p, la8, 8, 4), over_black(la8[..., 0], la8[..., 1]),
             tolerance=1),
        Case("PNG", "grey with alpha, 16 bit", lambda p: png(p, la16, 16, 4), deep=la16[..., 0],
             alpha=la16[..., 1] / 65535),
        Case("PNG", "RGB, 8 bit", lambda p: png(p, RGB8, 8, 2), RGB8),
        Case("PNG", "RGB, 8 bit, one colour transparent",
             lambda p: png(p, RGB8, 8, 2, transparent=key16(*key.tolist())), np.where(hidden, 0, RGB8)),
        Case("PNG", "RGB, 16 bit", lambda p: png(p, RGB16, 16, 2), deep=RGB16),
        Case("PNG", "RGB, 16 bit, interlaced", lambda p: png(p, RGB16, 16, 2, interlaced=True), deep=RGB16),
        Case("PNG", "RGB, 16 bit, one colour transparent",
             lambda p: png(p, RGB16, 16, 2, transparent=key16(*key_of_16.tolist())), deep=RGB16,
             alpha=(key_of_16 != RGB16).any(axis=-1) * 1.0),
        Case("PNG", "RGB, 16 bit, grey in colour",
             lambda p: png(p, as_rgb(GREY16), 16, 2), deep=GREY16),
        Case("PNG", "RGBA, 8 bit", lambda p: png(p, RGBA8, 8, 6), over_black(RGBA8[..., :3], RGBA8[..., 3]),
             tolerance=1),
        Case("PNG", "RGBA, 16 bit", lambda p: png(p, RGBA16, 16, 6), deep=RGBA16[..., :3],
             alpha=RGBA16[..., 3] / 65535),
    ]  # fmt: skip
    return found


def tiff_cases() -> list[Case]:
    table16, table8 = PALETTE.astype(np.uint16) * 257, PALETTE.astype(np.uint16)
    small = (RGBA16 // 2).astype(np.uint16)
    associated = np.concatenate(
        [(small[..., :3].astype(float) * small[..., 3:] / 65535).astype(np.uint16), small[..., 3:]], axis=2
    )
    unsigned32 = drawn(4_000_000_000, kind="uint32")
    signed8 = drawn(127, low=-128, kind="int8")
    hounsfield = "Hounsfield units"
    return [
        Case("TIFF", "grey, 8 bit", lambda p: tiff(p, GREY8, 1), as_rgb(GREY8)),
        Case("TIFF", "grey, 8 bit, white is zero", lambda p: tiff(p, GREY8, 0), as_rgb(255 - GREY8)),
        Case("TIFF", "grey, 8 bit signed", lambda p: tiff(p, signed8, 1),
             as_rgb((signed8.astype(int) + 128).astype(np.uint8))),
        Case("TIFF", "grey, 16 bit", lambda p: tiff(p, GREY16, 1), deep=GREY16),
        Case("TIFF", "grey, 16 bit, big-endian", lambda p: tiff(p, GREY16, 1, order=">"), deep=GREY16),
        Case("TIFF", "grey, 16 bit, deflated", lambda p: tiff(p, GREY16, 1, deflated=True), deep=GREY16),
        Case("TIFF", "grey, 16 bit, white is zero", lambda p: tiff(p, GREY16, 0), deep=GREY16, inverted=True),
        Case("TIFF", "grey, 16 bit signed", lambda p: tiff(p, SIGNED, 1), deep=SIGNED, preset=hounsfield),
        Case("TIFF", "grey, 32 bit", lambda p: tiff(p, unsigned32, 1), deep=unsigned32),
        Case("TIFF", "grey, 32 bit signed", lambda p: tiff(p, SIGNED.astype(np.int32), 1), deep=SIGNED,
             preset=hounsfield),
        Case("TIFF", "grey, float", lambda p: tiff(p, FLOAT, 1), deep=FLOAT, preset=hounsfield),
        Case("TIFF", "grey, float, white is zero", lambda p: tiff(p, FLOAT, 0), deep=FLOAT, preset=hounsfield,
             inverted=True),
        Case("TIFF", "grey, float between 0 and 1", lambda p: tiff(p, GREY16.astype(np.float32) / 65535, 1),
             deep=GREY16.astype(np.float32) / 65535),
        Case("TIFF", "grey, double", lambda p: tiff(p, FLOAT.astype(np.float64), 1), refused="not read"),
        Case("TIFF", "palette, 8 bit", lambda p: tiff(p, GREY8, 3, colour_map=table16), PALETTE[GREY8]),
        Case("TIFF", "palette, 8 bit, map of bytes", lambda p: tiff(p, GREY8, 3, colour_map=table8), PALETTE[GREY8]),
        Case("TIFF", "RGB, 8 bit", lambda p: tiff(p, RGB8, 2), RGB8),
        Case("TIFF", "RGB, 16 bit", lambda p: tiff(p, RGB16, 2), deep=RGB16),
        Case("TIFF", "RGB, 16 bit, big-endian", lambda p: tiff(p, RGB16, 2, order=">"), deep=RGB16),
        Case("TIFF", "RGB, 16 bit, deflated", lambda p: tiff(p, RGB16, 2, deflated=True), deep=RGB16),
        Case("TIFF", "RGB, 16 bit, deflated, big-endian", lambda p: tiff(p, RGB16, 2, order=">", deflated=True),
             deep=RGB16),
        Case("TIFF", "RGB, 16 bit, planes", lambda p: tiff(p, RGB16, 2, planar=True), refused="layout"),
        Case("TIFF", "RGB, 16 bit, pages", lambda p: tiff(p, RGB16, 2, pages=2), deep=RGB16),
        Case("TIFF", "RGBA, 16 bit", lambda p: tiff(p, RGBA16, 2, extra=2), deep=RGBA16[..., :3],
             alpha=RGBA16[..., 3] / 65535),
        Case("TIFF", "RGBA, 16 bit, multiplied", lambda p: tiff(p, associated, 2, extra=1), deep=associated[..., :3]),
        Case("TIFF", "CMYK, 16 bit", lambda p: tiff(p, RGBA16, 5), refused="CMYK"),
    ]  # fmt: skip


def pnm_cases() -> list[Case]:
    grey4 = drawn(15, kind="uint8")
    rgb12 = drawn(4095, 3)
    return [
        Case("PGM", "maximum 15", lambda p: pnm(p, grey4, 15), as_rgb(grey4 * 17)),
        Case("PGM", "maximum 255", lambda p: pnm(p, GREY8, 255), as_rgb(GREY8)),
        Case("PGM", "maximum 255, plain", lambda p: pnm(p, GREY8, 255, plain=True), as_rgb(GREY8)),
        Case("PGM", "maximum 4095", lambda p: pnm(p, GREY12, 4095), deep=GREY12),
        Case("PGM", "maximum 4095, plain", lambda p: pnm(p, GREY12, 4095, plain=True), deep=GREY12),
        Case("PGM", "maximum 65535", lambda p: pnm(p, GREY16, 65535), deep=GREY16),
        Case("PPM", "maximum 255", lambda p: pnm(p, RGB8, 255), RGB8),
        Case("PPM", "maximum 4095", lambda p: pnm(p, rgb12, 4095), deep=rgb12),
        Case("PPM", "maximum 4095, plain", lambda p: pnm(p, rgb12, 4095, plain=True), deep=rgb12),
        Case("PPM", "maximum 65535", lambda p: pnm(p, RGB16, 65535), deep=RGB16),
    ]


def other_raster_cases() -> list[Case]:
    bits = drawn(1, kind="uint8")
    indexed = Image.fromarray(GREY8, "P")
    indexed.putpalette(PALETTE.tobytes())
    flat = np.full((*SHAPE, 4), (30, 90, 160, 40), np.uint8)
    ink = 255 - flat.astype(int)
    printed = np.rint(ink[..., :3] * ink[..., 3:] / 255).astype(np.uint8)
    clear = int(GREY8[0, 5])
    shades = np.full(SHAPE, 77, np.uint8)
    colour = np.full((*SHAPE, 3), (200, 40, 90), np.uint8)
    hidden = np.where((clear == GREY8)[..., None], 0, PALETTE[GREY8])
    return [
        Case("JPEG", "grey", by_pillow(Image.fromarray(shades), format="JPEG"), as_rgb(shades), tolerance=1),
        Case("JPEG", "colour", by_pillow(Image.fromarray(colour), format="JPEG", quality=95), colour, tolerance=2),
        Case("JPEG", "CMYK", by_pillow(Image.fromarray(flat, "CMYK"), format="JPEG", quality=95), printed, tolerance=3),
        Case("BMP", "1 bit", by_pillow(Image.fromarray(bits * 255).convert("1"), format="BMP"), as_rgb(bits * 255)),
        Case("BMP", "palette, 8 bit", by_pillow(indexed, format="BMP"), PALETTE[GREY8]),
        Case("BMP", "RGB", by_pillow(Image.fromarray(RGB8), format="BMP"), RGB8),
        Case("GIF", "palette", by_pillow(indexed, format="GIF"), PALETTE[GREY8]),
        Case("GIF", "palette, one colour transparent", by_pillow(indexed, format="GIF", transparency=clear), hidden),
        Case("WebP", "RGB, lossless", by_pillow(Image.fromarray(RGB8), format="WEBP", lossless=True), RGB8),
        Case("WebP", "RGBA, lossless",
             by_pillow(Image.fromarray(RGBA8), format="WEBP", lossless=True, exact=True),
             over_black(RGBA8[..., :3], RGBA8[..., 3]), tolerance=1),
        *jpeg_2000_cases(),
    ]  # fmt: skip


def jpeg_2000_cases() -> list[Case]:
    def lossless(pixels: np.ndarray, **options: object) -> Callable[[Path], object]:
        return by_pillow(Image.fromarray(pixels), format="JPEG2000", irreversible=False, **options)

    signed = drawn(3000, low=-1200, kind="int16")
    return [
        Case("JPEG 2000", "grey, 8 bit", lossless(GREY8), as_rgb(GREY8)),
        Case("JPEG 2000", "RGB, 8 bit, without boxes", lossless(RGB8, no_jp2=True), RGB8),
        Case("JPEG 2000", "RGBA, 8 bit", lossless(RGBA8), over_black(RGBA8[..., :3], RGBA8[..., 3]), tolerance=1),
        Case("JPEG 2000", "grey, 12 bit", codestream(GREY12, 12), deep=GREY12),
        Case("JPEG 2000", "grey, 16 bit", lossless(GREY16), deep=GREY16),
        Case("JPEG 2000", "grey, 12 bit, signed", codestream(signed, 16), refused="not plain grey"),
        Case("JPEG 2000", "RGB, 16 bit", codestream(RGB16, 16), refused="not plain grey"),
    ]


def codestream(pixels: np.ndarray, bits: int) -> Callable[[Path], object]:
    """Write a bare JPEG 2000 codestream, as pydicom's encoder makes it."""

    def write(path: Path) -> None:
        dataset = dicom_dataset(pixels, BitsStored=bits, HighBit=bits - 1)
        dataset.compress(JPEG2000Lossless)
        path.write_bytes(next(generate_frames(dataset.PixelData, number_of_frames=1)))

    return write


def ybr_full(rgb: np.ndarray) -> np.ndarray:
    """JFIF's matrix, as PS3.3 C.7.6.3.1.2 gives it."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.clip(np.rint(rgb.astype(float) @ matrix.T + (0, 128, 128)), 0, 255).astype(np.uint8)


def dicom_cases() -> list[Case]:
    table16 = tuple(c.astype("<u2").tobytes() for c in (PALETTE.astype(np.uint16) * 257).T)
    low_bytes = tuple(c.astype("<u2").tobytes() for c in PALETTE.T)
    table8 = tuple(c.tobytes() for c in PALETTE.T)
    rescale = {"Modality": "CT", "RescaleSlope": "2", "RescaleIntercept": "-1024"}
    hu = GREY12 * 2.0 - 1024
    half = (GREY12 * 0.5, {"Modality": "PT", "RescaleSlope": "0.5", "RescaleIntercept": "0"})
    window = {"WindowCenter": ["2000", "100"], "WindowWidth": ["1000", "50"]}
    twelve = {"BitsStored": 12, "HighBit": 11}
    signed8 = drawn(127, low=-128, kind="int8")
    calm = np.repeat(np.repeat(RNG.integers(60, 190, (7, 10, 3), dtype=np.uint8), 2, 0), 2, 1)
    pairs = ybr_full(calm)
    sampled = np.stack([pairs[:, 0::2, 0], pairs[:, 1::2, 0], pairs[:, 0::2, 1], pairs[:, 0::2, 2]], axis=-1)
    linear_deep = {"formula": linear}
    return [
        Case("DICOM", "MONOCHROME2, 8 bit", lambda p: dicom(p, GREY8), as_rgb(GREY8)),
        Case("DICOM", "MONOCHROME2, 8 bit, screen of a CT", lambda p: dicom(p, GREY8, Modality="CT"), as_rgb(GREY8)),
        Case("DICOM", "MONOCHROME2, 8 bit, window left of a CT",
             lambda p: dicom(p, GREY8, Modality="CT", WindowCenter="40", WindowWidth="80"), as_rgb(GREY8)),
        Case("DICOM", "MONOCHROME1, 8 bit", lambda p: dicom(p, GREY8, PhotometricInterpretation="MONOCHROME1"),
             as_rgb(255 - GREY8)),
        Case("DICOM", "MONOCHROME2, 8 bit signed", lambda p: dicom(p, signed8),
             as_rgb((signed8.astype(int) + 128).astype(np.uint8))),
        Case("DICOM", "MONOCHROME2, 8 bit, rescaled CT", lambda p: dicom(p, GREY8, **rescale),
             deep=GREY8 * 2.0 - 1024, preset="Hounsfield units", file="soft tissue", **linear_deep),
        Case("DICOM", "MONOCHROME2, 12 bit", lambda p: dicom(p, GREY12, **twelve), deep=GREY12, file="all levels",
             **linear_deep),
        Case("DICOM", "MONOCHROME2, 12 bit in the high bits",
             lambda p: dicom(p, GREY12 << 4, BitsStored=12, HighBit=15), deep=GREY12, file="all levels",
             **linear_deep),
        Case("DICOM", "MONOCHROME1, 12 bit",
             lambda p: dicom(p, GREY12, PhotometricInterpretation="MONOCHROME1", **twelve), deep=GREY12,
             file="all levels", inverted=True, **linear_deep),
        Case("DICOM", "MONOCHROME2, 12 bit, windows", lambda p: dicom(p, GREY12, **twelve, **window), deep=GREY12,
             file="its window", **linear_deep),
        Case("DICOM", "MONOCHROME2, 16 bit", lambda p: dicom(p, GREY16), deep=GREY16, file="all levels",
             **linear_deep),
        Case("DICOM", "MONOCHROME2, 16 bit signed", lambda p: dicom(p, SIGNED), deep=SIGNED, file="all levels",
             **linear_deep),
        Case("DICOM", "MONOCHROME2, rescaled CT", lambda p: dicom(p, GREY12, **rescale), deep=hu,
             preset="Hounsfield units", file="soft tissue", **linear_deep),
        Case("DICOM", "MONOCHROME2, CT without a rescale", lambda p: dicom(p, GREY12, Modality="CT"), deep=GREY12,
             file="all levels", **linear_deep),
        Case("DICOM", "MONOCHROME2, rescaled CT, other unit",
             lambda p: dicom(p, GREY12, RescaleType="Z_EFF", **rescale), deep=hu, file="all levels", **linear_deep),
        Case("DICOM", "MONOCHROME2, rescaled PET", lambda p: dicom(p, GREY12, **half[1]), deep=half[0],
             file="all levels", **linear_deep),
        Case("DICOM", "MONOCHROME2, float", lambda p: dicom(p, FLOAT), deep=FLOAT, file="all levels"),
        Case("DICOM", "MONOCHROME2, RLE", encoded_dicom(GREY16, RLELossless), deep=GREY16, file="all levels",
             **linear_deep),
        Case("DICOM", "MONOCHROME2, JPEG 2000", encoded_dicom(GREY16, JPEG2000Lossless), deep=GREY16,
             file="all levels", **linear_deep),
        Case("DICOM", "PALETTE COLOR, 8 bit table", lambda p: dicom(p, GREY8, **palette_tags(table8, 256, 8)),
             PALETTE[GREY8]),
        Case("DICOM", "PALETTE COLOR, 16 bit table", lambda p: dicom(p, GREY8, **palette_tags(table16, 256, 16)),
             PALETTE[GREY8]),
        Case("DICOM", "PALETTE COLOR, 16 bit table called 8",
             lambda p: dicom(p, GREY8, **palette_tags(table16, 256, 8)), PALETTE[GREY8]),
        Case("DICOM", "PALETTE COLOR, bytes in a 16 bit table",
             lambda p: dicom(p, GREY8, **palette_tags(low_bytes, 256, 16)), PALETTE[GREY8]),
        Case("DICOM", "PALETTE COLOR, 8 bit table called 16",
             lambda p: dicom(p, GREY8, **palette_tags(table8, 256, 16)), PALETTE[GREY8]),
        Case("DICOM", "RGB, 8 bit", lambda p: dicom(p, RGB8), RGB8),
        Case("DICOM", "RGB, 8 bit, planes",
             lambda p: dicom(p, RGB8, PlanarConfiguration=1, PixelData=np.moveaxis(RGB8, -1, 0).tobytes() + b"\0"),
             RGB8),
        Case("DICOM", "RGB, 16 bit", lambda p: dicom(p, RGB16), deep=RGB16, file="all levels", **linear_deep),
        Case("DICOM", "RGB, JPEG 2000",
             encoded_dicom(RGB8, JPEG2000Lossless), RGB8),
        Case("DICOM", "YBR_FULL, 8 bit",
             lambda p: dicom(p, ybr_full(calm), PhotometricInterpretation="YBR_FULL"), calm, tolerance=2),
        Case("DICOM", "YBR_FULL_422, 8 bit",
             lambda p: dicom(p, calm, PhotometricInterpretation="YBR_FULL_422", PixelData=sampled.tobytes()), calm,
             tolerance=2),
        Case("DICOM", "YBR_PARTIAL_422", lambda p: dicom(p, RGB8, PhotometricInterpretation="YBR_PARTIAL_422"),
             refused="PhotometricInterpretation"),
    ]  # fmt: skip


def by_name(case: Case) -> str:
    return f"{case.format} {case.kind}"


CASES = cases()


def outcome(case: Case, folder: Path, window: str) -> str:
    """Read the file under a window, hold it against the raw values, and return the outcome in words."""
    path = folder / "image"
    case.write(path)
    sample = Sample("image", path, "")
    if case.refused:
        with pytest.raises(ImageError, match=case.refused) as caught:
            read_sample(sample, window)
        assert caught.value.hint
        return REFUSED
    words, picture = case.expected(window)
    if picture is None:
        with pytest.raises(ImageError, match=r"window of its own|no Hounsfield units|is in colour"):
            read_sample(sample, window)
        return words
    found = np.asarray(read_sample(sample, window)).astype(int)
    difference = np.abs(found - as_rgb(picture)).max()
    assert difference <= case.tolerance, f"{window}: off by {difference}"
    return words


@pytest.mark.parametrize("case", CASES, ids=by_name)
@pytest.mark.parametrize("window", WINDOWS)
def test_each_format_and_depth_under_each_window(case, window, tmp_path):
    assert outcome(case, tmp_path, window)


def test_jpeg_ls_too(tmp_path):
    path = tmp_path / "image"
    try:
        encoded_dicom(GREY12, JPEGLSLossless, BitsStored=12, HighBit=11)(path)
    except (NotImplementedError, RuntimeError):
        pytest.skip("no encoder of JPEG-LS is installed")
    read = np.asarray(read_sample(Sample("image", path, ""), "1500/2000"))[..., 0]
    np.testing.assert_array_equal(read, rounded(linear(GREY12, 1500, 2000)))


def test_the_matrix_in_the_docs_is_what_comes_out(tmp_path):
    lines = [
        "| format | what it holds | `file` | `CENTRE/WIDTH` | `percentiles` | presets |",
        "|---|---|---|---|---|---|",
    ]
    for case in CASES:
        words = [outcome(case, tmp_path, window) for window in WINDOWS]
        lines.append(f"| {case.format} | {case.kind} | {' | '.join(words)} |")
    table = "\n".join(lines)
    text = DOCS.read_text(encoding="utf-8")
    _, _, rest = text.partition("<!-- matrix of pixels -->\n")
    stands, _, _ = rest.partition("\n<!-- end -->")
    assert stands == table, f"docs/datasets.md should hold:\n{table}"
