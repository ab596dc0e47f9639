"""Which device and precision a run will use, found without loading torch into this process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from medvlm_tui.errors import UsageError

_ACCELERATOR_FILES = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
# A child answers, because asking CUDA holds some 300 MB of GPU memory in the process that asked.
_QUESTION = """
import json, sys
from medvlm_tui.engine.devices import choose_device, choose_precision
device = choose_device(sys.argv[1])
import torch
name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"
print(json.dumps({"device": device, "precision": choose_precision(sys.argv[2], device), "name": name}))
"""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The choice, recorded in every key and manifest."""

    device: str
    precision: str
    name: str


@lru_cache(maxsize=8)
def choose(device: str, precision: str) -> Hardware:
    """Resolve `auto`; raises UsageError for a device that is not there."""
    if not any(Path(file).exists() for file in _ACCELERATOR_FILES):
        if device not in ("auto", "cpu"):
            raise UsageError(f"there is no device {device!r} here", "use --device cpu, or --device auto")
        return Hardware("cpu", "fp32" if precision == "auto" else precision, "CPU")
    command = [sys.executable, "-c", _QUESTION, device, precision]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if answer.returncode != 0:
        last_line = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UsageError(f"the device {device!r} cannot be used: {last_line}", "try --device cpu")
    return Hardware(**json.loads(answer.stdout.splitlines()[-1]))
