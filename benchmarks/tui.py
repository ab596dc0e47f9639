"""The screens' start, size and answer to keys: first full paint over an empty Textual app's, peak memory, key to paint.

Programs start in a pseudo-terminal of 160 x 48, in turn. The peak memory is the screens' process alone, after
home, run, scores, map and saliency have been shown over a study of 47 models and 9 datasets, the map of 10,000 points.
A key's time is from the write of an arrow on the map to the cursor's cross at its new place: at rest over a map of 100
points and a silent engine, loaded over a map of 10,000 points while the engine reports progress a hundred times a
second, ten times what a run does. Its processor time is that of the screens' process over 10,000 points.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import platform
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

EMPTY = "from textual.app import App\nApp().run()"
ROWS, COLUMNS = 48, 160
# The empty app is painted when its last line is; home when its status, its body and its keys are there.
EMPTY_MARKS = (f"\x1b[{ROWS};1H".encode(),)
HOME_MARKS = (b"looking at what is here", b"medvlm-tui", b"keys")
MODELS, DATASETS, POINTS, SIDE = 47, 9, 10_000, 224
KEYS, REST_POINTS, LOADED_POINTS = 100, 100, 10_000
CROSS = "✛".encode()


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command: Sequence[str]) -> None:
        self.started = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            # The engine of a screen that is killed leaves after some seconds.
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "MEDVLM_ENGINE_IDLE_MINUTES": "0"}
            os.environ["LC_ALL"] = "C.UTF-8"
            os.environ.pop("NO_COLOR", None)
            # A terminal has its size before a program starts in it.
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execvp(command[0], list(command))
        self.said = b""

    def until(self, marks: Sequence[bytes], limit_s: float = 60.0) -> float:
        """Read until every mark was written; returns seconds since the start."""
        while not all(mark in self.said for mark in marks):
            if time.perf_counter() - self.started > limit_s:
                raise TimeoutError(f"{marks!r} never came; the end was {self.said[-300:]!r}")
            self._read(0.5)
        return time.perf_counter() - self.started

    def press(self, keys: bytes, marks: Sequence[bytes]) -> None:
        """Type, and wait until every mark was written after it."""
        self.said = b""
        os.write(self._fd, keys)
        self.until(marks, time.perf_counter() - self.started + 30.0)

    def peak_mb(self) -> float:
        """Return the process's peak resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def processor_s(self) -> float:
        """Return the processor time that the process has taken, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End the program and what it started."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self._fd)

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if ready:
            self.said += os.read(self._fd, 1 << 16)


def first_paint(rounds: int) -> tuple[float, float]:
    """Return the medians (seconds) of ours and of the empty app."""
    ours, empty = [], []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "medvlm_tui", "--workspace", folder]
        for index in range(rounds + 1):
            pair = (_paint(command, HOME_MARKS), _paint([sys.executable, "-c", EMPTY], EMPTY_MARKS))
            if index:  # the first round fills the file cache
                ours.append(pair[0])
                empty.append(pair[1])
                print(f"round {index}: home {pair[0]:.3f} s, empty app {pair[1]:.3f} s")
    return statistics.median(ours), statistics.median(empty)


def _paint(command: Sequence[str], marks: Sequence[bytes]) -> float:
    terminal = Terminal(command)
    try:
        return terminal.until(marks)
    finally:
        terminal.end()


def memory_mb() -> float:
    """Return the peak of the screens' process after every place was shown."""
    with tempfile.TemporaryDirectory() as folder:
        _fill_store(Path(folder))
        terminal = Terminal([sys.executable, __file__, "--screens", folder])
        try:
            terminal.until([b"90.0"])
            for keys, mark in (
                (b"\x1bOR", b"Queue"),
                (b"\x1bOS", b"paper protocol"),
                (b"d", b"predicted"),
                (b"\x1b[15~", b"trust"),
                (b"\x1b[17~", b"image 1 of"),
            ):
                terminal.press(keys, [mark])
            time.sleep(1.0)
            return terminal.peak_mb()
        finally:
            terminal.end()


def key_times(points: int, busy: bool) -> tuple[float, float]:
    """Return the 95th percentile (seconds) of arrows on a map of so many points, under a silent or a busy engine, and
    the processor time (seconds) of one."""
    with tempfile.TemporaryDirectory() as folder:
        _fill_store(Path(folder), points)
        terminal = Terminal([sys.executable, __file__, "--screens", folder, *(["--busy"] if busy else [])])
        try:
            terminal.until([b"90.0"])
            terminal.press(b"\x1b[15~", [b"trust"])
            # The first step only puts the cursor down; two more leave the frame's middle.
            for _ in range(3):
                terminal.press(b"\x1b[C", [CROSS])
            took, before = [], terminal.processor_s()
            for index in range(KEYS):
                begun = time.perf_counter()
                terminal.press(b"\x1b[D" if index % 2 == 0 else b"\x1b[C", [CROSS])
                took.append(time.perf_counter() - begun)
                time.sleep(0.03)
            return statistics.quantiles(took, n=20)[-1], (terminal.processor_s() - before) / KEYS
        finally:
            terminal.end()


def key_ratios(rounds: int) -> float:
    """Return the median over the rounds of loaded over rest."""
    ratios = []
    for index in range(rounds):
        rest, loaded = key_times(REST_POINTS, busy=False)[0], key_times(LOADED_POINTS, busy=True)[0]
        ratios.append(loaded / rest)
        print(f"round {index + 1}: key to paint, 95 %: rest {1000 * rest:.1f} ms, loaded {1000 * loaded:.1f} ms")
    return statistics.median(ratios)


def _fill_store(workspace: Path, points: int = POINTS) -> None:
    """Write the results of one cell in the sizes of a large dataset."""
    import numpy as np

    from medvlm_tui.core.specs import EncoderKey, FeatureTable
    from medvlm_tui.core.store.store import Store
    from medvlm_tui.stages.records.probe import ProbeRecord
    from medvlm_tui.stages.records.projection import MapRecord
    from medvlm_tui.stages.records.saliency import SaliencyRecord

    rng = np.random.default_rng(0)
    classes = tuple(f"class {i}" for i in range(8))
    labels = tuple(classes[i % 8] for i in range(points))
    ids = tuple(f"images/{i:06}.png" for i in range(points))
    table = FeatureTable(
        EncoderKey("m0", "w", "p", "f", "fp32", "1"),
        "d",
        ids,
        labels,
        ids,
        rng.random((points, 1280), np.float32),
        classes,
    )
    hold_out = np.arange(points // 5)
    probe = replace(ProbeRecord.example(), classes=classes, n_train=4000, n_test=1000, d=1280)
    with Store(workspace / "store") as store:
        store.seal("table", table)
        store.put_result(
            "probe", {"hold_out": hold_out, "final_predicted": hold_out % 8, "coef": rng.random((5, 8, 1280))}, probe
        )
        projection = replace(MapRecord.example(), n=points)
        store.put_result(
            "project", {"xy": rng.normal(size=(points, 2)).astype(np.float32), "rows": np.arange(points)}, projection
        )
        images = rng.integers(0, 255, (8, SIDE, SIDE, 3), dtype=np.uint8)
        record = replace(SaliencyRecord.example(), items=SaliencyRecord.example().items[:1] * 8)
        store.put_result("saliency", {"images": images, "maps": rng.random((8, SIDE, SIDE)).astype(np.float32)}, record)


def _screens(workspace: Path, busy: bool) -> None:
    """Show the screens over an engine that has surveyed a whole study, and runs when it is busy."""
    from medvlm_tui.core.events import from_record
    from medvlm_tui.tui.app import MedvlmApp

    class PipeClient:
        """Stands for the engine's door: events are the lines of a process that only tells."""

        log_path = workspace / "engine.log"
        _process: asyncio.subprocess.Process

        async def start(self):
            command = (sys.executable, __file__, "--busy" if busy else "--engine")
            pipe = subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 24)
            await self.send({"cmd": "watch"})

        async def send(self, command):
            self._process.stdin.write(json.dumps(command).encode() + b"\n")

        async def events(self):
            while line := await self._process.stdout.readline():
                yield from_record(json.loads(line))

        async def leave(self):
            self._process.kill()
            await self._process.wait()

    MedvlmApp(workspace, PipeClient()).run()


def _engine(busy: bool) -> None:
    """Answer a survey; a busy one then reports a run's progress, a silent one says nothing else."""
    sys.stdin.readline()
    models = [
        {"id": f"m{i}", "name": f"Model {i}", "group": "general", "dim": 1280, "state": "ready"} for i in range(MODELS)
    ]
    datasets = [{"id": f"d{i}", "name": f"Dataset {i}", "images": POINTS, "state": "ready"} for i in range(DATASETS)]
    done = {
        "state": "done",
        "accuracy": 0.9,
        "std": 0.01,
        "table": "table",
        "probe": "probe",
        "project": "project",
        "saliency": "saliency",
    }
    cells = [{"model": model["id"], "dataset": dataset["id"], **done} for model in models for dataset in datasets]
    print(
        json.dumps({"type": "Survey", "models": models, "datasets": datasets, "cells": cells, "device": "cpu"}),
        flush=True,
    )
    if busy:
        _report_progress()
    sys.stdin.readline()


def _report_progress() -> None:
    """Say what a run says, until nobody listens."""
    step = {"id": "extract:m1:d1", "kind": "extract", "model": "m1", "dataset": "d1", "needs": []}
    print(
        json.dumps({"type": "PlanReady", "run_id": "r", "plan": {"run_id": "r", "steps": [step], "warnings": []}}),
        flush=True,
    )
    for done in range(1 << 20):
        progress = {
            "type": "StepProgress",
            "step": step["id"],
            "done": done,
            "total": 1 << 20,
            "rate": 100.0,
            "eta_s": 9,
        }
        print(json.dumps(progress), flush=True)
        time.sleep(0.01)


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--screens", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--engine", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--busy", action="store_true", help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args()
    if options.screens:
        _screens(options.screens, options.busy)
    elif options.engine or options.busy:
        _engine(options.busy)
    else:
        _measure(3 if options.quick else 9)


def _measure(rounds: int) -> None:
    print("first full paint of home against an empty Textual app, in a pty, in turn; the memory of every place; keys")
    home, empty = first_paint(rounds)
    figures = {
        "first_paint_over_empty_app": {"value": round(home / empty, 3), "target": 1.7, "better": "lower"},
        "memory_mb": {"value": round(memory_mb(), 1), "target": 100, "better": "lower"},
        "key_p95_loaded_over_rest": {
            "value": round(key_ratios(max(1, rounds // 3)), 3),
            "target": 3,
            "better": "lower",
        },
        # At 10,000 points, the engine silent: nothing but the key is drawn.
        "key_processor_ms": {
            "value": round(1000 * key_times(LOADED_POINTS, busy=False)[1], 1),
            "target": 60,
            "better": "lower",
        },
    }
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    print(json.dumps({"benchmark": "tui", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
