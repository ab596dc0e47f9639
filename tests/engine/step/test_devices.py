"""Choice of device and precision, and the back-off, with stubs."""

from __future__ import annotations

import pytest
import torch

from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_memory import with_back_off
from medvlm_tui.errors import MedvlmError, UsageError

AMPERE = devices.CudaDevice("A100", (8, 0), 40.0)
TURING = devices.CudaDevice("T4", (7, 5), 16.0)


@pytest.mark.parametrize(
    ("gpus", "device", "precision", "expected"),
    [
        ((), "auto", "auto", ("cpu", "fp32")),
        ((), "cpu", "bf16", ("cpu", "bf16")),
        ((AMPERE,), "auto", "auto", ("cuda:0", "bf16")),
        ((TURING,), "cuda", "auto", ("cuda:0", "fp16")),
        ((TURING, AMPERE), "cuda:1", "auto", ("cuda:1", "bf16")),
        ((AMPERE,), "cpu", "auto", ("cpu", "fp32")),
        ((AMPERE,), "auto", "fp32", ("cuda:0", "fp32")),
    ],
)
def test_choice(monkeypatch, gpus, device, precision, expected):
    monkeypatch.setattr(devices, "cuda_devices", lambda: gpus)
    chosen = devices.choose(device, precision)
    assert (chosen.device, chosen.precision) == expected


@pytest.mark.parametrize(("device", "precision"), [("cuda:2", "auto"), ("tpu", "auto"), ("auto", "fp8")])
def test_what_is_not_there_is_refused(monkeypatch, device, precision):
    monkeypatch.setattr(devices, "cuda_devices", lambda: (AMPERE,))
    with pytest.raises(UsageError):
        devices.choose(device, precision)


def test_what_the_driver_says_is_what_torch_says():
    usable = 0 if devices.cuda_problem() else sum(not gpu.refusal for gpu in devices.cuda_devices())
    assert usable == (torch.cuda.device_count() if torch.cuda.is_available() else 0)


def test_default_batch_sizes_shrink_with_the_image():
    assert devices.default_batch_size("cpu", 224) == 32
    assert devices.default_batch_size("cpu", 448) == 8
    assert devices.default_batch_size("cuda:0", 224) == 128
    assert devices.default_batch_size("cpu", 4000) == 1


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("HIP out of memory. Tried to allocate"),
        RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    ],
)
def test_back_off_keeps_order_and_remembers_the_size(error):
    released = []

    def work(part):
        if len(part) > 3:
            raise error
        return list(part)

    results, size = with_back_off(work, list(range(10)), 8, lambda: released.append(1))
    assert [item for part in results for item in part] == list(range(10))
    assert size == 2
    assert len(released) == 2


def test_back_off_gives_up_at_one_and_lets_other_errors_through():
    def hungry(part):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(MedvlmError, match="one image alone"):
        with_back_off(hungry, [1, 2], 2)

    def broken(part):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        with_back_off(broken, [1, 2], 2)
