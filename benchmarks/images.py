"""Decoding and preprocessing against a plain PIL + torchvision DataLoader: the same files, the same pixels.

Both sides decode to the input tensors of `efficientnet_lite0` in as many processes and as far ahead, in turn, several
rounds; the processes of both are started before. Files: the Brain MR images of MEDVLM_TEST_DATA where they are,
phantoms otherwise. The check of the same files is timed once beside, without a store.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.datasets.check.findings import AuditOptions, audit
from medvlm_tui.engine.datasets.layouts.phantom import make_phantom
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.extract import batches
from medvlm_tui.engine.images.decoder_pool import DecoderPool
from medvlm_tui.engine.images.decoders import decoders, end_decoders
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.engine.images.read_sample import read_sample

BATCH = 64
AHEAD = 2 * BATCH
DATA = Path(os.environ.get("MEDVLM_TEST_DATA") or Path(__file__).parents[1] / ".." / "shared" / "data")
PREPROCESS = load_models()["efficientnet_lite0"].preprocess


class Files(Dataset[torch.Tensor]):
    """What one would write without this program."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.transform = transforms.Compose(
            [
                transforms.Resize(PREPROCESS.resize_px, InterpolationMode.BICUBIC),
                transforms.CenterCrop(PREPROCESS.size_px),
                transforms.ToTensor(),
                transforms.Normalize(PREPROCESS.mean, PREPROCESS.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB"))


class Framing:
    """As much of an encoder as reading needs."""

    framing = PREPROCESS
    device = "cpu"
    preprocess = staticmethod(Preprocess(PREPROCESS))


def ours(samples: list[Sample], pool: DecoderPool) -> tuple[float, torch.Tensor]:
    """Return seconds and the first batch."""
    spans = [samples[begin : begin + BATCH] for begin in range(0, len(samples), BATCH)]
    started = time.perf_counter()
    drawn = batches.batches(spans, read_sample, Framing(), pool, AHEAD, lambda: None)
    made = [batches.scaled(batch.pixels, Framing()) for batch in drawn]
    return time.perf_counter() - started, made[0]


def plain(source: DataLoader[torch.Tensor]) -> tuple[float, torch.Tensor]:
    """Return seconds and the first batch."""
    started = time.perf_counter()
    made = list(source)
    return time.perf_counter() - started, made[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="128 images, three rounds")
    options = parser.parse_args()
    torch.set_num_threads(1)
    catalog = load_datasets()
    with tempfile.TemporaryDirectory() as folder:
        if (DATA / "brain_mri").is_dir():
            dataset = open_dataset(catalog["brain_mr"], DATA / "brain_mri")
        else:
            dataset = open_dataset(catalog["phantom"], make_phantom(Path(folder) / "phantom", per_class=120))
        samples = list(dataset.samples)[:: 4 if options.quick else 1]
        workers = batches.default_workers("cpu", samples)
        print(f"{len(samples)} images of {dataset.spec.name}, {workers} workers, batches of {BATCH}")
        files = Files([sample.path for sample in samples])
        source = DataLoader(files, batch_size=BATCH, num_workers=workers, persistent_workers=True)
        mine, theirs = [], []
        with decoders(workers, BATCH + AHEAD, PREPROCESS.size_px) as pool:
            for number in range(4 if options.quick else 6):
                seconds, first = ours(samples, pool)
                plain_seconds, plain_first = plain(source)
                torch.testing.assert_close(first, plain_first, rtol=0, atol=1e-6)
                if number == 0:
                    continue  # the processes start in this round
                mine.append(len(samples) / seconds)
                theirs.append(len(samples) / plain_seconds)
                print(f"round {number}: {mine[-1]:.0f} images/s here, {theirs[-1]:.0f} by the DataLoader")
        end_decoders()
        report = audit(dataset.spec, dataset.root, options=AuditOptions(workers=workers))
        print(f"check: {report.images} images in {report.seconds:.1f} s")
    ratio = statistics.median(mine) / statistics.median(theirs)
    machine = {"cores": workers, "platform": platform.platform(), "torch": torch.__version__}
    figures = {"decode_over_dataloader": {"value": round(ratio, 3), "target": 0.95, "better": "higher"}}
    print(json.dumps({"benchmark": "images", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
