"""RISE's speed, memory and sampling error: `python benchmarks/saliency.py [--quick] [--estimator FOLDER --brain DIR]`.

masked_over_forward_*   masked images a second over the bare forward pass of the same batch, in turn, medians
memory_4096_over_256    peak resident memory, 4,096 masks over 256, each in a process of its own, imports included in
                        both; `own` is the same above the imports
ten_over_one            cost an image of ten images that share masks over that of one alone, lite0, in turn, medians
masks_for_equal_error   only with --estimator (hours on two cores; saliency_error.py, which goes on in FOLDER): the
                        share of 4,096 masks that the reduced estimator needs for the plain one's error there, against
                        16,384 other masks in pairs, mean over 6 images of the phantom and Brain MR
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from saliency_error import equal_error

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import ModelSpec, PreprocessSpec
from medvlm_tui.engine.encoders.libraries import timm_
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.registry import load_encoder
from medvlm_tui.engine.encoders.weights.location import locate
from medvlm_tui.engine.extract.peak_memory import peak_bytes
from medvlm_tui.engine.probe.classifier import Classifier, Scaler
from medvlm_tui.engine.saliency.masking import Masking
from medvlm_tui.engine.saliency.masks import CHUNK, MaskStream
from medvlm_tui.engine.saliency.rise import estimate
from medvlm_tui.engine.step.freed_memory import keep_freed_memory

SIDE = 224


def lite0() -> NetworkEncoder:
    """The packaged encoder, or the same network with random weights where the package is absent."""
    spec = load_models()["efficientnet_lite0"]
    with TemporaryDirectory() as folder:
        weights = locate(spec, "", FileDigests(Path(folder) / "digests.json"))
    if weights.path is None:
        network = timm_.build(spec.architecture, {})
        return NetworkEncoder(spec, spec.default_feature, network, "cpu", "fp32", channels_last=True)
    return load_encoder(spec, weights, spec.default_feature, "cpu", "fp32")


def vit_b16() -> NetworkEncoder:
    """A ViT-B/16 with random weights."""
    size = PreprocessSpec(SIDE, SIDE)
    spec = ModelSpec("vit_b16", "ViT-B/16", "general", "timm", "vit_base_patch16_224", "bring", size, {"pooled": 768})
    network = timm_.build(spec.architecture, {})
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return NetworkEncoder(spec, "pooled", network, "cpu", "fp32")


def masking_of(encoder: NetworkEncoder, batch: int, images: int = 1, paired: bool = False) -> Masking:
    """One made image (or more) and a random classifier of four classes."""
    random = np.random.default_rng(0)
    dim = encoder.spec.dim(encoder.feature)
    classifier = Classifier(Scaler(np.zeros(dim), np.ones(dim)), random.normal(size=(4, dim)), np.zeros(4))
    drawn = [Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)) for _ in range(images)]
    pixels = torch.stack([encoder.preprocess(image) for image in drawn])
    stream = MaskStream(7, 0.5, 0, SIDE, SIDE, paired)
    return Masking(encoder, classifier, stream, pixels, torch.zeros_like(pixels), batch)


def speed_ratio(encoder: NetworkEncoder, batch: int, rounds: int, masks: int) -> float:
    """Return (masked images a second) / (images a second of the forward pass alone)."""
    masking = masking_of(encoder, batch)
    bare = torch.randn(batch, 3, SIDE, SIDE).to(memory_format=encoder._format)
    encoder.encode(bare)
    ratios = []
    for chunk in range(rounds):
        begun = time.perf_counter()
        for _ in range(masks // batch):
            encoder.encode(bare)
        forward = time.perf_counter() - begun
        begun = time.perf_counter()
        scores = np.concatenate(list(masking.scores(chunk, masks, lambda: None)))
        estimate(masking.stream, scores[:, :1], "plain")
        ratios.append(forward / (time.perf_counter() - begun))
        print(f"  round {chunk + 1}: forward {masks / forward:.1f} images/s, ratio {ratios[-1]:.3f}", flush=True)
    return statistics.median(ratios)


class _Constant:
    """An encoder that costs nothing: what is left is RISE's own memory."""

    device = "cpu"

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels[:, :, :2, :2].flatten(1)


def ten_over_one(encoder: NetworkEncoder, batch: int, rounds: int, masks: int) -> float:
    """Return (seconds an image of ten images that share masks) / (seconds of one image alone)."""
    one, ten, ratios = masking_of(encoder, batch), masking_of(encoder, batch, images=10), []

    def seconds(masking: Masking, chunk: int, count: int) -> float:
        begun = time.perf_counter()
        scores = np.concatenate(list(masking.scores(chunk, count, lambda: None)))
        for image in scores.reshape(-1, count, 4):
            estimate(masking.stream, image[:, :1], "plain")
        return time.perf_counter() - begun

    for chunk in range(rounds):
        alone = seconds(one, chunk, masks)
        ratios.append(seconds(ten, chunk, masks) / 10 / alone)
        print(f"  round {chunk + 1}: {masks / alone:.1f} masked images/s alone, ratio {ratios[-1]:.3f}", flush=True)
    return statistics.median(ratios)


def peaks_mb(masks: int) -> tuple[float, float]:
    """Return the peak resident memory after the imports, and after `masks` masks of one image with their map."""
    before = resident_mb()
    pixels = torch.rand(1, 3, SIDE, SIDE)
    classifier = Classifier(Scaler(np.zeros(12), np.ones(12)), np.ones((4, 12)), np.zeros(4))
    stream = MaskStream(7, 0.5, 0, SIDE, SIDE)
    masking = Masking(_Constant(), classifier, stream, pixels, torch.zeros_like(pixels), 32)  # type: ignore[arg-type]
    chunks = [np.concatenate(list(masking.scores(chunk, CHUNK, lambda: None))) for chunk in range(masks // CHUNK)]
    estimate(stream, np.concatenate(chunks), "plain")
    return before, resident_mb()


def resident_mb() -> float:
    """Return this process's peak resident memory (not ru_maxrss, which a child takes over from its parent)."""
    peak = peak_bytes("cpu")
    assert peak is not None, "no /proc/self/status here"
    return peak / 2**20


def memory_ratios() -> tuple[float, float]:
    """Return peak(4,096) / peak(256): of the processes, and of what is above their imports."""
    found = []
    for masks in (256, 4096):
        line = [sys.executable, __file__, "--peak", str(masks)]
        before, peak = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        found.append((peak, peak - before))
        print(f"  {masks} masks: {peak:.0f} MB, {peak - before:.0f} of them above the imports", flush=True)
    return found[1][0] / found[0][0], found[1][1] / found[0][1]


def main() -> None:
    """Measure and print one JSON line at the end."""
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--estimator", type=Path, metavar="FOLDER", help="hours; goes on in FOLDER")
    options.add_argument("--brain", default="", help="Brain MR's folder, for --estimator")
    options.add_argument("--model", choices=("lite0", "vit_b16"), help="the speed of this one alone")
    options.add_argument("--peak", type=int, default=0, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.peak:
        print(json.dumps(peaks_mb(chosen.peak)))
        return
    keep_freed_memory()
    rounds, masks, batch = (3, 64, 16) if chosen.quick else (5, 256, 32)
    figures: dict[str, dict[str, object]] = {}
    for name, build in (("lite0", lite0), ("vit_b16", vit_b16)):
        if chosen.model not in (None, name):
            continue
        count = masks if name == "lite0" else masks // 4
        print(f"{name}: {count} masks a round, batches of {batch}", flush=True)
        encoder = build()
        value = speed_ratio(encoder, batch, rounds, count)
        figures[f"masked_over_forward_{name}"] = {"value": round(value, 3), "target": 0.9, "better": "higher"}
        if name == "lite0":
            print("ten images and one:", flush=True)
            value = ten_over_one(encoder, batch, rounds, masks // 2)
            figures["ten_over_one"] = {"value": round(value, 3), "target": 1.0, "better": "lower"}
    print("memory:", flush=True)
    whole, own = memory_ratios()
    figures["memory_4096_over_256"] = {"value": round(whole, 3), "own": round(own, 3), "target": 1.3, "better": "lower"}
    if chosen.estimator:
        share = equal_error(chosen.estimator.absolute(), chosen.brain)["share"]
        figures["masks_for_equal_error"] = {"value": share, "target": 0.25, "better": "lower"}
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "torch": torch.__version__}
    print(json.dumps({"benchmark": "saliency", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
