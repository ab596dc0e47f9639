"""Images that lie inside a Parquet file: one cell's bytes, read where foreign bytes are decoded.

The hub's datasets keep an image as a struct of `bytes` and `path`; others as plain bytes. One group of rows is read at
a time and kept, since the images of a file are asked for one after the other.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import ImageError

if TYPE_CHECKING:
    import pyarrow

FRAME = "cell:"
"""Beginning of `Sample.frame` of such an image; column and row follow, `cell:image/17`."""
MAX_GROUP_BYTES = 1 << 30
"""Unpacked, of the images of one group of rows; the hub writes groups of 100 images, or of 300 MB."""
_LOCK = Lock()


def frame_of(column: str, row: int) -> str:
    """Return the `Sample.frame` of an image."""
    return f"{FRAME}{column}/{row}"


def image_bytes(path: Path, frame: str) -> bytes:
    """Return the bytes of the image that `frame` names; raises ImageError where there are none."""
    column, _, row = frame.removeprefix(FRAME).rpartition("/")
    try:
        import pyarrow
    except ImportError as error:
        raise ImageError(f"images inside {clean(path.name)} need pyarrow", "pip install pyarrow") from error
    try:
        with _LOCK:  # threads that start together would each unpack the same group
            group, first = _group_of(path, int(row))
            cell = _images(path, column, group)[int(row) - first].as_py()
    except (OSError, ValueError, KeyError, IndexError, pyarrow.ArrowException) as error:
        reason = clean(str(error))
        raise ImageError(f"row {row} of {clean(path.name)} cannot be read: {reason}", "get the file again") from error
    if not cell:
        raise ImageError(
            f"row {row} of {clean(path.name)} holds no bytes, only a path or nothing",
            "the images lie elsewhere: write them as files and list these as path,label",
        )
    return bytes(cell)


@lru_cache(maxsize=8)
def _starts(path: Path) -> tuple[int, ...]:
    """Return the first row of each group, and the number of rows."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        starts = [0]
        for group in range(file.metadata.num_row_groups):
            starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
    return tuple(starts)


def _group_of(path: Path, row: int) -> tuple[int, int]:
    """Return the number of the row's group, and that group's first row."""
    starts = _starts(path)
    for group, (first, end) in enumerate(pairwise(starts)):
        if first <= row < end:
            return group, first
    raise IndexError(f"it has {starts[-1]:,} rows")


@lru_cache(maxsize=1)
def _images(path: Path, column: str, group: int) -> pyarrow.ChunkedArray:
    """Return the bytes of the images of one group of rows."""
    import pyarrow
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        row_group = file.metadata.row_group(group)
        chunks = [row_group.column(i) for i in range(row_group.num_columns)]
        wanted = [c for c in chunks if c.path_in_schema in (column, f"{column}.bytes")]
        size = sum(c.total_uncompressed_size for c in wanted)
        if not wanted:
            raise KeyError(f"no column {column}")
        if size > MAX_GROUP_BYTES:
            raise ValueError(
                f"one group of its rows unpacks to {size >> 20:,} MiB, more than {MAX_GROUP_BYTES >> 20}: write it "
                "again with row_group_size=100"
            )
        found = file.read_row_group(group, columns=[wanted[0].path_in_schema], use_threads=False).column(0)
    if pyarrow.types.is_struct(found.type):
        return pyarrow.chunked_array([chunk.field("bytes") for chunk in found.chunks], pyarrow.binary())
    return found
