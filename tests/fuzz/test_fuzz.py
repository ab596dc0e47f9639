"""Damaged files of every kind that a user can hand over: refused or read, never a crash, a hang or a flood of memory.

    MEDVLM_FUZZ_SECONDS=300 python -m pytest -m slow tests/fuzz     (60 s in all where it is not set)
    MEDVLM_FUZZ_SEED=12345  ...                                     the inputs of an earlier run again
    MEDVLM_FUZZ_SEED=random  ...                                    inputs that no run had before

Each run prints its seed and keeps it in `.fuzz/seeds.txt`, with the inputs that failed beside it.
"""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from tests.fuzz import originals
from tests.fuzz.child import TARGETS
from tests.fuzz.mutations import mutated
from tests.made.shared import ROOT

pytest.importorskip("pydicom", reason="DICOM needs pydicom")

SECONDS = float(os.environ.get("MEDVLM_FUZZ_SECONDS", "60"))
SEED = os.environ.get("MEDVLM_FUZZ_SEED", "1")
if SEED == "random":
    SEED = str(random.SystemRandom().randrange(10**9))
KEPT = ROOT / ".fuzz"
# Twice the processor time of a decoder, which is tried twice, on a machine that does other things too.
ANSWER_S = 480.0
# Of a process that reads damaged files in itself: its libraries, and what a list of a few kilobytes may cost.
PEAK_MB = 1024


class Child:
    """The process that reads; started again after it died."""

    def __init__(self, target: str, files: Path, work: Path) -> None:
        self.log = open(work.with_suffix(".log"), "w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        command = [sys.executable, "-m", "tests.fuzz.child", target, str(files), str(work)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
            text=True,
            cwd=ROOT,
        )

    def ask(self, seed: str) -> dict[str, object]:
        """Return what came of one input; a death or a hang is a bug too."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(seed, file=self.process.stdin, flush=True)
        if not select.select([self.process.stdout], [], [], ANSWER_S)[0]:
            return {"seed": seed, "outcome": "bug", "detail": f"no answer in {ANSWER_S:.0f} s", "peak_mb": 0}
        line = self.process.stdout.readline()
        if not line:
            return {"seed": seed, "outcome": "bug", "detail": f"it died: {self.process.wait()}", "peak_mb": 0}
        answer: dict[str, object] = json.loads(line)
        return answer

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_cost_themselves(target, tmp_path):
    files, work = tmp_path / "originals", tmp_path / "work"
    files.mkdir()
    work.mkdir()
    originals.write(files, target)
    seed = f"{target}:{SEED}"
    child, number, found, counts = Child(target, files, work), 0, [], {"read": 0, "refused": 0, "bug": 0}
    child.ask(f"{seed}:0")  # its libraries load
    until = time.monotonic() + SECONDS / len(TARGETS)
    try:
        while time.monotonic() < until and not found:
            number += 1
            answer = child.ask(f"{seed}:{number}")
            counts[str(answer["outcome"])] += 1
            if answer["outcome"] == "bug" or int(str(answer["peak_mb"])) > PEAK_MB:
                found.append(answer)
            if originals.SECRET in str(answer["detail"]):
                found.append({**answer, "detail": "a message holds the patient's id"})
        if originals.SECRET in child.said():
            found.append({"seed": seed, "detail": "a log holds the patient's id"})
    finally:
        child.close()
    _keep(f"{date.today()} {seed} {number} inputs: {counts}", found, files)
    assert number > 3
    assert not found, f"MEDVLM_FUZZ_SEED={SEED}: {found[0]['detail']}\n{found[0]}"


def _keep(line: str, found: list[dict[str, object]], files: Path) -> None:
    print(line)
    KEPT.mkdir(exist_ok=True)
    with open(KEPT / "seeds.txt", "a", encoding="utf-8") as log:
        print(line, file=log)
    contents = [path.read_bytes() for path in sorted(files.iterdir()) if path.is_file()]
    for answer in found:
        name = str(answer["seed"]).replace(":", "-")
        (KEPT / name).write_bytes(mutated(contents, str(answer["seed"])))


def test_the_same_seed_makes_the_same_damage():
    files = [bytes(range(256)) * 4, b"abc" * 100]
    made = [mutated(files, f"x:1:{n}") for n in range(50)]
    assert made == [mutated(files, f"x:1:{n}") for n in range(50)]
    assert len(set(made) - set(files)) > 40
