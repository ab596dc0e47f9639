"""Make `release.tar.xz`: the store and the events.jsonl of a small run of every stage, by the code as it stands.

    python -m tests.engine.run.pinned.make_release

Two tiny image towers with random weights, on a small phantom and on a list of discs with two images per patient. The
protocol `grouped` fails on the phantom, which has no groups, so that the events have failed and skipped steps. The
archive shows what earlier releases left on disk: do not make it anew when the code changes; add a second one where a
later release stores something else.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages import STAGE_NAMES
from medvlm_tui.stages.protocols import PROTOCOLS
from medvlm_tui.stages.request import RunRequest

HERE = Path(__file__).parent
SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
PER_CLASS = 10
KEPT = ("store/format.json", "store/journal", "store/sealed", "runs")

REQUEST = RunRequest(
    models=("local:small", "local:other"),
    datasets=("phantom", "patients"),
    data={"patients": "patients/list.csv"},
    stages=STAGE_NAMES,
    protocols=PROTOCOLS,
    tags="tags.csv",
    device="cpu",
    precision="fp32",
    offline=True,
    phantom_per_class=PER_CLASS,
    out="report",
    options={
        "folds": 3,
        "umap_neighbors": (5, 10),
        "rise_masks": 64,
        "rise_cells": 4,
        "rise_fill": "blur",
        "rise_estimator": "reduced",
        "bias_train": 6,
        "bias_test": 2,
        "bias_masks": 16,
        "bias_images": 1,
    },
)


def tower(folder: Path, seed: int) -> None:
    """Save a CLIP of 28 x 28 pixels with random weights."""
    torch.manual_seed(seed)
    text = {**SMALL, "vocab_size": 16, "max_position_embeddings": 8}
    vision = {**SMALL, "image_size": 28, "patch_size": 14}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=6)
    transformers.CLIPModel(config).eval().save_pretrained(folder)
    transformers.CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=28).save_pretrained(folder)


def make(place: Path) -> None:
    """Make models, data and a run below `place`, which is the current folder: no path of this machine is stored."""
    tower(place / "small", 0)
    tower(place / "other", 1)
    names = discs(place / "patients")
    (place / "tags.csv").write_text("path,tag,value\n" + "".join(f"{n},half,{i % 2}\n" for i, n in enumerate(names)))
    engine = Engine(Workspace(Path("workspace")))
    try:
        _, finished = engine.run(REQUEST, "batch", lambda: False, lambda said: None)
    finally:
        engine.close()
    with Store(Path("workspace/store")):
        pass  # SQLite writes its log back into the index when the last process closes it
    assert (finished.exit_code, finished.failed) == (1, 2), finished


def discs(folder: Path) -> list[str]:
    """Write red and blue discs and their list, two of each patient; return the names of the images."""
    folder.mkdir()
    rows, down, across = ["path,label,group"], *np.indices((48, 48))
    for number in range(2 * PER_CLASS):
        label = ("red", "blue")[number // PER_CLASS]
        pixels = np.full((48, 48, 3), 40 + 2 * number, np.uint8)
        inside = np.hypot(across - 20 - number % 9, down - 24) < 8 + number % 7
        pixels[inside, 0 if label == "red" else 2] = 200 - 3 * number
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
        rows.append(f"{number:02d}.png,{label},p{number // 2}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    return [row.partition(",")[0] for row in rows[1:]]


def pack(workspace: Path, archive: Path) -> None:
    """Pack what a release leaves, without owners and times, readable by its owner alone."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        member.mode = 0o700 if member.isdir() else 0o600
        return member

    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for name in KEPT:
            packed.add(workspace / name, name, filter=plain)


if __name__ == "__main__":
    work = Path(tempfile.gettempdir()) / "medvlm-release"
    work.mkdir()
    try:
        os.chdir(work)
        make(work)
        pack(work / "workspace", HERE / "release.tar.xz")
    finally:
        os.chdir(HERE)
        shutil.rmtree(work)
