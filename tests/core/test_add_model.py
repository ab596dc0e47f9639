"""`medvlm-tui models --add`: a model is tried on one image before its name is kept."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medvlm_tui import cli
from medvlm_tui.catalog.models import added_models, load_models
from medvlm_tui.engine.new_images import encode
from medvlm_tui.engine.run.inputs import model_ids
from medvlm_tui.errors import ExitCode, MissingInputError


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDVLM_CONFIG", str(tmp_path / "settings.toml"))
    return tmp_path / "models.toml"


def add(name: str, workspace: Path) -> int:
    return cli.main(["models", "--add", name, "--workspace", str(workspace), "--device", "cpu"])


def test_a_model_that_encodes_one_image_is_kept_beside_the_users_own(
    own_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[str] = []

    def works(model: str, paths: Sequence[Path], **asked: Any) -> SimpleNamespace:
        assert [path.exists() for path in paths] == [True]
        assert asked["device"] == "cpu"
        tried.append(model)
        return SimpleNamespace(features=np.zeros((1, 384), np.float32))

    monkeypatch.setattr(encode, "encode_files", works)
    monkeypatch.chdir(tmp_path)
    own_models.write_text("# mine\n[groups]\nours = 'Ours'\n")
    assert add("timm:vit_small", tmp_path) == ExitCode.OK
    assert "384 features an image" in capsys.readouterr().out
    assert add("local:net", tmp_path) == add("timm:vit_small", tmp_path) == ExitCode.OK
    assert tried == ["timm:vit_small", f"local:{tmp_path}/net", "timm:vit_small"]
    assert added_models() == ("timm:vit_small", f"local:{tmp_path}/net")
    assert own_models.read_text().startswith("added = [")
    assert tomllib.loads(own_models.read_text())["groups"] == {"ours": "Ours"}
    assert "# mine\n[groups]" in own_models.read_text()
    assert model_ids(("all",), load_models())[-2:] == list(added_models())


def test_a_model_that_does_not_work_is_not_kept(
    own_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MissingInputError("its weights are not here", "fetch them")

    monkeypatch.setattr(encode, "encode_files", fails)
    assert add("timm:vit_small", tmp_path) == ExitCode.MISSING_INPUT
    assert add("vit_small", tmp_path) == add("efficientnet_lite0", tmp_path) == ExitCode.USAGE
    assert "begin with one of open_clip:NAME/TAG" in capsys.readouterr().err
    assert not own_models.exists()


def test_a_list_of_another_kind_is_refused(own_models: Path, tmp_path: Path) -> None:
    own_models.write_text("added = 'timm:x'\n")
    assert cli.main(["models", "--workspace", str(tmp_path)]) == ExitCode.USAGE
