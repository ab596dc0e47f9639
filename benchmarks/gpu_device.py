"""The device of benchmarks/gpu.py: its networks, rates, made images, and a whole extraction step."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
from medvlm_tui.engine.extract import step
from medvlm_tui.engine.gpu_check.networks import encoder_of, noise_images
from medvlm_tui.engine.images.decoders import decoders
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.engine.step.resources import Resources
from medvlm_tui.stages.request import RunRequest


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
