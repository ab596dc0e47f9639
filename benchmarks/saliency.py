"""RISE's speed, memory and sampling error: `python benchmarks/saliency.py [--quick] [--estimator]`.

masked_over_forward_*   masked images a second over the bare forward pass of the same batch, in turn, medians
memory_4096_over_256    peak resident memory above the loaded encoder, 4,096 masks over 256, each in its own process
masks_for_equal_error   only with --estimator (hours on two cores): masks of the reduced estimator for the error of
                        the plain one at 4,096, against 16,384 other masks in pairs
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import ModelSpec, PreprocessSpec
from medvlm_tui.engine.classifier import Classifier, Scaler
from medvlm_tui.engine.encoders import timm_
from medvlm_tui.engine.encoders.families import load_encoder
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights import locate
from medvlm_tui.engine.heap import keep_freed_memory
from medvlm_tui.engine.masks import CHUNK, MaskStream
from medvlm_tui.engine.rise import Estimator, estimate
from medvlm_tui.engine.saliency_scores import Masking

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


def peak_mb(masks: int) -> float:
    """Return this process's peak resident memory after `masks` masks of one image, with their map."""
    pixels = torch.rand(1, 3, SIDE, SIDE)
    classifier = Classifier(Scaler(np.zeros(12), np.ones(12)), np.ones((4, 12)), np.zeros(4))
    stream = MaskStream(7, 0.5, 0, SIDE, SIDE)
    masking = Masking(_Constant(), classifier, stream, pixels, torch.zeros_like(pixels), 32)  # type: ignore[arg-type]
    chunks = [np.concatenate(list(masking.scores(chunk, CHUNK, lambda: None))) for chunk in range(masks // CHUNK)]
    estimate(stream, np.concatenate(chunks), "plain")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_ratio() -> float:
    """Return peak(4,096) / peak(256), both above what the imports take."""
    peaks = {}
    for masks in (256, 4096):
        ran = subprocess.run(
            [sys.executable, __file__, "--peak", str(masks)], capture_output=True, text=True, check=True
        )
        base, peak = json.loads(ran.stdout)
        peaks[masks] = peak - base
        print(f"  {masks} masks: {peaks[masks]:.0f} MB above the imports", flush=True)
    return peaks[4096] / peaks[256]


def equal_error_share(reference_masks: int, plain_masks: int) -> float:
    """Return (reduced masks for the plain error at `plain_masks`) / `plain_masks` on one phantom-like image."""
    encoder = lite0()

    def centred(stream: MaskStream, masks: int, estimator: Estimator) -> list[np.ndarray]:
        masking = masking_of(encoder, 32, paired=stream.paired)
        masking.stream = stream
        parts = [np.concatenate(list(masking.scores(c, CHUNK, lambda: None))) for c in range(masks // CHUNK)]
        scores = np.concatenate(parts)
        counts = [masks] if estimator == "plain" else [n for n in (128, 256, 512, 1024) if n <= masks]
        maps = [estimate(stream, scores[:n, :1], estimator).maps[0] for n in counts]
        return [one - one.mean() for one in maps]

    streams = [MaskStream(7, 0.5, seed, SIDE, SIDE, paired) for seed, paired in ((9, True), (0, False), (0, True))]
    reference = centred(streams[0], reference_masks, "reduced")[-1]
    plain = float(np.abs(centred(streams[1], plain_masks, "plain")[0] - reference).mean())
    reduced = [float(np.abs(m - reference).mean()) for m in centred(streams[2], plain_masks // 4, "reduced")]
    counts = [128, 256, 512, 1024][: len(reduced)]
    return next((n / plain_masks for n, error in zip(counts, reduced, strict=True) if error <= plain), 1.0)


def main() -> None:
    """Measure and print one JSON line at the end."""
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true")
    options.add_argument("--estimator", action="store_true")
    options.add_argument("--peak", type=int, default=0)
    chosen = options.parse_args()
    if chosen.peak:
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([base, peak_mb(chosen.peak)]))
        return
    keep_freed_memory()
    rounds, masks, batch = (3, 64, 16) if chosen.quick else (5, 256, 32)
    figures: dict[str, dict[str, object]] = {}
    for name, build in (("lite0", lite0), ("vit_b16", vit_b16)):
        print(f"{name}: {masks} masks a round, batches of {batch}", flush=True)
        value = speed_ratio(build(), batch, rounds, masks)
        figures[f"masked_over_forward_{name}"] = {"value": round(value, 3), "target": 0.9, "better": "higher"}
    print("memory:", flush=True)
    figures["memory_4096_over_256"] = {"value": round(memory_ratio(), 3), "target": 1.3, "better": "lower"}
    if chosen.estimator:
        share = equal_error_share(16384, 4096)
        figures["masks_for_equal_error"] = {"value": share, "target": 0.25, "better": "lower"}
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "torch": torch.__version__}
    print(json.dumps({"benchmark": "saliency", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
