"""A trial reading of a Parquet file in a process of its own.

pyarrow ends the whole process (`std::terminate`) at some damaged files, which no exception can stop. So a process that
holds nothing reads every column of cells once, under a limit of memory and time; only a file that it survives is read
by this program.

    python -m medvlm_tui.engine.datasets.label_files.parquet_trial PATH
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from medvlm_tui.engine.datasets.label_files.parquet_file import read_all

_MEMORY_BYTES = 4 << 30
_CPU_S = 120
# An exception, which this program meets and tells by itself.
_REFUSED = 3


def refuse_deadly(path: Path) -> None:
    """Raise ValueError when reading the file ends the process that does it, or when no process can be started."""
    status = path.stat()
    _refuse_deadly(path, status.st_size, status.st_mtime_ns)


# A screen that surveys the datasets opens each again and again; what has survived is tried again once it changes.
@lru_cache(maxsize=32)
def _refuse_deadly(path: Path, size: int, mtime_ns: int) -> None:
    line = [sys.executable, "-P", "-m", __name__, str(path)]
    try:
        ended = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise ValueError(f"no process can be started to read it: {error.strerror}") from error
    if ended.returncode < 0:
        cause = signal.Signals(-ended.returncode).name
        raise ValueError(f"it is damaged so badly that reading it ended with {cause}")
    if ended.returncode not in (0, _REFUSED):
        last = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ValueError(f"the process that reads it failed: {last}")


def _try(path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    read_all(path)


if __name__ == "__main__":
    try:
        _try(Path(sys.argv[1]))
    except Exception:
        sys.exit(_REFUSED)
