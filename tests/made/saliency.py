"""RISE on a small made network: images, features, a probe, and the bench to explain them on."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medvlm_tui.engine.step.job import StepContext
from medvlm_tui.stages.params.probe import ProbeParams
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest
from tests.made.encoders import having
from tests.made.jobs import Bench, table_of

SIDE = 32
DIM = 4
# What the killed run is asked; small batches, so that it dies inside a range.
KILLED = (SaliencyParams(masks=700, cells=5), RunRequest(batch_size=64))


class StubEncoder:
    """Four fixed nonlinear readings of a 32 x 32 image; counts what it is given."""

    device = "cpu"

    def __init__(self, dies_after=None):
        self.dies_after = dies_after
        self.weights = torch.randn(3 * SIDE * SIDE, DIM, generator=torch.Generator().manual_seed(0)) / 30
        self.seen = 0
        self.largest_batch = 0

    def preprocess(self, image):
        pixels = torch.from_numpy(np.array(image.resize((SIDE, SIDE)), dtype=np.float32))
        return pixels.permute(2, 0, 1) / 127.5 - 1

    def display(self, pixels):
        return ((pixels.permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()

    def encode(self, pixels):
        self.seen += len(pixels)
        self.largest_batch = max(self.largest_batch, len(pixels))
        if self.dies_after is not None and self.seen > self.dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.tanh(pixels.flatten(1) @ self.weights)


def bench_of(folder, name, encoder, cancelled=lambda: False):
    """A bench whose probe is done on 40 made images of two classes; made again it finds what is there."""
    rng = np.random.default_rng(0)
    paths, rows = {}, []
    codes = np.arange(40) % 2
    for i, code in enumerate(codes):
        pixels = rng.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[8:20, 8:20] += np.uint8(100 * code)
        paths[f"i{i}"] = folder / f"{i}.png"
        Image.fromarray(pixels).save(paths[f"i{i}"])
        rows.append(encoder.encode(encoder.preprocess(Image.fromarray(pixels))[None])[0].numpy())
    bench = Bench(folder / name, table_of(np.stack(rows), codes, names=("a", "b")), paths=paths)
    bench.run("probe", ProbeParams())
    bench.context = StepContext(bench.store, cancelled, having(encoder))
    return bench


if __name__ == "__main__":
    # A run that kills itself (SIGKILL) after so many images.
    stub = StubEncoder()
    here = bench_of(Path(sys.argv[1]), "killed", stub)
    stub.seen, stub.dies_after = 0, int(sys.argv[2])
    here.run("saliency", *KILLED)
