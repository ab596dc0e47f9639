"""The first and the last word to a GPU in a process: opened before any work, left after an error that breaks it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, MutableMapping

from medvlm_tui.engine.step.device_memory import is_out_of_memory
from medvlm_tui.errors import MedvlmError

# What a process exits with after an error that leaves its CUDA context unusable.
BROKEN_EXIT = 86
_BROKEN = re.compile(
    r"CUDA (driver )?error|device-side assert|CUBLAS_STATUS_EXECUTION_FAILED|CUDNN_STATUS_EXECUTION_FAILED"
    r"|CUDNN_STATUS_INTERNAL_ERROR|CUSOLVER_STATUS_EXECUTION_FAILED",
    re.IGNORECASE,
)
_HELP = "`medvlm-tui doctor --gpu` tests it; --device cpu works without it"
_opened: set[str] = set()


def prepare_environment(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what torch and NVIDIA's libraries read when they start; call it before torch is imported.

    fp32 is IEEE fp32 whatever the environment says (NVIDIA's containers ask for TF32). Expandable segments keep a GPU's
    memory in one piece while batch sizes change; a setting of the user's goes before.
    """
    environment.pop("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", None)
    environment["NVIDIA_TF32_OVERRIDE"] = "0"
    if "PYTORCH_CUDA_ALLOC_CONF" not in environment:
        environment.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")


def open_device(device: str) -> None:
    """Make a device ready for a job: IEEE arithmetic, CUDA initialised, this GPU the current one.

    Every job that computes on a device begins with it. Raises MedvlmError when torch cannot use the GPU, and what torch
    raises when its memory is full.
    """
    use_ieee_fp32()
    if not device.startswith("cuda"):
        return
    import torch

    try:
        torch.cuda.set_device(device)
        torch.cuda.init()  # type: ignore[no-untyped-call]
        if device not in _opened:
            _refuse_without_kernels(device)
            torch.zeros(1, device=device).add_(1.0).cpu()  # the first kernel finds what else is wrong
            _opened.add(device)
    except (RuntimeError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        raise MedvlmError(f"torch cannot use {device}: {next(iter(str(error).splitlines()), '')}", _HELP) from error


def use_ieee_fp32() -> None:
    """Turn TF32 off in products and convolutions, and sums of fp16 products in fp16.

    torch's default is TF32 in convolutions: mantissas of 10 bits under a key that says fp32. The older switches are set
    first: torch refuses to compute where they and the newer ones disagree.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False


def _refuse_without_kernels(device: str) -> None:
    """Raise MedvlmError when torch was not compiled for this GPU's architecture."""
    import torch

    capability = torch.cuda.get_device_capability(device)
    compiled = torch.cuda.get_arch_list()
    if compiled and not serves(compiled, capability):
        name = torch.cuda.get_device_name(device)
        raise MedvlmError(
            f"torch cannot use {device} ({name}): it has no kernels for compute capability "
            f"{capability[0]}.{capability[1]}, only for {', '.join(compiled)}",
            "install a torch built for it (https://pytorch.org/get-started), or use --device cpu",
        )


def serves(compiled: list[str], capability: tuple[int, int]) -> bool:
    """Return whether code compiled for these architectures runs on a GPU.

    `sm_86` runs on later GPUs of the same major version; `compute_90` is compiled for any later one when it starts.
    """
    for name in compiled:
        match = re.match(r"(sm|compute)_(\d+)(\d)(a|f)?$", name)
        if match is None or match.group(4) == "a":
            continue
        built = (int(match.group(2)), int(match.group(3)))
        if built <= capability and (match.group(1) == "compute" or built[0] == capability[0]):
            return True
    return False


def broken_by(error: BaseException) -> str:
    """Return the first line of a CUDA error after which every later call in this process fails; empty for others.

    Found too where a known error was raised from it.
    """
    for each in _chain(error):
        if isinstance(each, RuntimeError) and not is_out_of_memory(each):
            lasting = type(each).__name__ == "AcceleratorError" or _BROKEN.search(str(each))
            if lasting and "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
                return str(each).splitlines()[0]
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < 20:
        yield error
        error, seen = error.__cause__ or error.__context__, seen + 1
