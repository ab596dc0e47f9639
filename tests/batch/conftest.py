"""The front door: the installed command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from medvlm_tui import cli
from medvlm_tui.core.events import Event, from_record

QUICK = ("--models", "efficientnet_lite0", "--datasets", "phantom", "--phantom-per-class", "20")


@dataclass(frozen=True)
class Outcome:
    """What a finished command left."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[Event]:
        """The events of a `--json` run."""
        return [from_record(json.loads(line)) for line in self.stdout.splitlines()]

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one type."""
        return [event for event in self.events if isinstance(event, kind)]


def environment(tmp: Path) -> dict[str, str]:
    """An environment in which no settings file and no cache of this machine is seen."""
    return {
        **os.environ,
        "MEDVLM_CONFIG": str(tmp / "no-settings.toml"),
        "HF_HOME": str(tmp / "hf"),
        "TORCH_HOME": str(tmp / "torch"),
        "MEDVLM_OFFLINE": "1",
    }


def run_command(arguments: Sequence[str | Path], tmp: Path) -> Outcome:
    """Run `medvlm-tui` with these arguments to its end."""
    command = [sys.executable, "-m", "medvlm_tui", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment(tmp), cwd=tmp)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def medvlm_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """The command in this process, which has torch already."""
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> Outcome:
        code = cli.main([*map(str, arguments)])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture
def medvlm(tmp_path: Path):
    """The command with its own empty surroundings."""
    return lambda *arguments: run_command(arguments, tmp_path)
