"""Sections of benchmarks/gpu.py that run in its own process: arithmetic, speed, short memory, the solver."""

from __future__ import annotations

import platform
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_device import Bench, Network, bare, decode_rate, least_cosine, make_dataset, whole_path

from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.extract import batch_sizes, batches
from medvlm_tui.engine.gpu_check.networks import noise_images
from medvlm_tui.engine.gpu_check.quick import quick_checks
from medvlm_tui.engine.images.decoders import end_decoders
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.probe.folds import costs
from medvlm_tui.engine.probe.solver import svm, svm_torch
from medvlm_tui.engine.saliency.masking import Masking
from medvlm_tui.engine.saliency.masks import MaskStream
from medvlm_tui.engine.step import device_memory, devices
from medvlm_tui.engine.step.device_session import open_device
from medvlm_tui.stages.protocols import PAPER_T_GRID


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
