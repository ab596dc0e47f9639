"""Facts from NVIDIA's driver on its GPUs, and whether the installed torch can use them. Imports no torch."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from uuid import UUID

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_FP32_OVER_FP64 = 87  # CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE: a driver without a GPU, or CUDA_VISIBLE_DEVICES is empty
# CUDA 13 compiles for compute capability 7.5 and later: no V100 (7.0), no Pascal.
_CUDA_WITHOUT_VOLTA, _FIRST_AFTER_VOLTA = 13, (7, 5)
_INSTALL = "install a torch built for it (https://pytorch.org/get-started)"


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """A GPU as its driver describes it."""

    name: str
    capability: tuple[int, int]
    memory_gb: float
    refusal: str = ""
    """Why the installed torch cannot use it; empty when it can, as far as the driver tells."""
    fp32_over_fp64: int = 2
    """Speed in float32 over that in float64: 2 on V100, A100 and H100, 32 or 64 on others."""
    uuid: str = ""
    """Its number in all drivers' interfaces, without the prefix; empty where the driver does not tell it."""


@dataclass(frozen=True, slots=True)
class CudaState:
    """The driver, the installed torch, and the GPUs of this machine."""

    gpus: tuple[CudaDevice, ...] = ()
    """In the order in which torch numbers them (CUDA_VISIBLE_DEVICES is respected)."""
    driver: str = ""
    """The newest CUDA that the driver serves, e.g. `12.4`; empty without a driver."""
    torch_cuda: str = ""
    """The CUDA that torch was built for; empty for a build without CUDA."""
    problem: str = ""
    """Why no GPU can be used although a driver is here."""
    fix: str = ""


@cache
def cuda_state() -> CudaState:
    """Return what the driver says, asked once per process."""
    torch_cuda = torch_cuda_version()
    driver = load_driver()
    if driver is None:
        return CudaState(torch_cuda=torch_cuda)
    number, count = ctypes.c_int(), ctypes.c_int()
    version = "" if driver.cuDriverGetVersion(ctypes.byref(number)) else _version(number.value)
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code:
        problem = "" if code == _NO_DEVICE else f"the NVIDIA driver does not start (CUDA error {code})"
        return CudaState((), version, torch_cuda, problem, "run nvidia-smi; restart the machine after an update")
    gpus = tuple(_describe(driver, index, torch_cuda) for index in range(count.value))
    return CudaState(gpus, version, torch_cuda, *_misfit(gpus, version, torch_cuda))


def load_driver() -> ctypes.CDLL | None:
    """Return the driver's library, None on a machine without one."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


@cache
def torch_cuda_version() -> str:
    """Return the CUDA version in torch's version file; reading it spares the seconds that importing torch takes."""
    found = find_spec("torch")
    if found is None or found.origin is None:
        return ""
    text = Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    match = re.search(r"^cuda\b[^=\n]*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
    return match.group(1) if match else ""


def _version(number: int) -> str:
    """Return `12.4` of 12040."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _describe(driver: ctypes.CDLL, index: int, torch_cuda: str) -> CudaDevice:
    """Return one GPU; one that the driver does not describe is refused."""
    handle, memory = ctypes.c_int(), ctypes.c_size_t()
    major, minor, ratio, name = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(128)
    code = (
        driver.cuDeviceGet(ctypes.byref(handle), index)
        or driver.cuDeviceGetName(name, len(name), handle)
        or driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, handle)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, handle)
        or driver.cuDeviceGetAttribute(ctypes.byref(ratio), _FP32_OVER_FP64, handle)
    )
    if code:
        return CudaDevice(f"GPU {index}", (0, 0), 0.0, f"the driver does not describe it (CUDA error {code})")
    capability = (major.value, minor.value)
    refusal = _too_old(capability, torch_cuda)
    label, size = name.value.decode(errors="replace"), memory.value / 2**30
    return CudaDevice(label, capability, size, refusal, ratio.value, _uuid(driver, handle))


def _uuid(driver: ctypes.CDLL, handle: ctypes.c_int) -> str:
    """Return a GPU's UUID; of its slice, where it is divided (MIG)."""
    raw = (ctypes.c_ubyte * 16)()
    try:
        return "" if driver.cuDeviceGetUuid_v2(ctypes.byref(raw), handle) else str(UUID(bytes=bytes(raw)))
    except AttributeError:  # a driver before CUDA 11.4
        return ""


def _too_old(capability: tuple[int, int], torch_cuda: str) -> str:
    if torch_cuda and int(torch_cuda.split(".")[0]) >= _CUDA_WITHOUT_VOLTA and capability < _FIRST_AFTER_VOLTA:
        found = ".".join(map(str, capability))
        return f"its compute capability {found} is older than this torch (CUDA {torch_cuda}) serves"
    return ""


def _misfit(gpus: tuple[CudaDevice, ...], driver: str, torch_cuda: str) -> tuple[str, str]:
    """Return why torch can use none of the GPUs, and what to do; empty where it can."""
    if not gpus:
        return "", ""
    here = f"{gpu_count(len(gpus))} here"
    if not torch_cuda:
        return (
            f"{here}, but the installed torch has no CUDA",
            "install a torch with CUDA (https://pytorch.org/get-started)",
        )
    if driver and int(driver.split(".")[0]) < int(torch_cuda.split(".")[0]):
        problem = f"{here}, but its driver (CUDA {driver}) is too old for this torch (CUDA {torch_cuda})"
        return problem, f"update the driver, or {_INSTALL}"
    if all(gpu.refusal for gpu in gpus):
        reasons = "; ".join(dict.fromkeys(f"{gpu.name}: {gpu.refusal}" for gpu in gpus))
        return f"{here}, but torch cannot use {'it' if len(gpus) == 1 else 'them'}: {reasons}", _INSTALL
    return "", ""


def gpu_count(count: int) -> str:
    """Return `1 GPU is` or `3 GPUs are`."""
    return "1 GPU is" if count == 1 else f"{count} GPUs are"
