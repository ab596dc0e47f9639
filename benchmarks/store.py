"""The store against a plain memory-mapped .npy with fsync: 30,000 x 1024 float32, both sides in turn, medians.

write_over_npy       journal (blocks of 256, durable one by one) and sealing, over one .npy written and synced
sealed_read_over_npy the sealed table read row by row of blocks (mapped at its offset, verified before: `verify_s`)
                     over the same rows of the .npy, both warm
cached_run_overhead_s a run of efficientnet_lite0 on the phantom whose every step is stored, imports done, no report
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.core.store.store import Store

BLOCK = 256
KEY = "0" * 32


def synced_npy(path: Path, matrix: np.ndarray) -> float:
    """Write the matrix as a memory-mapped .npy with fsync; returns seconds."""
    began = time.perf_counter()
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=matrix.shape)
    mapped[:] = matrix
    mapped.flush()
    del mapped
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - began


def stored(place: Path, matrix: np.ndarray, encoder: EncoderKey) -> tuple[float, float]:
    """Store the matrix block by block and seal it; returns the seconds of both, opening included."""
    digests = [f"{row:032x}" for row in range(len(matrix))]
    began = time.perf_counter()
    with Store(place) as store:
        for begin in range(0, len(matrix), BLOCK):
            store.put_block(encoder, digests[begin : begin + BLOCK], matrix[begin : begin + BLOCK])
        blocks_s = time.perf_counter() - began
        names = tuple(digests)
        store.seal(KEY, FeatureTable(encoder, "d", names, names, names, matrix))
    return blocks_s, time.perf_counter() - began - blocks_s


def summed(matrix: np.ndarray) -> float:
    """Read every row, as an analysis does; returns seconds."""
    began = time.perf_counter()
    for begin in range(0, len(matrix), 4096):
        matrix[begin : begin + 4096].sum()
    return time.perf_counter() - began


def resumed(place: Path, encoder: EncoderKey, digests: set[str]) -> float:
    """Look up what the store has of a few wanted images; returns seconds."""
    began = time.perf_counter()
    with Store(place, read_only=True) as store:
        found = sum(len(listed) for listed, _ in store.blocks(encoder, digests))
    assert found >= len(digests)
    return time.perf_counter() - began


def first_read(place: Path) -> float:
    """Open the table in a new store object, which verifies it; returns seconds."""
    with Store(place, read_only=True) as store:
        began = time.perf_counter()
        assert store.tables.read(KEY) is not None
        return time.perf_counter() - began


def cached_run_s(folder: Path) -> float | None:
    """Return the seconds of a run that finds everything stored, None when the packaged weights are not installed."""
    from medvlm_tui.core.workspace.workspace import Workspace
    from medvlm_tui.service.engine import Engine
    from medvlm_tui.stages.request import RunRequest

    request = RunRequest(
        models=("efficientnet_lite0",),
        datasets=("phantom",),
        stages=("extract", "probe", "project", "statistics"),
        phantom_per_class=30,
        offline=True,
    )
    seconds: list[float] = []
    for _ in range(4):
        began = time.perf_counter()
        engine = Engine(Workspace(folder / "workspace"))
        try:
            _prepared, finished = engine.run(request, "batch", lambda: False, lambda said: None)
        finally:
            engine.close()
        seconds.append(time.perf_counter() - began)
        if finished.exit_code:
            return None
    return statistics.median(seconds[1:])


def measure(folder: Path, rows: int, dim: int, rounds: int) -> dict[str, float]:
    """Measure both sides in turn, `rounds` times; returns medians and ratios."""
    matrix = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    encoder = EncoderKey("benchmark", "w", "p", "pooled", "fp32", "1")
    times: dict[str, list[float]] = {}
    for number in range(rounds):
        npy, place = folder / f"{number}.npy", folder / f"store{number}"
        os.sync()
        taken = {"npy_write_s": synced_npy(npy, matrix)}
        os.sync()
        taken["blocks_s"], taken["seal_s"] = stored(place, matrix, encoder)
        taken["verify_s"] = first_read(place)
        taken["resume_lookup_s"] = resumed(place, encoder, {f"{row:032x}" for row in range(16)})
        with Store(place, read_only=True) as store:
            table = store.tables.read(KEY)
            assert table is not None
            mapped = np.load(npy, mmap_mode="r")
            assert np.array_equal(mapped, table.matrix)
            taken["npy_read_s"] = statistics.median(summed(mapped) for _ in range(5))
            taken["sealed_read_s"] = statistics.median(summed(table.matrix) for _ in range(5))
        for name, value in taken.items():
            times.setdefault(name, []).append(value)
        shutil.rmtree(place)
        npy.unlink()
    medians = {name: statistics.median(values) for name, values in times.items()}
    medians["write_over_npy"] = (medians["blocks_s"] + medians["seal_s"]) / medians["npy_write_s"]
    medians["sealed_read_over_npy"] = medians["sealed_read_s"] / medians["npy_read_s"]
    return medians


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, fewer rounds")
    parser.add_argument("--folder", type=Path, help="where to write (the temporary directory)")
    options = parser.parse_args()
    rows, rounds = (3_000, 3) if options.quick else (30_000, 5)
    print(f"{rows} x 1024 float32, blocks of {BLOCK}, {rounds} rounds")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        measured = measure(Path(name), rows, 1024, rounds)
        overhead_s = cached_run_s(Path(name))
    for title, value in measured.items():
        print(f"  {title:<22}{value:10.4f}")
    figures = {
        "write_over_npy": {"value": measured["write_over_npy"], "target": 6, "better": "lower"},
        "sealed_read_over_npy": {"value": measured["sealed_read_over_npy"], "target": 1.5, "better": "lower"},
        "verify_s": {"value": measured["verify_s"], "target": None, "better": "lower"},
        "resume_lookup_s": {"value": measured["resume_lookup_s"], "target": None, "better": "lower"},
    }
    if overhead_s is not None:
        print(f"  {'cached_run_overhead_s':<22}{overhead_s:10.4f}")
        figures["cached_run_overhead_s"] = {"value": overhead_s, "target": 1, "better": "lower"}
    machine = {"cpus": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "store", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
