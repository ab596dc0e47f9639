"""The intensity window from the command line to features and their key."""

import numpy as np
import pytest
from PIL import Image

from medvlm_tui import cli
from medvlm_tui.core.intensity_windows import PRESETS
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.errors import ExitCode, UsageError
from medvlm_tui.settings import sources as settings
from medvlm_tui.settings.flags import values_of
from medvlm_tui.stages.request import RunRequest


@pytest.fixture
def deep(tmp_path):
    """Class folders of 16-bit images."""
    rng = np.random.default_rng(0)
    for i in range(8):
        folder = tmp_path / "set" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        values = rng.integers(0, 4096, (32, 40)).astype(np.uint16)
        Image.fromarray(values).save(folder / f"{i}.png")
    return tmp_path / "set"


def asked(tmp_path, *flags, **run_file):
    options = cli.batch_parser().parse_args(["--batch", *flags])
    return settings.request(settings.Settings(tmp_path, tmp_path / "none"), run_file, values_of(options))


def test_one_window_has_one_name_wherever_it_is_given(tmp_path):
    assert asked(tmp_path).window == "file"
    assert asked(tmp_path, "--window", "40.0/400").window == asked(tmp_path, window="40/400.0").window == "40/400"
    assert asked(tmp_path, "--window", "lung", window="bone").window == "lung", "the flag wins"
    file = tmp_path / "RUN.toml"
    file.write_text('window = "soft_tissue"\n')
    assert asked(tmp_path, **settings.read_run_file(file)).window == "soft_tissue"
    with pytest.raises(UsageError, match="not an intensity window"):
        asked(tmp_path, "--window", "skull")


def test_changing_the_window_changes_every_key(deep, tmp_path):
    with Store(tmp_path / "store") as store:

        def keys(window):
            data = {"deep": str(deep)}
            request = RunRequest(("efficientnet_lite0",), ("deep",), data, device="cpu", window=window)
            steps = lay_out(request, Workspace(tmp_path / "w"), store, "").plan.steps
            return {step.id: step.key for step in steps if step.key}

        windows = ("file", "percentiles", "2000/1000", *PRESETS)
        found = [keys(window) for window in windows]
        for step in found[0]:
            assert len({of[step] for of in found}) == len(windows), step
        assert keys("lung") == keys("lung")


def test_a_file_is_encoded_as_the_window_shows_it(deep, tmp_path, capsys):
    images = [str(path) for path in sorted(deep.rglob("*.png"))[:2]]

    def encoded(*window):
        out = tmp_path / "f.npz"
        out.unlink(missing_ok=True)
        code = cli.main(["encode", "efficientnet_lite0", *images, "--out", str(out), "--device", "cpu", *window])
        if code != ExitCode.OK:
            return code, np.empty(0)
        with np.load(out) as arrays:
            return code, arrays["features"]

    code, _ = encoded()
    assert code != ExitCode.OK
    assert "--window CENTRE/WIDTH" in capsys.readouterr().err
    (_, wide), (_, narrow) = encoded("--window", "2048/4096"), encoded("--window", "1000/200")
    assert wide.shape == narrow.shape == (2, 1280)
    assert np.abs(wide - narrow).max() > 0.1


def test_check_reads_with_the_window(deep, tmp_path, capsys):
    line = ["check", "deep", "--data", f"deep={deep}", "--workspace", str(tmp_path / "w")]
    assert cli.main(line) == ExitCode.MISSING_INPUT
    assert "unreadable files: 8" in capsys.readouterr().out
    assert cli.main([*line, "--window", "percentiles"]) == ExitCode.OK
    assert "unreadable files: 0" in capsys.readouterr().out
