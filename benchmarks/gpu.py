"""What a GPU does with this program, measured and checked: `python benchmarks/gpu.py [--device cuda:0] [--minutes 8]`.

The sections, in order: the quick checks of `doctor --gpu`; networks (speed, memory, features against the CPU in every
precision); extraction against its limit; RISE against the bare network; the back-off with 900 and 300 MiB left; the
solver against the CPU's; two processes on one GPU; the program through its command line; a broken context and the step
after it; several GPUs against one. Each stands alone: one that fails, or has no time left, is named in `could_not`, and
the others run. Without a GPU the same sections run on the CPU with small sizes. The last line is one JSON object.

F is images a second of the bare network, D of decoding alone, P of the whole extraction.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from gpu_device import Bench
from gpu_sections import environment, extraction, networks, out_of_memory, quick, rise, solver

from medvlm_tui.engine.step import device_memory, devices
from medvlm_tui.engine.step.device_session import open_device

BEGAN = time.monotonic()


def two_processes(bench: Bench) -> dict[str, Any]:
    """Return the rates of one process on the device and of two at once, and whether their features are the same."""
    command = [sys.executable, __file__, "--device", bench.device, "--child", "5" if bench.gpu else "1"]
    seen = []
    for count in (1, 2):
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        seen += [json.loads(each.communicate(timeout=200)[0].splitlines()[-1]) for each in running]
    return {"one_then_two": [each["rate"] for each in seen], "same_features": len({each["sum"] for each in seen}) == 1}


def child(bench: Bench) -> dict[str, float]:
    """Do what each of `two_processes` does."""
    encoder = bench.encoder("vit_b16")
    network = bench.networks["vit_b16"]
    random = torch.Generator().manual_seed(1)
    pixels = torch.randn(min(64, network.batch), 3, network.side_px, network.side_px, generator=random).to(bench.device)
    rate = bench.rate(lambda: encoder.encode(pixels), len(pixels))
    return {"rate": rate, "sum": float(encoder.encode(pixels).double().sum())}


def command_line(bench: Bench) -> dict[str, Any]:
    """Run `medvlm-tui --batch` on the phantom with networks that are saved here: its own processes, all of it."""
    import timm

    with tempfile.TemporaryDirectory() as name:
        architectures = [bench.networks[each].architecture for each in ("lite0", "vit_b16")]
        flags: list[str] = []
        for architecture in architectures:
            torch.save(timm.create_model(architecture, pretrained=False).state_dict(), f"{name}/{architecture}.pth")
            flags += ["--weights", f"timm:{architecture}={name}/{architecture}.pth"]
        flags += ["--models", ",".join(f"timm:{each}" for each in architectures), "--device", bench.device]
        flags += ["--datasets", "phantom", "--phantom-per-class", "300" if bench.gpu else "12"]
        flags += [
            "--stages",
            "extract,probe,saliency",
            "--rise-masks",
            "512" if bench.gpu else "8",
            "--json",
            "--offline",
        ]
        flags += ["--workspace", f"{name}/w", "--out", f"{name}/out"]
        command = [sys.executable, "-m", "medvlm_tui", "--batch", *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        results = [event for event in events if event.get("type") == "ResultReady"]
        return {
            "exit": done.returncode,
            "results": len(results),
            "images_a_second": [event["summary"].get("images_per_second") for event in results],
            "failed": [(e["step"], e["error"]) for e in events if e.get("type") == "StepFailed"],
            "said": done.stderr[-300:],
        }


def broken_context(bench: Bench) -> dict[str, Any]:
    """Break a GPU context in a process of its own, and see it recognised; then use the GPU in this one."""
    if not bench.gpu:
        raise RuntimeError("a CPU has no context to break")
    code = (
        "import sys, torch\nfrom medvlm_tui.engine.step import device_session as s\ns.open_device(sys.argv[1])\n"
        "try:\n torch.zeros(4, device=sys.argv[1])[torch.tensor([9], device=sys.argv[1])].cpu()\n"
        "except RuntimeError as e:\n print(s.broken_by(e)); sys.stdout.flush(); __import__('os')._exit(s.BROKEN_EXIT)\n"
    )
    command = [sys.executable, "-c", code, bench.device]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    after = float((torch.ones(8, device=bench.device) * 2).sum())
    return {"recognised": done.stdout.strip(), "exit": done.returncode, "this_process_still_works": after == 16.0}


def several_gpus(bench: Bench) -> dict[str, Any]:
    """Run the command line on one GPU and on all: the same rows, and what stays in use afterwards."""
    count = torch.cuda.device_count() if bench.gpu else 0
    if count < 2:
        raise RuntimeError(f"{count} GPUs are here")
    rates = {}
    for device in ("cuda:0", "cuda"):
        rates[device] = command_line(replace(bench, device=device))
    free = [torch.cuda.mem_get_info(index)[0] for index in range(count)]
    return {"one_and_all": rates, "free_after": free}


SECTIONS: tuple[Callable[[Bench], dict[str, Any]], ...] = (
    environment, quick, networks, extraction, rise, out_of_memory, solver, two_processes, command_line, broken_context,
    several_gpus,
)  # fmt: skip
NOT_HERE = (
    "real weights of the largest networks in fp16", "MIG slices and GPUs named by UUID", "compute-sanitizer",
    "a shard's process killed in the middle of its share",
)  # fmt: skip


def finish(bench: Bench, code: int) -> None:
    """Print the record and end the process, whatever hangs."""
    record = {
        "benchmark": "gpu",
        "machine": {"device": bench.device, "cpus": os.cpu_count(), "platform": platform.platform()},
        "seconds": time.monotonic() - BEGAN,
        "found": bench.found,
        "could_not": bench.could_not,
    }
    short = json.loads(json.dumps(record, default=str), parse_float=lambda digits: float(f"{float(digits):.4g}"))
    print(json.dumps(short), flush=True)
    os._exit(code)


def time_is_up(bench: Bench, section: list[str]) -> None:
    """End the benchmark at its limit."""
    bench.could_not[section[-1]] = "the time was up"
    finish(bench, 3)


def measure(bench: Bench, only: list[str], running: list[str]) -> None:
    """Run the sections that were asked for."""
    for section in [each for each in SECTIONS if each.__name__ in only]:
        running.append(section.__name__)
        begun = time.monotonic()
        try:
            bench.found[section.__name__] = section(bench)
            said = "done"
        except Exception as error:  # the others still run, and the record names this one
            said = bench.could_not[section.__name__] = f"{type(error).__name__}: {str(error)[:200]}"
        device_memory.release_memory()
        print(f"{section.__name__}: {time.monotonic() - begun:.1f} s, {said}", flush=True)


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", default="", help="comma-separated sections")
    parser.add_argument("--quick", action="store_true", help="the checks of `doctor --gpu` and the networks alone")
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = devices.choose(options.device)
    open_device(chosen.device)
    bench = Bench(chosen.device, chosen.precision)
    if options.child:
        print(json.dumps(child(bench)))
        return
    named = [each.__name__ for each in SECTIONS]
    only = ["environment", "quick", "networks"] if options.quick else options.only.split(",") if options.only else named
    bench.could_not = dict.fromkeys(NOT_HERE, "not part of this benchmark")
    if not bench.gpu:
        bench.could_not["gpu"] = f"none to use: the CPU with small sizes, memory is short in pretence. {chosen.warning}"
    running: list[str] = ["start"]
    watch = threading.Timer(60 * options.minutes, time_is_up, (bench, running))
    watch.daemon = True
    watch.start()
    measure(bench, only, running)
    finish(bench, 0)


if __name__ == "__main__":
    main()
