"""What is wrong costs itself, is named with a hint, and ends in the right exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core import events

from .conftest import QUICK, Outcome, environment, run_command


def photographs(root: Path, per_class: int = 12, kinds: tuple[str, ...] = ("dark", "light")) -> Path:
    """Make a folder of class folders with JPEGs of noise around two grey levels."""
    random = np.random.default_rng(0)
    for level, kind in enumerate(kinds):
        (root / kind).mkdir(parents=True)
        for number in range(per_class):
            pixels = random.integers(0, 120, (48, 64, 3)) + 100 * level
            Image.fromarray(pixels.astype(np.uint8)).save(root / kind / f"{number}.jpg")
    return root


def test_an_unknown_model_is_a_usage_error_with_a_suggestion(medvlm, tmp_path: Path) -> None:
    done = medvlm("--batch", "--models", "eficientnet_lite0", "--datasets", "phantom", "--workspace", tmp_path / "ws")
    assert done.code == 2
    assert "efficientnet_lite0" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "option", [["--stages", "extrakt"], ["--folds", "one"], ["--nonsense"], ["--data", "x"], ["--folds", "1"]]
)
def test_a_wrong_option_is_a_usage_error(medvlm, tmp_path: Path, option: list[str]) -> None:
    done = medvlm("--batch", *QUICK, "--workspace", tmp_path / "ws", *option)
    assert done.code == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) >= 2


def test_nothing_chosen_is_a_usage_error(medvlm, tmp_path: Path) -> None:
    assert medvlm("--batch", "--workspace", tmp_path / "ws").code == 2


def test_a_missing_root_is_missing_input(medvlm, tmp_path: Path) -> None:
    options = ("--models", "efficientnet_lite0", "--datasets", "brain_mr", "--workspace", tmp_path / "ws")
    nowhere = medvlm("--batch", *options)
    assert nowhere.code == 3
    assert "--data brain_mr=" in nowhere.stderr
    wrong = medvlm("--batch", *options, "--data", f"brain_mr={tmp_path / 'none'}")
    assert wrong.code == 3
    assert "none" in wrong.stderr


def test_an_empty_folder_is_missing_input(medvlm, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = medvlm(
        "--batch", "--models", "efficientnet_lite0", "--datasets", "mine", "--data", f"mine={tmp_path / 'empty'}",
        "--workspace", tmp_path / "ws",
    )  # fmt: skip
    assert done.code == 3
    assert "empty" in done.stderr


def test_missing_weights_cost_their_model_only(medvlm, tmp_path: Path) -> None:
    alone = medvlm("--batch", *QUICK, "--models", "clip_b16", "--workspace", tmp_path / "ws")
    assert alone.code == 3
    assert "clip_b16" in alone.stderr
    both = medvlm(
        "--batch", *QUICK, "--models", "clip_b16,efficientnet_lite0", "--stages", "probe",
        "--workspace", tmp_path / "ws", "--json",
    )  # fmt: skip
    assert both.code == 1
    [failed] = both.of(events.StepFailed)
    assert "clip_b16" in failed.step
    assert failed.hint
    assert [event.model for event in both.of(events.ResultReady) if event.kind == "probe"] == ["efficientnet_lite0"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """A run on classes with hostile names, one image of them truncated; what it said and its folder."""
    folder = tmp_path_factory.mktemp("hostile")
    root = photographs(folder / "photos", kinds=("=cmd()", "\\input{x}\x1b[31m[/]"))
    victim = root / "=cmd()" / "3.jpg"
    victim.write_bytes(victim.read_bytes()[:400])
    line = (
        "--batch", "--models", "efficientnet_lite0", "--datasets", "photos", "--data", f"photos={root}",
        "--stages", "extract,probe,report", "--workspace", folder / "ws", "--out", folder / "out",
    )  # fmt: skip
    return run_command(line, folder), folder / "out"


def test_a_truncated_image_costs_only_itself(hostile: tuple[Outcome, Path]) -> None:
    done, out = hostile
    assert done.code == 0, done.stderr
    said = [events.from_json(line) for line in (out / "events.jsonl").read_text().splitlines()]
    [extraction] = [event for event in said if isinstance(event, events.ResultReady) and event.kind == "extract"]
    assert (extraction.summary["rows"], extraction.summary["failed"]) == (23, 1)
    warnings = [event for event in said if isinstance(event, events.Log) and event.level == "warning"]
    assert any("=cmd()/3.jpg" in event.message for event in warnings)
    progress = [event for event in said if isinstance(event, events.StepProgress) and event.step == extraction.step]
    assert progress[-1].quarantined == 1
    assert "=cmd()/3.jpg" in (out / "manifest.json").read_text()


def test_a_store_that_others_can_write_is_refused(medvlm, tmp_path: Path) -> None:
    store = tmp_path / "ws" / "store"
    store.mkdir(parents=True)
    store.chmod(0o777)
    done = medvlm("--batch", *QUICK, "--workspace", tmp_path / "ws")
    assert done.code == 4
    assert "chmod 700" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_store_of_somebody_else_is_refused(medvlm, tmp_path: Path) -> None:
    store = tmp_path / "ws" / "store"
    store.mkdir(parents=True, mode=0o700)
    os.chown(store, 12345, 12345)
    done = medvlm("--batch", *QUICK, "--workspace", tmp_path / "ws")
    assert done.code == 4
    assert "another user" in done.stderr


def test_a_hostile_name_is_shown_never_acted_upon(hostile: tuple[Outcome, Path]) -> None:
    done, out = hostile
    assert done.code == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    predictions = (out / "predictions" / "efficientnet_lite0_photos_paper.csv").read_text()
    assert ",'=cmd()," in predictions


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "medvlm_tui",
        "--batch",
        *QUICK,
        "--workspace",
        str(tmp_path / "ws"),
        "--json",
        *arguments,
    ]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment(tmp_path), cwd=tmp_path
    )


def wait_for(process: subprocess.Popen[str], kind: type[events.Event], step: str) -> list[str]:
    """Read events until one of this type comes from a step of this kind."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        event = events.from_json(line)
        if isinstance(event, kind) and getattr(event, "step", "").startswith(step):
            return lines
    raise AssertionError(f"the run ended without {kind.__name__}: {lines[-3:]}")


def test_a_workspace_is_busy_until_its_run_is_interrupted_and_then_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path, "--stages", "extract,probe,saliency", "--rise-masks", "100000")
    try:
        wait_for(process, events.StepProgress, "saliency")
        second = run_command(["--batch", *QUICK, "--workspace", tmp_path / "ws"], tmp_path)
        assert second.code == 4
        assert "under way" in second.stderr
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == 130
    assert time.monotonic() - asked < 5
    assert isinstance(events.from_json(rest.splitlines()[-1]), events.RunFinished)
    again = run_command(["--batch", *QUICK, "--stages", "probe", "--workspace", tmp_path / "ws", "--json"], tmp_path)
    assert again.code == 0
    assert all(event.cached for event in again.of(events.ResultReady))


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and b"spawn_main" in (status.parent / "cmdline").read_bytes():
            found.append(int(status.parent.name))
    return found


@pytest.mark.slow
def test_a_worker_that_is_killed_twice_is_a_failed_step_and_the_rest_goes_on(tmp_path: Path) -> None:
    process = start(tmp_path, "--stages", "extract,saliency,report", "--rise-masks", "100000")
    lines = []
    for _ in range(2):  # it is started again once
        lines += wait_for(process, events.StepProgress, "saliency")
        [worker] = children(process.pid)
        os.kill(worker, signal.SIGKILL)
        lines += wait_for_death(process, worker)
    lines += process.communicate(timeout=120)[0].splitlines()
    outcome = Outcome(process.returncode, "\n".join(line.strip() for line in lines), "")
    assert outcome.code == 1
    [failed] = outcome.of(events.StepFailed)
    assert failed.step.startswith("saliency")
    assert "SIGKILL" in failed.error
    assert [event.kind for event in outcome.of(events.ResultReady)][-1] == "report"


def wait_for_death(process: subprocess.Popen[str], worker: int) -> list[str]:
    """Read what was said before the plan's process took notice: progress of a worker that is gone."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        event = events.from_json(line)
        if isinstance(event, events.StepFailed) or (isinstance(event, events.Log) and "died" in event.message):
            return lines
    raise AssertionError(f"nobody missed the worker {worker}")
