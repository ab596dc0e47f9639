"""Extraction's speed against the bare model: `python benchmarks/extraction.py [--quick] [--device cpu]`.

F  images a second of the bare forward pass on ready tensors
models_per_decode  decoding time of three models of one framing, one by one, over that of the three in one run
D  images a second of decoding and preprocessing the same JPEG files alone
P  images a second of the whole path, from files to the sealed table in a store of its own
limit  min(F, D) on a GPU; 1 / (1/F + 1/D) on a CPU, where both share the cores

Each with all cores, in turn, medians of the rounds. The model is loaded before, as a run does once for all of its
datasets, and the decoding processes are started before and kept, as a run keeps them (0.2 s while the model loads).
A ViT-B/16 with random weights, and efficientnet_lite0.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.events import ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, ModelSpec, PreprocessSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.libraries import timm_
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.extract import batch_sizes
from medvlm_tui.engine.extract import batches as loading
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.extract.framed_images import FramedImages, FramesOfStep
from medvlm_tui.engine.images.decoders import decoders, end_decoders
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.frames_wanted import FramesWanted, framing_of
from medvlm_tui.engine.step.freed_memory import keep_freed_memory
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.engine.step.resources import Resources
from medvlm_tui.stages.request import RunRequest

SIZE = PreprocessSpec(224, 256, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
MODELS = {
    "vit_b16": ModelSpec(
        "vit_b16", "ViT-B/16", "general", "timm", "vit_base_patch16_224", "bring", SIZE, {"pooled": 768}
    ),
    "lite0": ModelSpec("lite0", "Lite0", "general", "timm", "tf_efficientnet_lite0", "bring", SIZE, {"pooled": 1280}),
}


def make_dataset(folder: Path, count: int) -> Dataset:
    """Write JPEG files of 512 x 512 like a scan: blobs under noise, 60 to 90 kB each."""
    draw = np.random.default_rng(0)
    samples = []
    for number in range(count):
        blobs = Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8)).resize((512, 512))
        noisy = np.asarray(blobs, np.float32) + draw.normal(0, 6, (512, 512, 1)).astype(np.float32)
        path = folder / f"{number:04}.jpg"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        samples.append(Sample(path.name, path, "ab"[number % 2], digest=of_file(path)))
    return Dataset(DatasetSpec("made", "Made", "none", "class_folders"), folder, "default", tuple(samples), ("a", "b"))


class Bench:
    """One encoder on one device over one dataset."""

    def __init__(self, name: str, dataset: Dataset, machine: devices.Device, folder: Path) -> None:
        self.spec, self.dataset, self.machine, self.folder = MODELS[name], dataset, machine, folder
        torch.manual_seed(0)
        network = timm_.build(self.spec.architecture, {})
        self.encoder = NetworkEncoder(
            self.spec, "pooled", network, machine.device, machine.precision, channels_last=name == "lite0"
        )
        self.runs = 0
        with Store(folder / f"probe-{name}") as store:
            self.batch = batch_sizes.chosen(self._job(0), store, self.encoder, machine)

    def forward(self) -> float:
        """F: the network on a tensor that lies on the device already."""
        pixels = torch.randn(self.batch, 3, 224, 224, device=self.machine.device)
        batches = max(1, len(self.dataset.samples) // self.batch)
        self.encoder.encode(pixels)
        began = time.perf_counter()
        for _ in range(batches):
            self.encoder.encode(pixels)
        return batches * self.batch / (time.perf_counter() - began)

    def decode(self) -> float:
        """D: the same files through the decoders alone, all submitted as fast as they go."""
        samples = self.dataset.samples
        workers = loading.default_workers(self.machine.device, samples)
        slots = self.batch + loading.ahead_of(self.machine.device, self.batch)
        with decoders(workers, slots, 224) as pool:
            began = time.perf_counter()
            submitted = 0
            for _ in samples:
                while submitted < len(samples) and pool.waiting < slots:
                    pool.submit(samples[submitted], read_sample, SIZE)
                    submitted += 1
                pool.take(lambda: None)
            taken = time.perf_counter() - began
        return len(samples) / taken

    def batches(self, kept: AbstractContextManager[FramesOfStep | None]) -> float:
        """Return the seconds until every batch of the dataset is ready on the device; none is encoded."""
        samples, size, device = self.dataset.samples, self.batch, self.machine.device
        spans = [samples[begin : begin + size] for begin in range(0, len(samples), size)]
        ahead = loading.ahead_of(device, size)
        with decoders(loading.default_workers(device, samples), size + ahead, 224) as pool, kept as images:
            began = time.perf_counter()
            for _ in loading.batches(spans, read_sample, self.encoder, pool, ahead, lambda: None, images):
                pass
            return time.perf_counter() - began

    def models_per_decode(self) -> float:
        """Return the decoding time of three models of one framing: one by one, over those of one run."""
        apart = sum(self.batches(nullcontext()) for _ in range(3))
        images, together = FramedImages(), 0.0
        for left in (2, 1, 0):
            wanted = [FramesWanted("made", framing_of(SIZE), left)] if left else []
            together += self.batches(images.for_step("made", "file", SIZE, wanted))
        return apart / together

    def path(self, images: int = 0) -> float:
        """P: a whole extraction step into an empty store, on the loaded model; of the first `images`, 0 for all."""
        self.runs += 1
        job = self._job(self.batch)
        if images:
            job = replace(job, dataset=replace(self.dataset, samples=self.dataset.samples[:images]))
        with Store(self.folder / f"{self.spec.id}-{self.runs}") as store:
            began = time.perf_counter()
            context = StepContext(store, lambda: False, Resources({Encoders: Encoders(self.encoder)}))
            events = list(extract.run(job, context))
            taken = time.perf_counter() - began
            table = store.tables.read(job.step.key)
        assert isinstance(events[-1], ResultReady)
        assert table is not None
        assert len(table.ids) == len(job.dataset.samples)
        return len(job.dataset.samples) / taken

    def _job(self, batch: int) -> CellJob:
        key = EncoderKey(self.spec.id, "random", SIZE.digest, "pooled", self.machine.precision, "1")
        request = RunRequest(device=self.machine.device, precision=self.machine.precision, batch_size=batch)
        step = Step("extract:bench", "extract", self.spec.id, "made", {}, "table")
        return CellJob(step, request, self.dataset, self.spec, Weights("present"), key)


@contextmanager
def images(count: int) -> Iterator[tuple[Path, Dataset]]:
    """Make the files in a folder that goes away."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "images").mkdir()
        yield Path(name), make_dataset(Path(name) / "images", count)


def measure(bench: Bench, rounds: int) -> dict[str, float]:
    """Measure F, D and P in turn; medians over rounds, the ratio too. F is the mean of before and after P."""
    bench.path(32)  # everything is loaded, started and in the page cache
    seen: dict[str, list[float]] = {"F": [], "D": [], "P": [], "limit": [], "ratio": []}
    before = bench.forward()
    for _ in range(rounds):
        d, p, after = bench.decode(), bench.path(), bench.forward()
        f, before = statistics.mean((before, after)), after  # so that a machine's drift cancels
        limit = min(f, d) if bench.machine.device.startswith("cuda") else 1 / (1 / f + 1 / d)
        for name, value in zip(seen, (f, d, p, limit, p / limit), strict=True):
            seen[name].append(value)
    return {name: statistics.median(values) for name, values in seen.items()}


def main() -> None:
    """Run and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="128 images of lite0 alone")
    parser.add_argument("--model", choices=tuple(MODELS), help="this one alone")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    keep_freed_memory()
    machine = devices.choose(options.device, options.precision)
    figures: dict[str, dict[str, object]] = {}
    with images(128 if options.quick else 256) as (folder, dataset):
        for name in (options.model,) if options.model else ("lite0",) if options.quick else ("lite0", "vit_b16"):
            # A ViT-B/16 does a few images a second on two cores.
            some = (
                replace(dataset, samples=dataset.samples[:128])
                if machine.device == "cpu" and name == "vit_b16"
                else dataset
            )
            bench = Bench(name, some, machine, folder)
            found = measure(bench, 3)
            shown = "  ".join(f"{key} {value:.3f}" for key, value in found.items())
            print(
                f"{name}, {machine.name}, {machine.precision}, batch {bench.batch}, {len(some.samples)} images: {shown}"
            )
            if name == "lite0":
                shared = statistics.median(bench.models_per_decode() for _ in range(3))
                print(f"three models of one framing: {shared:.2f} times the decoding of one run")
                figures["models_per_decode"] = {"value": shared, "target": 2.5, "better": "higher"}
            figures[f"path_over_limit_{name}"] = {"value": found["ratio"], "target": 0.9, "better": "higher"}
            end_decoders()
    cpus = os.cpu_count()
    machine_record = {
        "cpus": cpus, "platform": platform.platform(), "python": platform.python_version(), "device": machine.name,
        "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip
    print(json.dumps({"benchmark": "extraction", "machine": machine_record, "figures": figures}))


if __name__ == "__main__":
    main()
