"""Kind of image that a file holds: by its first bytes, and by its suffix where those do not say."""

from __future__ import annotations

import re
from pathlib import Path

DICOM_SUFFIXES = frozenset({".dcm", ".dicom"})
RASTER_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif"}
    | {".pbm", ".pgm", ".ppm", ".pnm", ".pfm"}
    | {".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc"}
)
_DICOM_MARK = slice(128, 132)
_RASTER_MARKS = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    *(b"\0\0\0\x0cjP  \r\n\x87\n", b"\xffO\xffQ"),  # JPEG 2000, in its boxes or bare
)
_PNM_MARK = re.compile(rb"P[1-6fF]\s")


def is_dicom(path: Path) -> bool:
    """Return whether a file is read as DICOM; raises OSError.

    By its mark, unless it has the suffix of another format and begins as one (a TIFF may carry the mark too); or by
    its suffix, unless it begins as another format.
    """
    with open(path, "rb") as file:
        head = file.read(_DICOM_MARK.stop)
    suffix = path.suffix.lower()
    if head[_DICOM_MARK] == b"DICM":
        return not (suffix in RASTER_SUFFIXES and _is_raster(head))
    return suffix in DICOM_SUFFIXES and not _is_raster(head)


def _is_raster(head: bytes) -> bool:
    webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    return head.startswith(_RASTER_MARKS) or webp or _PNM_MARK.match(head) is not None
