"""A finished small run, images, and a model of one's own, as the examples of docs/python.md name them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui import cli
from tests.made.models import save_clip


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `study`, the workspace of a finished run, `out`, its files, `images/0.png` ..., and `my_clip`."""
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MEDVLM_CONFIG": "none.toml", "MEDVLM_OFFLINE": "1", "HF_HOME": "hf"}.items():
            patch.setenv(name, str(folder / value) if name != "MEDVLM_OFFLINE" else value)
        options = ["--models", "efficientnet_lite0", "--datasets", "phantom", "--phantom-per-class", "20"]
        stages = ["--stages", "extract,probe,statistics,report", "--device", "cpu"]
        places = ["--workspace", str(folder / "study"), "--out", str(folder / "out")]
        assert cli.main(["--batch", *options, *stages, *places]) == 0
    (folder / "images").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
    (folder / "my_clip").mkdir()
    save_clip(folder / "my_clip")
    return folder


@pytest.fixture
def here(study: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `study` as the working directory, away from this machine's settings and caches."""
    monkeypatch.chdir(study)
    monkeypatch.setenv("MEDVLM_CONFIG", str(study / "none.toml"))
    monkeypatch.setenv("HF_HOME", str(study / "hf"))
    monkeypatch.setenv("MEDVLM_OFFLINE", "1")
    return study
