"""Which GPU a plan takes: drivers, torch builds and cards that do not fit each other, on a stand-in for the driver."""

from __future__ import annotations

import json

import pytest

from medvlm_tui.cli import main
from medvlm_tui.engine.step import cuda_driver, devices
from medvlm_tui.errors import UsageError
from tests.made.cuda import A100, T4, V100, Card, plug_in


def test_a_driver_that_fits_is_used_and_the_versions_are_read(monkeypatch):
    plug_in(monkeypatch, A100, T4, version=13010, torch_cuda="13.0")
    state = cuda_driver.cuda_state()
    assert (state.driver, state.torch_cuda, state.problem) == ("13.1", "13.0", "")
    assert [(gpu.name, gpu.capability, gpu.memory_gb) for gpu in state.gpus] == [
        ("NVIDIA A100", (8, 0), 40.0),
        ("Tesla T4", (7, 5), 16.0),
    ]
    # One precision for both: the T4 has no bf16.
    assert [(each.device, each.precision, each.warning) for each in devices.every()] == [
        ("cuda:0", "fp16", ""),
        ("cuda:1", "fp16", ""),
    ]


def test_a_driver_older_than_torch_means_the_cpu_under_auto_and_an_error_under_cuda(monkeypatch):
    plug_in(monkeypatch, Card("Example GPU", (8, 6), 24 << 30), version=11040, torch_cuda="13.0")
    why = "1 GPU is here, but its driver (CUDA 11.4) is too old for this torch (CUDA 13.0)"
    (chosen,) = devices.every("auto")
    assert (chosen.device, chosen.precision, chosen.warning) == ("cpu", "fp32", f"{why}: the CPU is used")
    for named in ("cuda", "cuda:0"):
        with pytest.raises(UsageError) as refused:
            devices.choose(named)
        assert refused.value.message == why
        assert "update the driver, or install a torch built for it" in refused.value.hint
    assert devices.choose("cpu").warning == ""


@pytest.mark.parametrize(("version", "torch_cuda"), [(12040, "12.8"), (13000, "12.6"), (13000, "13.2")])
def test_a_driver_of_the_same_or_a_later_major_version_serves_torch(monkeypatch, version, torch_cuda):
    plug_in(monkeypatch, A100, version=version, torch_cuda=torch_cuda)
    assert devices.choose("auto").device == "cuda:0"


def test_a_card_older_than_torch_serves_is_left_out_and_said(monkeypatch):
    plug_in(monkeypatch, V100, A100)
    (chosen,) = devices.every("auto")
    assert (chosen.device, chosen.precision) == ("cuda:1", "bf16")
    assert chosen.warning == (
        "not used: cuda:0 (Tesla V100): its compute capability 7.0 is older than this torch (CUDA 13.0) serves"
    )
    assert devices.choose("cuda:1").warning == ""
    with pytest.raises(UsageError, match=r"torch cannot use cuda:0 \(Tesla V100\)"):
        devices.choose("cuda:0")
    plug_in(monkeypatch, V100, torch_cuda="12.6", version=12080)
    assert devices.choose("auto").device == "cuda:0"


def test_a_machine_of_old_cards_alone_falls_back_with_the_reason(monkeypatch):
    plug_in(monkeypatch, V100, V100)
    chosen = devices.choose("auto")
    assert chosen.device == "cpu"
    assert "2 GPUs are here, but torch cannot use them: Tesla V100: its compute capability 7.0" in chosen.warning


@pytest.mark.parametrize(
    ("torch_cuda", "code", "said"),
    [("", 0, "the installed torch has no CUDA"), ("13.0", 803, "does not start (CUDA error 803)"), ("13.0", 100, "")],
)
def test_a_torch_without_cuda_and_a_driver_in_disorder_are_named(monkeypatch, torch_cuda, code, said):
    plug_in(monkeypatch, A100, torch_cuda=torch_cuda, code=code)
    chosen = devices.choose("auto")
    assert chosen.device == "cpu"
    assert said in chosen.warning
    assert bool(chosen.warning) == bool(said)
    with pytest.raises(UsageError):
        devices.choose("cuda")


def test_a_card_that_the_driver_does_not_describe_is_left_out(monkeypatch):
    plug_in(monkeypatch, A100, A100)
    plain = cuda_driver.load_driver()
    plain.cuDeviceTotalMem_v2 = lambda memory, handle: 46 if handle.value == 0 else 0
    monkeypatch.setattr(cuda_driver, "load_driver", lambda: plain)
    (chosen,) = devices.every("auto")
    assert chosen.device == "cuda:1"
    assert "cuda:0 (GPU 0): the driver does not describe it (CUDA error 46)" in chosen.warning


def test_bf16_is_refused_where_the_card_has_none(monkeypatch):
    plug_in(monkeypatch, T4, A100)
    with pytest.raises(UsageError, match="Tesla T4") as refused:
        devices.every("auto", "bf16")
    assert "--precision fp16" in refused.value.hint
    assert devices.choose("cuda:1", "bf16").precision == "bf16"
    assert devices.choose("cuda:0", "fp16").precision == "fp16"


def test_the_plan_warns_and_the_doctor_prints_both_versions(monkeypatch, tmp_path, capsys):
    plug_in(monkeypatch, A100, version=11040)
    asked = ["--workspace", str(tmp_path / "ws"), "--offline"]
    assert main(["--batch", "--dry-run", "--demo", *asked]) == 0
    printed = capsys.readouterr()
    assert "its driver (CUDA 11.4) is too old for this torch (CUDA 13.0): the CPU is used" in printed.out + printed.err
    main([*asked, "doctor", "--json"])
    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert found["CUDA"]["detail"] == "driver for CUDA 11.4, torch built for CUDA 13.0"
    assert "update the driver" in found["CUDA"]["fix"]
    assert found["device"]["state"] == "missing"
    assert "too old" in found["device"]["detail"]
    assert main(["--batch", "--dry-run", "--demo", "--device", "cuda", *asked]) == 2


def test_only_a_gpu_that_is_fast_in_float64_solves_the_svm(monkeypatch):
    plug_in(monkeypatch, A100, T4)
    assert [each.fast_float64 for each in devices.every("auto")] == [True, False]
