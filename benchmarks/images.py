"""Decoding and preprocessing against a plain PIL + torchvision DataLoader: the same files, the same pixels.

Both sides decode to the input tensors of `efficientnet_lite0` with as many workers (threads here, processes there), in
turn, several rounds; each side's start belongs to its time. Files: the Brain MR images of MEDVLM_TEST_DATA where they
are, phantoms otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.datasets.base import open_dataset
from medvlm_tui.engine.datasets.phantom import make_phantom
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.engine.images.loading import default_workers, prepared
from medvlm_tui.engine.images.preprocess import Preprocess

BATCH = 64
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


def ours(samples: list[Sample], workers: int) -> tuple[float, torch.Tensor]:
    """Return seconds and the first batch."""
    preprocess = Preprocess(PREPROCESS)
    started = time.perf_counter()
    first = torch.empty(0)
    with closing(prepared(samples, lambda s: preprocess(read_sample(s)), workers, ahead=2 * BATCH)) as source:
        while drawn := [tensor for _, tensor in islice(source, BATCH) if isinstance(tensor, torch.Tensor)]:
            batch = torch.stack(drawn)
            first = first if len(first) else batch
    return time.perf_counter() - started, first


def plain(samples: list[Sample], workers: int) -> tuple[float, torch.Tensor]:
    """Return seconds and the first batch."""
    started = time.perf_counter()
    first = torch.empty(0)
    for batch in DataLoader(Files([s.path for s in samples]), batch_size=BATCH, num_workers=workers):
        first = first if len(first) else batch
    return time.perf_counter() - started, first


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
        workers = default_workers()
        print(f"{len(samples)} images of {dataset.spec.name}, {workers} workers, batches of {BATCH}")
        mine, theirs = [], []
        for number in range(3 if options.quick else 5):
            seconds, first = ours(samples, workers)
            plain_seconds, plain_first = plain(samples, workers)
            torch.testing.assert_close(first, plain_first, rtol=0, atol=1e-6)
            mine.append(len(samples) / seconds)
            theirs.append(len(samples) / plain_seconds)
            print(f"round {number + 1}: {mine[-1]:.0f} images/s here, {theirs[-1]:.0f} by the DataLoader")
    ratio = statistics.median(mine) / statistics.median(theirs)
    machine = {"cores": workers, "platform": platform.platform(), "torch": torch.__version__}
    figures = {"decode_over_dataloader": {"value": round(ratio, 3), "target": 0.95, "better": "higher"}}
    print(json.dumps({"benchmark": "images", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
