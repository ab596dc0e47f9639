"""Folders that this user may not enter: a HOME, a dataset, a workspace of somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from .conftest import environment

# root reads everything; without these two rights it is in the place of an ordinary user.
_AS_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
pytestmark = pytest.mark.skipif(
    os.getuid() == 0 and shutil.which("setpriv") is None, reason="root can read everything, and setpriv is not here"
)


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a user without rights to what is shut."""
    around = {**environment(folder), **variables}
    command = [*_AS_USER, sys.executable, "-m", "medvlm_tui", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=around, cwd=folder, timeout=100)


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Path]:
    """A folder of class folders that cannot be entered."""
    folder = tmp_path / "shut"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8), (9 * number, 0, 0)).save(folder / name / f"{number}.png")
    folder.chmod(0o000)
    yield folder
    folder.chmod(0o700)


def test_a_home_that_cannot_be_entered_counts_as_one_without_settings(shut: Path, tmp_path: Path) -> None:
    around = {"HOME": str(shut), "XDG_CONFIG_HOME": str(shut / "config"), "MEDVLM_CONFIG": ""}
    done = run(tmp_path, "models", "efficientnet_lite0", "--workspace", str(tmp_path / "ws"), **around)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1280" in done.stdout
    default = run(tmp_path, "store", "stats", **{**around, "XDG_DATA_HOME": str(shut / "data")})
    assert default.returncode in (3, 4)
    assert "Traceback" not in default.stderr


def test_settings_that_were_named_and_cannot_be_read_are_an_error(shut: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("")
    settings.chmod(0o000)
    done = run(tmp_path, "models", "--workspace", str(tmp_path / "ws"), MEDVLM_CONFIG=str(settings))
    assert done.returncode == 2
    assert "settings.toml: Permission denied" in done.stderr


def test_a_dataset_that_cannot_be_entered_is_missing_input_and_costs_itself(shut: Path, tmp_path: Path) -> None:
    given = ("--data", f"mine={shut}", "--workspace", str(tmp_path / "ws"))
    alone = run(tmp_path, "check", "mine", *given)
    assert alone.returncode == 3
    assert f"{shut} cannot be listed: Permission denied" in alone.stderr
    inside = run(tmp_path, "check", "mine", "--data", f"mine={shut}/a", "--workspace", str(tmp_path / "ws"))
    assert inside.returncode == 3
    assert "Permission denied" in inside.stderr
    listed = run(tmp_path, "datasets", *given)
    assert listed.returncode == 0
    assert "breast_us" in listed.stdout


@pytest.mark.parametrize("command", [["store", "stats"], ["attach"], ["cancel"]])
def test_a_workspace_that_cannot_be_entered_is_a_sentence(shut: Path, tmp_path: Path, command: list[str]) -> None:
    done = run(tmp_path, *command, "--workspace", str(shut))
    assert done.returncode == 4
    assert "Permission denied" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_what_cannot_be_written_keeps_the_name_that_was_given(shut: Path, tmp_path: Path) -> None:
    done = run(
        tmp_path, "--batch", "--models", "efficientnet_lite0", "--datasets", "phantom", "--workspace", f"{shut}/w"
    )
    assert done.returncode == 4
    assert f"the workspace {shut}/w cannot be made: Permission denied" in done.stderr
