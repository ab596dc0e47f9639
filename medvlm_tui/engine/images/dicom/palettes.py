"""Look-up tables of DICOM: palettes, modality LUTs and VOI LUTs, read by their length where their descriptor lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from medvlm_tui.engine.images.dicom.tags import numbers
from medvlm_tui.engine.images.windowing import stretched
from medvlm_tui.errors import ImageError

_MOST_ENTRIES = 1 << 16
_SIGN = 1 << 15
_CONVERT = "convert the image to PNG yourself"


@dataclass(frozen=True, slots=True)
class LookUpTable:
    """A table from pixel values to other values."""

    entries: NDArray[np.uint16]
    first: int
    """The pixel value of the first entry."""
    bits: int
    """Of an entry, as the descriptor states it."""

    def of(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Return the entries of (H, W) values; those beside the table take its first or last entry."""
        first = self.first
        if first >= _SIGN and values.min() < 0:
            first -= 2 * _SIGN  # written as unsigned
        index = np.rint(values).astype(np.int64) - first
        found: NDArray[np.uint16] = self.entries[np.clip(index, 0, len(self.entries) - 1)]
        return found

    @property
    def range_bits(self) -> int:
        """Bits of the range that the entries lie in: what the descriptor says where the entries agree."""
        greatest = int(self.entries.max())
        if greatest < 256 and self.bits > 8:
            return 8  # bytes in 16-bit words, which some devices write
        return max(self.bits, greatest.bit_length())


def apply_palette(pixels: NDArray[Any], dataset: pydicom.Dataset) -> NDArray[np.uint8]:
    """Return (H, W, 3) of PALETTE COLOR pixels: the high byte of tables that hold 16 bits."""
    tables = [_palette(dataset, colour) for colour in ("Red", "Green", "Blue")]
    deep = any(int(table.entries.max()) > 255 for table in tables)
    colours = np.stack([table.of(pixels) for table in tables], axis=-1)
    return (colours >> 8 if deep else colours).astype(np.uint8)


def apply_voi_table(item: pydicom.Dataset, values: NDArray[Any], big_endian: bool) -> NDArray[np.float64]:
    """Return values in 0 to 1 by a VOI LUT."""
    table = _table(item, "LUTDescriptor", "LUTData", big_endian)
    return stretched(table.of(values), 0, 2**table.range_bits - 1)


def apply_modality_table(item: pydicom.Dataset, pixels: NDArray[Any], big_endian: bool) -> NDArray[np.uint16]:
    """Return the values of stored pixels by a modality LUT."""
    return _table(item, "LUTDescriptor", "LUTData", big_endian).of(pixels)


def is_big_endian(dataset: pydicom.Dataset) -> bool:
    """Return whether words of the file have their high byte first."""
    return dataset.original_encoding[1] is False


def _palette(dataset: pydicom.Dataset, colour: str) -> LookUpTable:
    name = f"{colour}PaletteColorLookupTable"
    if f"Segmented{name}Data" in dataset and f"{name}Data" not in dataset:
        return _segmented(dataset, name)
    return _table(dataset, f"{name}Descriptor", f"{name}Data", is_big_endian(dataset))


def _table(item: pydicom.Dataset, descriptor: str, data: str, big_endian: bool) -> LookUpTable:
    count, first, bits = _descriptor(item, descriptor)
    found = item.get(data)
    if not found:
        raise ImageError(f"states a look-up table without {data}", _CONVERT)
    if isinstance(found, bytes):
        found = np.frombuffer(_whole_words(found, count, bits), _word(found, count, bits, big_endian))
    entries = np.atleast_1d(np.asarray(found))[:count].astype(np.uint16)
    return LookUpTable(entries, first, bits)


def _descriptor(item: pydicom.Dataset, name: str) -> tuple[int, int, int]:
    found = [int(value) for value in numbers(item, name)]
    if len(found) != 3 or not 1 <= found[2] <= 16 or found[0] < 0:
        raise ImageError(f"has a {name} that describes no table", _CONVERT)
    return found[0] or _MOST_ENTRIES, found[1], found[2]


def _word(data: bytes, count: int, bits: int, big_endian: bool) -> str:
    """Return the type of an entry: the table's length says how wide it is, and the descriptor where that is short."""
    wide = len(data) >= 2 * count or (len(data) < count and bits > 8)
    return (">u2" if big_endian else "<u2") if wide else "u1"


def _whole_words(data: bytes, count: int, bits: int) -> bytes:
    size = np.dtype(_word(data, count, bits, False)).itemsize
    return data[: len(data) // size * size]


def _segmented(dataset: pydicom.Dataset, name: str) -> LookUpTable:
    from pydicom.pixels.processing import _expand_segmented_lut

    count, first, bits = _descriptor(dataset, f"{name}Descriptor")
    data = dataset[f"Segmented{name}Data"].value
    word = "u1" if bits <= 8 else ">u2" if is_big_endian(dataset) else "<u2"
    values = np.frombuffer(data[: len(data) // np.dtype(word).itemsize * np.dtype(word).itemsize], word)
    letters = ("B" if bits <= 8 else "H") if not is_big_endian(dataset) else (">B" if bits <= 8 else ">H")
    entries = np.asarray(_expand_segmented_lut(tuple(values.tolist()), letters), np.int64)
    if not len(entries):
        raise ImageError("states a palette without entries", _CONVERT)
    return LookUpTable(entries[:count].clip(0, 65535).astype(np.uint16), first, bits)
