"""GPUs that others use: what NVML says on a stand-in, and which GPUs a run then takes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image

from medvlm_tui.cli import main
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.engine.step import devices, gpu_use
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.request import RunRequest
from tests.made.cuda import A100, GB, T4, plug_in
from tests.made.extraction import make_weights

INIT = 1  # the first process of a machine: always there, never ours
ELSEWHERE = 4_194_305  # above the kernel's largest process number: one of another container


def chosen(device="auto"):
    return [each.device for each in devices.every(device)], devices.choose(device).warning


def test_a_gpu_on_which_others_compute_is_left_out_and_said(monkeypatch):
    plug_in(monkeypatch, replace(A100, taken=30 * GB, processes=(INIT,)), A100, T4)
    warning = "not used: cuda:0 (NVIDIA A100): 1 other process, 10.0 of 40.0 GB free"
    assert chosen() == (["cuda:1", "cuda:2"], warning)
    assert chosen("cuda") == (["cuda:1", "cuda:2"], warning)
    assert devices.name_of(devices.every()) == "cuda:1,cuda:2"


def test_a_gpu_that_is_named_is_taken_with_a_warning(monkeypatch):
    plug_in(monkeypatch, replace(A100, taken=30 * GB, processes=(INIT, ELSEWHERE)), A100, T4)
    said = "in use by others: cuda:0 (NVIDIA A100): 2 other processes, 10.0 of 40.0 GB free"
    assert chosen("cuda:0") == (["cuda:0"], said)
    assert chosen("cuda:2,cuda:0,cuda:2") == (["cuda:2", "cuda:0"], said)
    assert chosen("cuda:1") == (["cuda:1"], "")
    for wrong in ("cuda:1,", "cuda:1,cpu", "cuda:1 cuda:2", "cuda:3"):
        with pytest.raises(UsageError):
            devices.every(wrong)


@pytest.mark.parametrize(
    ("taken", "free"),
    [(33 * GB, False), (31 * GB, True), (0, True)],
    ids=["7 GB free of 40", "9 GB free", "empty"],
)
def test_memory_taken_by_processes_that_are_not_listed_counts(monkeypatch, taken, free):
    plug_in(monkeypatch, replace(A100, taken=taken), T4)
    assert chosen()[0] == (["cuda:0", "cuda:1"] if free else ["cuda:1"])


def test_a_small_gpu_is_free_with_half_of_its_memory(monkeypatch):
    small = replace(T4, memory=8 * GB)
    plug_in(monkeypatch, replace(small, taken=3 * GB), replace(small, taken=5 * GB))
    assert chosen()[0] == ["cuda:0"]


def test_where_others_use_every_gpu_the_freest_is_shared(monkeypatch):
    plug_in(
        monkeypatch,
        replace(A100, taken=30 * GB, processes=(INIT,)),
        replace(A100, taken=20 * GB, processes=(INIT,)),
        replace(A100, processes=(INIT,), mode=3),
    )
    for device in ("auto", "cuda"):
        names, warning = chosen(device)
        assert names == ["cuda:1"]
        assert warning.startswith("every GPU is in use by others (cuda:0 (NVIDIA A100): 1 other process, 10.0 of 40.0")
        assert "cuda:2 (NVIDIA A100): 1 other process, 40.0 of 40.0 GB free, closed to further processes" in warning
        assert warning.endswith("cuda:1 has the most free memory and is shared with them")


def test_full_gpus_mean_the_cpu_under_auto_and_closed_ones_an_error_under_cuda(monkeypatch):
    plug_in(monkeypatch, replace(A100, taken=39 * GB, processes=(INIT,)))
    names, warning = chosen()
    assert names == ["cpu"]
    assert warning == (
        "every GPU is in use by others (cuda:0 (NVIDIA A100): 1 other process, 1.0 of 40.0 GB free): the CPU is used"
    )
    assert chosen("cuda")[0] == ["cuda:0"]
    plug_in(monkeypatch, replace(A100, mode=2))
    assert chosen()[0] == ["cpu"]
    with pytest.raises(UsageError, match="closed to further processes"):
        devices.every("cuda")


def test_this_process_and_its_children_are_no_others(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mine = (os.getpid(), child.pid)
        plug_in(monkeypatch, replace(A100, taken=39 * GB, processes=mine), replace(A100, mode=3, processes=mine))
        assert chosen() == (["cuda:0", "cuda:1"], "")
        plug_in(monkeypatch, replace(A100, taken=38 * GB, processes=(*mine, INIT)))
        # A third of what is taken is held by the first process of the machine.
        assert "1 other process, 27.3 of 40.0 GB free" in chosen()[1]
        child.communicate(b"\n")


def test_a_gpu_that_was_taken_before_stays_taken_where_processes_cannot_be_told_apart(monkeypatch):
    plug_in(monkeypatch, A100, A100)
    assert chosen()[0] == ["cuda:0", "cuda:1"]
    plain = gpu_use.load_nvml()
    plain.cards = (replace(A100, taken=38 * GB, processes=(ELSEWHERE,)), replace(A100, taken=GB, processes=(INIT,)))
    monkeypatch.setattr(gpu_use, "load_nvml", lambda: plain)
    assert chosen()[0] == ["cuda:0"]
    assert plain.started == 0


@pytest.mark.parametrize("lacking", ["library", "start", "handle", "memory", "processes"])
def test_a_gpu_of_which_nvml_says_nothing_is_taken_for_free(monkeypatch, lacking):
    busy = replace(A100, taken=10 * GB, processes=(INIT,))
    plug_in(monkeypatch, busy, busy)
    nvml = gpu_use.load_nvml()
    call = {
        "start": "nvmlInit_v2", "handle": "nvmlDeviceGetHandleByUUID", "memory": "nvmlDeviceGetMemoryInfo",
        "processes": "nvmlDeviceGetComputeRunningProcesses_v3",
    }.get(lacking)  # fmt: skip
    if call is not None:
        setattr(nvml, call, lambda *_: 999)
    monkeypatch.setattr(gpu_use, "load_nvml", lambda: nvml if call else None)
    assert chosen() == (["cuda:0", "cuda:1"], "")


def test_the_plan_says_which_gpus_are_left_to_others(monkeypatch, tmp_path, capsys):
    plug_in(monkeypatch, replace(A100, taken=30 * GB, processes=(INIT,)), A100)
    asked = ["--workspace", str(tmp_path / "ws"), "--offline"]
    assert main(["--batch", "--dry-run", "--demo", *asked]) == 0
    printed = capsys.readouterr()
    assert "not used: cuda:0 (NVIDIA A100): 1 other process, 10.0 of 40.0 GB free" in printed.out + printed.err


def test_the_steps_keep_to_the_devices_of_the_plan(monkeypatch, tmp_path):
    plug_in(monkeypatch, replace(A100, taken=30 * GB, processes=(INIT,)), A100, A100)
    for kind in ("a", "b"):
        for number in range(2):
            path = tmp_path / "images" / kind / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (number, 0, ord(kind))).save(path)
    model, data = "timm:test_efficientnet", {"mine": str(tmp_path / "images")}
    weights = {model: str(make_weights(tmp_path).path)}
    asked = RunRequest(models=(model,), datasets=("mine",), data=data, weights=weights, precision="bf16", offline=True)
    with Store(tmp_path / "ws" / "store") as store:
        prepared = lay_out(asked, Workspace(tmp_path / "ws"), store, "run")
    assert {job.request.device for job in prepared.jobs.values()} == {"cuda:1,cuda:2"}
    assert prepared.request.device == "auto"
