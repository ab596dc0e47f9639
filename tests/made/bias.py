"""The bias lab on a small made encoder: images, features, a probe, and the bench to measure them on."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.params.probe import ProbeParams
from tests.made.encoders import having
from tests.made.jobs import Bench, table_of

SIDE = 64
SEEN = 32  # what the model of made_jobs sees
PARAMS = BiasParams(words=("IIII", "MMMM"), height=0.2, levels=(0.0, 1.0), rise_masks=256, rise_images=4)
# What the killed run is asked.
KILLED = replace(PARAMS, controls=("box",), rise_masks=64, rise_images=1)


class StubEncoder:
    """Reads the mean of the middle, and with `reads` also blocks of the lower left corner, where words stand."""

    device = "cpu"

    def __init__(self, reads):
        self.reads = reads
        self.seen = 0
        self.dies_after = None

    def preprocess(self, image):
        pixels = torch.from_numpy(np.array(image.resize((SEEN, SEEN)), dtype=np.float32))
        return pixels.permute(2, 0, 1) / 127.5 - 1

    def display(self, pixels):
        return ((pixels.permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()

    def encode(self, pixels):
        self.seen += len(pixels)
        if self.dies_after is not None and self.seen > self.dies_after:
            os.kill(os.getpid(), signal.SIGKILL)
        middle = torch.nn.functional.avg_pool2d(pixels[:, :1, 12:20, 12:20], 4).flatten(1)
        corner = torch.nn.functional.avg_pool2d(pixels[:, :1, 24:30, 2:26], 2).flatten(1)
        return torch.cat([middle, corner * (3.0 if self.reads else 0.0) + 0.01, middle**2], dim=1)


def bench_of(folder, name, encoder):
    """A bench whose probe is done on 80 made images of two classes; made again it finds what is there."""
    rng, codes = np.random.default_rng(0), np.arange(80) % 2
    paths, rows = {}, []
    for i, code in enumerate(codes):
        pixels = rng.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[24:40, 24:40] += np.uint8(20 * code)
        pixels[24:40, 24:40] += rng.integers(0, 40, dtype=np.uint8)
        paths[f"i{i}"] = folder / f"{i}.png"
        Image.fromarray(pixels).save(paths[f"i{i}"])
        rows.append(encoder.encode(encoder.preprocess(Image.fromarray(pixels))[None])[0].numpy())
    bench = Bench(folder / name, table_of(np.stack(rows), codes, names=("a", "b")), paths=paths)
    bench.run("probe", ProbeParams())
    bench.context = replace(bench.context, resources=having(encoder))
    return bench


if __name__ == "__main__":
    # A run that kills itself (SIGKILL) after so many images.
    stub = StubEncoder(True)
    here = bench_of(Path(sys.argv[1]), "killed", stub)
    stub.seen, stub.dies_after = 0, int(sys.argv[2])
    here.run("bias", KILLED)
