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
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, Precision, PreprocessSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.engine.extract import batch_sizes, batches, step
from medvlm_tui.engine.gpu_check.networks import encoder_of, noise_images
from medvlm_tui.engine.gpu_check.quick import quick_checks
from medvlm_tui.engine.images.decoders import decoders, end_decoders
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.folds import costs
from medvlm_tui.engine.probe.solver import svm, svm_torch
from medvlm_tui.engine.saliency.masking import Masking
from medvlm_tui.engine.saliency.masks import MaskStream
from medvlm_tui.engine.step import device_memory, devices
from medvlm_tui.engine.step.device_session import open_device
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.engine.step.resources import Resources
from medvlm_tui.stages.protocols import PAPER_T_GRID
from medvlm_tui.stages.request import RunRequest

BEGAN = time.monotonic()


@dataclass(frozen=True)
class Network:
    """A network of the benchmark."""

    architecture: str
    side_px: int
    gmac: float
    """Multiplications of one image, in 10^9."""
    dim: int
    batch: int


LARGE = {
    "lite0": Network("tf_efficientnet_lite0", 224, 0.40, 1280, 256),
    "vit_b16": Network("vit_base_patch16_224", 224, 17.58, 768, 256),
    "vit_l14_336": Network("vit_large_patch14_clip_336", 336, 191.1, 1024, 64),
}
SMALL = {
    "lite0": replace(LARGE["lite0"], batch=4),
    "vit_b16": Network("vit_tiny_patch16_224", 224, 1.26, 192, 2),
}


@dataclass
class Bench:
    """The device, and what is measured on it."""

    device: str
    precision: str
    found: dict[str, Any] = field(default_factory=dict)
    could_not: dict[str, str] = field(default_factory=dict)

    @property
    def gpu(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def networks(self) -> dict[str, Network]:
        return LARGE if self.gpu else SMALL

    def encoder(self, name: str, precision: str = "", device: str = "") -> NetworkEncoder:
        """Return a network with random weights on the device."""
        network = self.networks[name]
        size = PreprocessSpec(
            network.side_px, network.side_px * 8 // 7, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        )
        named: Precision = {"bf16": "bf16", "fp16": "fp16"}.get(precision or self.precision, "fp32")  # type: ignore[assignment]
        return encoder_of(network.architecture, network.dim, size, device or self.device, named)

    def rate(self, work: Callable[[], object], items: int) -> float:
        """Return items a second of a call that may only enqueue work."""

        def seconds(count: int) -> float:
            began = time.perf_counter()
            for _ in range(count):
                work()
            if self.gpu:
                torch.cuda.synchronize(self.device)
            return time.perf_counter() - began

        lasting = 1.0 if self.gpu else 0.3
        count = max(2, min(500, int(lasting / min(seconds(1), seconds(1)))))
        return count * items / seconds(count)


def bare(encoder: NetworkEncoder, pixels: torch.Tensor) -> torch.Tensor:
    """Return the network's output, left on the device."""
    with torch.inference_mode(), encoder._autocast():
        return encoder._forward(pixels)


def least_cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the least cosine of two sets of rows."""
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1).min())


def quick(bench: Bench) -> dict[str, Any]:
    """Run what `doctor --gpu` runs."""
    return {check.name: asdict(check) for check in quick_checks(bench.device, bench.precision)}


def environment(bench: Bench) -> dict[str, Any]:
    """Return versions, the card, and what a product reaches in bf16."""
    found: dict[str, Any] = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
    }
    found["devices"] = [f"{each.device} {each.name} {each.precision}" for each in devices.every("auto")]
    if not bench.gpu:
        return found
    open_device(bench.device)
    a = torch.randn(8192, 8192, device=bench.device, dtype=torch.bfloat16)
    return found | {
        "card": str(torch.cuda.get_device_properties(bench.device)),
        "architectures": torch.cuda.get_arch_list(),
        "free_total": torch.cuda.mem_get_info(bench.device),
        "counted_as_torch_counts": len(devices.cuda_devices()) == torch.cuda.device_count(),
        "bf16_product_tflops": bench.rate(lambda: a @ a, 2) * 8192**3 / 1e12,
    }


def networks(bench: Bench) -> dict[str, Any]:
    """Return F, what `encode` leaves of it, memory, and features against the CPU's in fp32."""
    found: dict[str, Any] = {}
    for name, network in bench.networks.items():
        reference = bench.encoder(name, "fp32", "cpu")
        eight = torch.stack([reference.preprocess(image) for image in noise_images(8)])
        wanted = reference.encode(eight)
        for precision in ("fp32", "bf16", "fp16") if bench.gpu else ("fp32", "bf16"):
            found[f"{name} {precision}"] = _network(bench, network, bench.encoder(name, precision), eight, wanted)
            device_memory.release_memory()
    return found


def _network(
    bench: Bench, network: Network, encoder: NetworkEncoder, eight: torch.Tensor, wanted: torch.Tensor
) -> dict[str, Any]:
    got, alone = encoder.encode(eight), torch.cat([encoder.encode(part) for part in eight.split(1)])
    side = network.side_px
    pixels = torch.randn(network.batch, 3, side, side, device=bench.device).to(memory_format=encoder._format)
    if bench.gpu:
        torch.cuda.reset_peak_memory_stats(bench.device)
    f = bench.rate(lambda: bare(encoder, pixels), network.batch)
    return {
        "F": f,
        "encode_over_F": bench.rate(lambda: encoder.encode(pixels), network.batch) / f,
        "tflops": 2e-3 * network.gmac * f,
        "peak_gib": torch.cuda.max_memory_allocated(bench.device) / 2**30 if bench.gpu else None,
        "batch": network.batch,
        "least_cosine": least_cosine(got, wanted),
        "max_abs_over_rms": float((got - wanted).abs().max() / wanted.std()),
        "same_bits_again": torch.equal(got, encoder.encode(eight)),
        "one_by_one_max_abs_over_rms": float((got - alone).abs().max() / wanted.std()),
    }


def make_dataset(folder: Path, count: int) -> Dataset:
    """Write JPEG files of 512 px: 64 pictures, and copies that bytes behind the end make into other files."""
    samples: list[Sample] = []
    pictures = noise_images(min(count, 64), 512)
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        if number < 64:
            pictures[number].save(path, quality=90)
        else:
            path.write_bytes(samples[number % 64].path.read_bytes() + b"%d" % number)
        samples.append(Sample(path.name, path, "ab"[number % 2], digest=of_file(path)))
    return Dataset(DatasetSpec("made", "Made", "none", "class_folders"), folder, "", tuple(samples), ("a", "b"))


def whole_path(bench: Bench, encoder: NetworkEncoder, dataset: Dataset, batch: int) -> tuple[float, np.ndarray]:
    """Return images a second of an extraction step into an empty store, and its features."""
    spec = encoder.spec
    request = RunRequest(device=bench.device, precision=encoder.precision, batch_size=batch)
    key = EncoderKey(spec.id, "random", spec.preprocess.digest, "pooled", encoder.precision, "1")
    planned = Step("extract:x", "extract", spec.id, "made", {}, "table")
    job = CellJob(planned, request, dataset, spec, Weights("present"), key)
    with tempfile.TemporaryDirectory() as place, Store(Path(place) / "store") as store:
        began = time.perf_counter()
        list(step.run(job, StepContext(store, lambda: False, Resources({Encoders: Encoders(encoder)}))))
        taken = time.perf_counter() - began
        table = store.tables.read("table")
        assert table is not None
        return len(dataset.samples) / taken, np.array(table.matrix)


def decode_rate(samples: tuple[Sample, ...], size: PreprocessSpec, workers: int) -> float:
    """Return D, with decoders that have started."""
    with decoders(workers, 768, size.size_px) as pool:
        for part in (samples[:64], samples):
            began, queue = time.perf_counter(), iter(part)
            for _ in part:
                while pool.waiting < 768 and (sample := next(queue, None)):
                    pool.submit(sample, read_sample, size)
                pool.take(lambda: None)
        return len(samples) / (time.perf_counter() - began)


def extraction(bench: Bench) -> dict[str, Any]:
    """Return P over its limit, with the batch that the program chooses by measuring."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(Path(folder), 4096 if bench.gpu else 48)
        workers = batches.default_workers(bench.device, dataset.samples)
        for name, network in bench.networks.items():
            encoder = bench.encoder(name)
            part = replace(dataset, samples=dataset.samples[: 4096 if network.side_px < 300 else 1024])
            batch = batch_sizes.probed(lambda n: batch_sizes._seconds(encoder, n), 256)[0] if bench.gpu else 8  # noqa: B023
            d = decode_rate(part.samples, encoder.spec.preprocess, workers)
            whole_path(bench, encoder, replace(part, samples=part.samples[:32]), batch)  # decoders are there after it
            p = whole_path(bench, encoder, part, batch)[0]
            pixels = torch.randn(batch, 3, network.side_px, network.side_px, device=bench.device)
            f = bench.rate(lambda: encoder.encode(pixels), batch)  # noqa: B023
            limit = min(f, d) if bench.gpu else 1 / (1 / f + 1 / d)
            found[name] = {"F": f, "D": d, "P": p, "P_over_limit": p / limit, "batch": batch, "workers": workers}
        end_decoders()
    return found


def rise(bench: Bench) -> dict[str, Any]:
    """Return masked images a second over F: one image, and eight that share the masks."""
    found: dict[str, Any] = {}
    random = np.random.default_rng(0)
    for name, network in bench.networks.items():
        encoder, side = bench.encoder(name), network.side_px
        batch = min(network.batch, devices.default_batch_size(bench.device, side))
        judge = Classifier(
            Scaler(np.zeros(network.dim), np.ones(network.dim)), random.normal(size=(4, network.dim)), np.zeros(4)
        )
        ready = torch.randn(batch, 3, side, side, device=bench.device).to(memory_format=encoder._format)
        f = bench.rate(lambda: bare(encoder, ready), batch)  # noqa: B023
        for images in (1, 8) if bench.gpu else (1,):
            pixels = torch.stack([encoder.preprocess(image) for image in noise_images(images)]).to(bench.device)
            stream = MaskStream(7, 0.5, 0, side, side, True)
            masking = Masking(encoder, judge, stream, pixels, torch.zeros_like(pixels), batch)
            list(masking.scores(0, batch, lambda: None))
            count, chunks = (256, 4 if side < 300 else 1) if bench.gpu else (2 * batch, 1)
            began = time.perf_counter()
            for chunk in range(chunks):
                list(masking.scores(chunk, count, lambda: None))
            masked = chunks * count * images / (time.perf_counter() - began)
            found[f"{name}, {images} images"] = {"masked": masked, "masked_over_F": masked / f}
    return found


def out_of_memory(bench: Bench) -> dict[str, Any]:
    """Run `encode` and a whole step with little memory left; on the CPU the shortage is pretended."""
    encoder, found = bench.encoder("vit_b16"), {}
    pixels = torch.randn(256 if bench.gpu else 6, 3, 224, 224)
    wanted = torch.cat([encoder.encode(part) for part in pixels.split(16)])

    def encode(part: torch.Tensor) -> torch.Tensor:
        if not bench.gpu and len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory, pretended")
        return encoder.encode(part)

    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(Path(folder), 1024 if bench.gpu else 8)
        whole, expected = whole_path(bench, encoder, dataset, min(64, len(pixels)))
        for left in (900, 300) if bench.gpu else (0,):
            device_memory.release_memory()
            memory = device_memory.memory_of(bench.device)
            size = 0 if memory is None else max(0, memory[0] - (left << 20))
            hog = torch.empty(size, dtype=torch.uint8, device=bench.device)
            rows, batch = device_memory.with_back_off(encode, pixels, len(pixels))  # type: ignore[arg-type]
            rate, features = whole_path(bench, encoder, dataset, min(256, len(pixels)))
            found[f"{left} MiB left"] = {
                "batch": batch,
                "least_cosine": least_cosine(torch.cat(rows), wanted),
                "step_rate_over_free": rate / whole,
                "step_least_cosine": least_cosine(torch.from_numpy(features), torch.from_numpy(expected)),
            }
            del hog
        end_decoders()
    return found


def solver(bench: Bench) -> dict[str, Any]:
    """Return seconds and duality gaps of the solver on the device and of the CPU's, one fold at two sizes."""
    found, random = {}, np.random.default_rng(0)
    whole = {"brain_like": (1837, 1280, 4, 400, 0.35), "hicervix_like": (22528, 768, 26, 150, 0.18)}
    small = {"brain_like": (300, 160, 4, 100, 0.35), "hicervix_like": (600, 48, 6, 40, 0.27)}
    for name, (n, d, k, rank, apart) in (whole if bench.gpu else small).items():
        codes = np.concatenate([np.arange(k), ((k + 1) ** random.random(n - k)).astype(int)]) % k
        x = random.normal(size=(n, rank)) + apart * random.normal(size=(k, rank))[codes]
        x = x @ (random.normal(size=(rank, d)) * np.arange(1, rank + 1)[:, None] ** -0.55)
        x += 0.3 * random.normal(size=(n, d))
        x, grid = Scaler.fit(x).apply(x), costs(PAPER_T_GRID, d, n)
        times, paths = [time.perf_counter()], []
        for where in ("cpu", "device", "device"):
            if where == "cpu":
                paths.append(svm.solve_path(x, codes, k, grid))
            else:
                paths.append(svm_torch.solve_path(x, codes, k, grid, lambda: None, None, bench.device))
            times.append(time.perf_counter())
        found[name] = {
            "cpu_first_again_s": np.diff(times).tolist(),
            "features_times_classes": n * d * k,
            "gap_cpu_device": [float((0.5 * p.gradient_norm**2 / p.objective).max()) for p in paths[:2]],
            "objective_apart": float(np.abs(paths[1].objective / paths[0].objective - 1).max()),
        }
    return found


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
