"""Image files written byte by byte from raw values, in the depths and layouts that no common writer offers."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

Values = np.ndarray

# -- PNG -------------------------------------------------------------------------------------------

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def png(
    path: Path,
    values: Values,
    depth: int,
    colour: int,
    palette: Values | None = None,
    transparent: bytes = b"",
    interlaced: bool = False,
) -> Path:
    """Write (H, W) or (H, W, C) values with every filter type in turn; `transparent` is the tRNS chunk's data."""
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    parts = [values[y::dy, x::dx] for x, y, dx, dy in _ADAM7] if interlaced else [values]
    rows = b"".join(_filtered(part, depth, _PNG_CHANNELS[colour]) for part in parts if part.size)
    chunks = [(b"IHDR", header)]
    chunks += [(b"PLTE", palette.astype(np.uint8).tobytes())] if palette is not None else []
    chunks += [(b"tRNS", transparent)] if transparent else []
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks)))
    return path


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, data = chunk
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _filtered(values: Values, depth: int, channels: int) -> bytes:
    """Return scan lines, line n with filter type n mod 5."""
    flat = values.reshape(len(values), -1)
    if depth == 16:
        rows = flat.astype(">u2").view(np.uint8)
    elif depth == 8:
        rows = flat.astype(np.uint8)
    else:
        bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(len(flat), -1).astype(np.uint8), axis=1)
    size = max(1, depth * channels // 8)
    rows = rows.astype(np.int32)
    out = b""
    for n, row in enumerate(rows):
        above = rows[n - 1] if n else np.zeros_like(row)
        left = np.concatenate([np.zeros(size, np.int32), row[:-size]])[: len(row)]
        corner = np.concatenate([np.zeros(size, np.int32), above[:-size]])[: len(row)]
        guess = [0 * row, left, above, (left + above) // 2, _paeth(left, above, corner)][n % 5]
        out += bytes([n % 5]) + ((row - guess) % 256).astype(np.uint8).tobytes()
    return out


def _paeth(left: Values, above: Values, corner: Values) -> Values:
    guess = left + above - corner
    a, b, c = abs(guess - left), abs(guess - above), abs(guess - corner)
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))


# -- TIFF ------------------------------------------------------------------------------------------


def tiff(
    path: Path,
    values: Values,
    photometric: int,
    order: str = "<",
    extra: int | None = None,
    colour_map: Values | None = None,
    deflated: bool = False,
    planar: bool = False,
    pages: int = 1,
) -> Path:
    """Write one strip of (H, W) or (H, W, C) values in their own type; `pages` repeats it with other values."""
    channels = values.shape[2] if values.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    body, offset, directories = b"", 8, []
    for page in range(pages):
        data = (values if page == 0 else 0 * values).astype(values.dtype.newbyteorder(order))
        raw = (np.moveaxis(data, -1, 0) if planar else data).tobytes()
        strips = [raw[n * len(raw) // channels : (n + 1) * len(raw) // channels] for n in range(channels)]
        strips = [zlib.compress(strip) if deflated else strip for strip in (strips if planar else [raw])]
        places = []
        for strip in strips:
            places.append(offset + len(body))
            body += strip + b"\0" * (len(strip) % 2)
        tags = {
            256: [values.shape[1]], 257: [values.shape[0]], 258: [values.dtype.itemsize * 8] * channels,
            259: [8 if deflated else 1], 262: [photometric], 273: places, 277: [channels], 278: [values.shape[0]],
            279: [len(strip) for strip in strips], 284: [2 if planar else 1], 339: [kind] * channels,
        }  # fmt: skip
        tags |= {338: [extra]} if extra is not None else {}
        tags |= {320: colour_map.T.ravel().tolist()} if colour_map is not None else {}
        directories.append(dict(sorted(tags.items())))
    first = offset + len(body)
    tables = b""
    for number, tags in enumerate(directories):
        begin = first + len(tables)
        size = 2 + 12 * len(tags) + 4
        spilled, entries = b"", b""
        for tag, numbers in tags.items():
            letter, code = ("I", 4) if tag in (273, 279) else ("H", 3)
            packed = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
            if len(packed) > 4:
                place = struct.pack(f"{order}I", begin + size + len(spilled))
                spilled += packed
            else:
                place = packed.ljust(4, b"\0")
            entries += struct.pack(f"{order}HHI", tag, code, len(numbers)) + place
        following = begin + size + len(spilled) if number + 1 < len(directories) else 0
        tables += struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", following) + spilled
    mark = b"II*\0" if order == "<" else b"MM\0*"
    path.write_bytes(mark + struct.pack(f"{order}I", first) + body + tables)
    return path


# -- PGM and PPM -----------------------------------------------------------------------------------


def pnm(path: Path, values: Values, maximum: int, plain: bool = False) -> Path:
    """Write (H, W) as PGM or (H, W, 3) as PPM, with a comment in the header."""
    kind = {(2, False): 5, (3, False): 6, (2, True): 2, (3, True): 3}[values.ndim, plain]
    header = f"P{kind}\n# 12 bits, say\n{values.shape[1]} {values.shape[0]}\n{maximum}\n".encode()
    words = b" ".join(str(value).encode() for value in values.ravel().tolist())
    binary = values.astype(">u2" if maximum > 255 else "u1").tobytes()
    path.write_bytes(header + (words if plain else binary))
    return path


# -- DICOM -----------------------------------------------------------------------------------------


def dicom(path: Path, pixels: Values, **tags: object) -> Path:
    """Write an explicit little-endian file; `pixels` (H, W), (frames, H, W) or (H, W, 3), floats too."""
    dicom_dataset(pixels, **tags).save_as(path, enforce_file_format=True)
    return path


def dicom_dataset(pixels: Values, **tags: object) -> pydicom.Dataset:
    """Return the file's content, for writers that change more than tags."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    frames = pixels.shape[0] if pixels.ndim == 3 and not colour else 0
    dataset.Rows, dataset.Columns = pixels.shape[1:] if frames else pixels.shape[:2]
    if frames:
        dataset.NumberOfFrames = frames
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = bits
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if pixels.dtype.kind == "f":
        setattr(dataset, "FloatPixelData" if bits == 32 else "DoubleFloatPixelData", pixels.tobytes())
    else:
        dataset.BitsStored, dataset.HighBit = bits, bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        data = pixels.tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def palette_tags(
    tables: tuple[bytes, bytes, bytes], entries: int, bits: int, first: int = 0, segmented: bool = False
) -> dict[str, object]:
    """Return the tags of a palette; `tables` are the bytes of the red, green and blue one."""
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, bits]
        tags[f"{'Segmented' if segmented else ''}{colour}PaletteColorLookupTableData"] = table
    return tags
