"""`medvlm-tui doctor`: what this machine has, and for everything that is missing the one line that fixes it."""

from __future__ import annotations

import argparse
import json
import locale
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from medvlm_tui.catalog.models import load_models, user_file
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.encoders.weights.hub import hub_cache, token_file
from medvlm_tui.engine.encoders.weights.location import examine as examine_weights
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.cuda_driver import cuda_state
from medvlm_tui.errors import ExitCode, MedvlmError
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.version import VERSION

State = Literal["ok", "missing", "failed"]
_GB = 1e9
# A study of the paper's eight datasets and thirty models stores about 15 GB of features and results.
_ENOUGH_FREE_GB = 20.0
# Below these, known holes: CVE-2026-24747 (torch), remote code despite trust_remote_code=False (transformers),
# a row of decoder overflows (Pillow).
_FLOORS = {"torch": (2, 10), "transformers": (5, 5), "Pillow": (12, 3), "textual": (8, 2)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: State
    detail: str
    fix: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.add_argument("--gpu", action="store_true", help="also test the GPU with small networks (half a minute)")
    parser.add_argument(
        "--device", default="", help="auto, cpu, cuda, or GPUs by number: cuda:0,cuda:2 (the device of the settings)"
    )


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Print every finding; returns 0 unless something failed (weights that are merely missing are no failure)."""
    request = replace(request, device=options.device or request.device)
    findings = list(examine_gpu(request) if options.gpu else examine(request, configuration))
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=True))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            print(f"{finding.state:8}{finding.what:{width}}  {clean(finding.detail)}")
            for line in finding.fix.splitlines():
                print(f"{'':8}{'':{width}}  → {clean(line)}")
    failed = any(finding.state == "failed" for finding in findings)
    return int(ExitCode.STEPS_FAILED if failed else ExitCode.OK)


def examine(request: RunRequest, configuration: Settings) -> Iterator[Finding]:
    """Yield what was found, the machine first, then each model."""
    yield Finding("medvlm-tui", "ok", VERSION)
    yield _python()
    yield from (
        _package(name) for name in ("torch", "torchvision", "transformers", "timm", "open_clip_torch", "Pillow")
    )
    yield from _cuda()
    yield _device(request)
    yield from _terminal()
    yield _own_file("settings", configuration.file, "defaults")
    yield from _workspace(configuration.workspace)
    yield _token()
    yield Finding("hub cache", "ok", str(hub_cache()))
    yield _own_file("own models", user_file(), "none")
    for spec in load_models().values():
        yield _model(spec, request)


def examine_gpu(request: RunRequest) -> Iterator[Finding]:
    """Yield what a test of the device found: opened, right arithmetic, the CPU's features, a full memory survived."""
    yield from _cuda()
    chosen = _device(request)
    yield chosen
    if chosen.state == "failed":
        return
    # torch and timm are seconds to import, and no part of the other findings.
    from medvlm_tui.engine.gpu_check.quick import quick_checks

    device = devices.choose(request.device, request.precision)
    if device.device == "cpu":
        yield Finding("GPU", "missing", "there is none to test; the tests below compare the CPU with itself")
    states: dict[str, State] = {"ok": "ok", "failed": "failed", "skipped": "missing"}
    for check in quick_checks(device.device, device.precision):
        fix = "report it with this output; --device cpu gives right results" if check.outcome == "failed" else ""
        yield Finding(check.name, states[check.outcome], check.detail, fix)


def _model(spec: ModelSpec, request: RunRequest) -> Finding:
    weights = examine_weights(spec, request.weights.get(spec.id, ""), request.offline)
    states: dict[str, State] = {"present": "ok", "wrong": "failed"}
    detail = str(weights.path) if weights.state == "present" else weights.state
    return Finding(f"model {spec.id}", states.get(weights.state, "missing"), detail, weights.hint)


def _own_file(what: str, path: Path, without: str) -> Finding:
    """Look at a file of the user's own that need not be there; without it there is `without`."""
    try:
        with open(path, "rb"):
            return Finding(what, "ok", str(path))
    except FileNotFoundError:
        return Finding(what, "ok", f"{path} (not there: {without})")
    except OSError as error:
        detail = f"{path} cannot be looked at: {error.strerror} ({without})"
        return Finding(what, "missing", detail, "set HOME or MEDVLM_CONFIG to a place of your own")


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    return Finding("Python", "ok" if fine else "failed", found, "" if fine else "use Python 3.11 or newer")


def _package(name: str) -> Finding:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(name, "failed", "not installed", f"pip install {name}")
    floor = _FLOORS.get(name, (0, 0))
    numbers = tuple(int(part) for part in found.split("+")[0].split(".")[:2])
    if numbers < floor:
        wanted = ".".join(map(str, floor))
        return Finding(name, "failed", f"{found} has known holes", f"pip install --upgrade '{name}>={wanted}'")
    return Finding(name, "ok", found)


def _cuda() -> Iterator[Finding]:
    """Yield the driver's CUDA version beside torch's, and each GPU that torch cannot use."""
    state = cuda_state()
    if state.driver or state.gpus:
        detail = f"driver for CUDA {state.driver or 'unknown'}, torch built {_built(state.torch_cuda)}"
        yield Finding("CUDA", "missing" if state.problem else "ok", detail, state.fix)
    for index, gpu in enumerate(state.gpus):
        if gpu.refusal:
            yield Finding(f"GPU {index}", "missing", f"{gpu.name}: {gpu.refusal}")


def _built(torch_cuda: str) -> str:
    return f"for CUDA {torch_cuda}" if torch_cuda else "without CUDA"


def _device(request: RunRequest) -> Finding:
    try:
        chosen = devices.choose(request.device, request.precision)
    except MedvlmError as error:
        return Finding("device", "failed", error.message, error.hint)
    memory = "" if chosen.memory_gb is None else f", {chosen.memory_gb:.0f} GB"
    detail = f"{chosen.device} ({chosen.name}{memory}), precision {chosen.precision}"
    if chosen.warning:
        return Finding("device", "missing", f"{detail}; {chosen.warning}", cuda_state().fix)
    return Finding("device", "ok", detail)


def _terminal() -> Iterator[Finding]:
    size = shutil.get_terminal_size()
    term, colours = os.environ.get("TERM", ""), os.environ.get("COLORTERM", "")
    detail = f"{term or 'none'}, {size.columns}x{size.lines}, COLORTERM {colours or 'unset'}"
    small = size.columns < 80 or size.lines < 24
    yield Finding("terminal", "ok", detail, "enlarge it to 80x24 or more" if small else "")
    if colours not in ("truecolor", "24bit"):
        yield Finding("colours", "ok", "256 or fewer", "where the terminal has more: export COLORTERM=truecolor")
    encoding = locale.getpreferredencoding(do_setlocale=False)
    if encoding.lower().replace("-", "") != "utf8":
        yield Finding("encoding", "failed", encoding, "export LC_ALL=C.UTF-8")


def _workspace(root: Path) -> Iterator[Finding]:
    existing = next(folder for folder in (root, *root.parents) if os.path.exists(folder))
    free = shutil.disk_usage(existing).free / _GB
    hint = "" if free > _ENOUGH_FREE_GB else "a whole study needs some 20 GB: another --workspace, or fewer models"
    yield Finding("workspace", "ok", f"{root}, {free:.0f} GB free", hint)
    store = Workspace(root).store
    try:
        if not store.exists():
            return
        Store(store, read_only=True).close()
    except OSError as error:
        yield Finding("store", "failed", f"{store}: {error.strerror}", "check its permissions and the disk")
    except MedvlmError as error:
        yield Finding("store", "failed", error.message, error.hint)
    else:
        yield Finding("store", "ok", str(store))


def _token() -> Finding:
    if os.environ.get("HF_TOKEN") or token_file().exists():
        return Finding("hub token", "ok", "present")
    return Finding("hub token", "missing", "only gated models need one", "hf auth login")
