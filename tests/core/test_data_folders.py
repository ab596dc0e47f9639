"""Data folders of a workspace: kept, read at the next start by every command, and taken out again."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from medvlm_tui.core.workspace import data_folders
from medvlm_tui.errors import UsageError
from medvlm_tui.settings import sources

NAMES = ("mine", "two words", 'quo"ted', "a.b", "[x]", "ünï", "new\nline", "\x7f")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def test_what_was_given_is_read_again(tmp_path: Path, folder: Path) -> None:
    workspace = tmp_path / "w"
    assert data_folders.read(workspace) == {}
    for name in NAMES:
        data_folders.remember(workspace, {name: str(folder)})
    assert data_folders.read(workspace) == dict.fromkeys(NAMES, str(folder))
    with (workspace / "datasets.toml").open("rb") as file:
        assert tomllib.load(file)["datasets"]["a.b"] == {"root": str(folder)}
    assert (workspace / "datasets.toml").stat().st_mode & 0o777 == 0o600
    assert data_folders.forget(workspace, "mine")
    assert not data_folders.forget(workspace, "mine")
    assert data_folders.read(workspace) == dict.fromkeys(NAMES[1:], str(folder))


def test_only_what_is_there_is_kept_by_its_absolute_path(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data_folders.remember(tmp_path / "w", {"here": "data", "gone": "nothing"})
    assert data_folders.read(tmp_path / "w") == {"here": str(folder)}


def test_a_name_that_toml_cannot_hold_is_not_kept(tmp_path: Path, folder: Path) -> None:
    odd = folder / os.fsdecode(b"\xff")
    odd.mkdir()
    data_folders.remember(tmp_path / "w", {"odd": str(odd), "even": str(folder)})
    assert data_folders.read(tmp_path / "w") == {"even": str(folder)}


@pytest.mark.parametrize("text", ["datasets = 3", "[datasets]\nx = 'a'", "[datasets.x]\nroot = 3", "[", "[datasets.x]"])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "datasets.toml").write_text(text)
    with pytest.raises(UsageError, match=r"datasets\.toml"):
        data_folders.read(tmp_path)


def test_every_command_takes_them_and_the_command_line_has_the_last_word(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[datasets.mine]\nroot = '/elsewhere'\n[datasets.other]\nroot = '/other'\n")
    monkeypatch.setenv("MEDVLM_CONFIG", str(settings))
    data_folders.remember(tmp_path / "w", {"mine": str(folder)})
    loaded = sources.load(str(tmp_path / "w"))
    assert sources.request(loaded, {}, {}).data == {"mine": str(folder), "other": "/other"}
    assert sources.request(loaded, {}, {"data": {"mine": "/flag"}}).data["mine"] == "/flag"
