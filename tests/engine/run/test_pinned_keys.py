"""The key of every step of two requests, compared with `pinned/step_keys.json`.

A key that moves makes every store compute that step again. Where a step's numbers change, raise its version and write
the file anew: `python -m tests.engine.run.test_pinned_keys`. The difference then shows which steps moved.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.settings.options import OPTIONS, all_values
from medvlm_tui.stages import STAGE_NAMES
from medvlm_tui.stages.protocols import PROTOCOLS
from medvlm_tui.stages.request import RunRequest

PINNED = Path(__file__).parent / "pinned" / "step_keys.json"
MODELS = ("clip_b16", "biomedclip", "vgg16")
STAYS = {
    "models",
    "datasets",
    "data",
    "weights",
    "tokenizers",
    "label",
    "part",
    "feature",
    "limit",
    "precision",
    "device",
}
"""Options that the rich request leaves alone: what they name is made by this file."""
NO_KEY = {"batch_size", "workers", "out", "strict", "offline", "demo", "phantom_per_class"}
"""Options that change no key."""


def plain(folder: Path) -> RunRequest:
    """Return a request for every stage with its options at their defaults, on files made below `folder`."""
    return RunRequest(
        stages=STAGE_NAMES,
        models=MODELS,
        datasets=("folders", "listed"),
        data={"folders": str(_class_folders(folder / "folders")), "listed": str(_list(folder / "listed"))},
        weights={name: str(_checkpoint(folder / "weights" / name)) for name in MODELS},
        tokenizers={"biomedclip": str(_vocabulary(folder / "vocabulary"))},
        device="cpu",
        precision="fp32",
        offline=True,
    )


def rich(folder: Path) -> RunRequest:
    """Return a request for every stage and protocol with every option off its default."""
    tags = folder / "tags.csv"
    base = plain(folder)
    rows = [f"a/{n}.bmp,plane,{'axial' if n % 2 else 'coronal'}\n" for n in range(4)]
    tags.write_text("path,tag,value\n" + "".join(rows) + "b/0.bmp,plane,axial\nb/1.bmp,site,left\n")
    return RunRequest(
        models=base.models,
        datasets=base.datasets,
        data=base.data,
        weights=base.weights,
        tokenizers=base.tokenizers,
        prompts=str(_prompts(folder / "prompts.toml")),
        device="cpu",
        precision="fp32",
        stages=STAGE_NAMES,
        protocols=PROTOCOLS,
        seed=7,
        seeds=2,
        tags=str(tags),
        window="percentiles",
        offline=True,
        options={
            "folds": 4,
            "hold_out": 0.25,
            "umap_neighbors": (5, 50),
            "umap_min_dist": (0.25, 0.75),
            "umap_max_points": 1000,
            "rise_masks": 64,
            "rise_cells": 5,
            "rise_images": "a/0.bmp,b/1.bmp",
            "rise_estimator": "reduced",
            "rise_explain": ("*",),
            "rise_fill": "blur",
            "rise_stop_error": 0.1,
            "bias_words": ("IN", "OUT"),
            "bias_position": "top",
            "bias_size": 0.1,
            "bias_contrast": 0.5,
            "bias_controls": ("box", "lines"),
            "bias_train": 8,
            "bias_test": 4,
            "bias_masks": 32,
            "bias_images": 1,
            "bias_removed": 1,
            "cover_fills": ("blur",),
            "cover_side": 0.3,
            "cover_train": 5,
            "cover_test": 3,
            "prep_variants": ("jpeg:10", "invert"),
            "prep_train": 5,
            "prep_test": 3,
        },
    )


REQUESTS = {"plain": plain, "rich": rich}


def step_keys(name: str, folder: Path) -> dict[str, str]:
    """Return the key of every step of a request, by the step's id."""
    folder.mkdir(parents=True, exist_ok=True)
    with Store(folder / "store") as store:
        plan = lay_out(REQUESTS[name](folder), Workspace(folder), store, "run").plan
    return {step.id: step.key for step in plan.steps}


def _vocabulary(folder: Path) -> Path:
    """Write a tokenizer's one file, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    return folder


def _prompts(file: Path) -> Path:
    """Write class prompts for one of the datasets."""
    file.write_text(
        '[datasets.folders]\ntemplates = ["an image of {}"]\n[datasets.folders.classes]\na = ["the first"]\n'
    )
    return file


def _class_folders(folder: Path) -> Path:
    for label in ("a", "b"):
        for number in range(4):
            _image(folder / label / f"{number}.bmp", len(label + label * number) * 16 + number)
    return folder


def _list(folder: Path) -> Path:
    """Write a list of images with patients, of which the protocol `grouped` takes care."""
    rows = [f"{n}.bmp,{'benign' if n < 3 else 'malignant'},p{n // 2}" for n in range(6)]
    for number in range(6):
        _image(folder / f"{number}.bmp", 100 + number)
    (folder / "list.csv").write_text("\n".join(["path,label,group", *rows]) + "\n")
    return folder / "list.csv"


def _image(path: Path, grey: int) -> None:
    """Write a BMP of 4 x 4 pixels of 24 bits, whose bytes no library decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = bytes([grey, 255 - grey, grey // 2]) * 16
    numbers = (
        (54 + len(pixels), 4),
        (0, 4),
        (54, 4),
        (40, 4),
        (4, 4),
        (4, 4),
        (1, 2),
        (24, 2),
        (0, 4),
        (len(pixels), 4),
    )
    header = b"BM" + b"".join(value.to_bytes(size, "little") for value, size in numbers)
    path.write_bytes(header.ljust(54, b"\0") + pixels)


def _checkpoint(folder: Path) -> Path:
    """Write a safetensors file with one tensor of the image tower and one of the text tower."""
    names = ("visual.weight", "vision_model.weight", "text.weight")
    head = {n: {"dtype": "F32", "shape": [2], "data_offsets": [8 * i, 8 * i + 8]} for i, n in enumerate(names)}
    packed = json.dumps(head, sort_keys=True).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "made.safetensors"
    path.write_bytes(len(packed).to_bytes(8, "little") + packed + folder.name.encode().ljust(24, b"\0")[:24])
    return path


@pytest.mark.parametrize("name", REQUESTS)
def test_no_key_has_moved(name: str, tmp_path: Path) -> None:
    expected = json.loads(PINNED.read_text())[name]
    found = step_keys(name, tmp_path)
    assert list(found) == list(expected), "the plan has other steps, or another order"
    moved = [step for step, key in found.items() if key != expected[step]]
    assert not moved, f"keys that moved: {moved}"


def test_the_rich_request_leaves_no_option_at_its_default(tmp_path: Path) -> None:
    asked = rich(tmp_path)
    same = {name for name, value in all_values(asked).items() if value == OPTIONS[name].default}
    assert same - STAYS - NO_KEY == set()


def test_every_step_of_the_rich_request_has_a_key(tmp_path: Path) -> None:
    found = step_keys("rich", tmp_path)
    assert {step for step, key in found.items() if not key} == {"report"}
    kinds = {step.partition(":")[0] for step in found}
    # The images have no lesion masks: nothing is covered.
    asked = {*STAGE_NAMES} - {"background"}
    assert kinds == asked | {"grid", "pairs", "ranking", "bias_groups", "preprocessing_ranks", "reading", "repeat"}


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        made = {name: step_keys(name, Path(place) / name) for name in REQUESTS}
    PINNED.parent.mkdir(exist_ok=True)
    PINNED.write_text(json.dumps(made, indent=1) + "\n")
