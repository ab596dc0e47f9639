"""The process that decodes single images for the screens: JSON lines in, JSON lines out.

    {"number": 7, "dataset": "brain_mr", "image": "Training/a.png", "side_px": 64, "request": {...}}
    {"number": 8, ..., "burned_in": {"word": "LEFT", "kind": "text", ...}}   the same image with a word in it
    {"number": 7, "shape": [64, 48, 3], "pixels": "<base64 of uint8 RGB>"}
    {"number": 7, "error": "...", "hint": "..."}

Foreign bytes are decoded here and not in the screens' process, under a memory cap, so that a file that kills its
decoder costs one picture. Loads neither torch nor a screen.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.digests import FileDigests, of_record
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, Sample
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay
from medvlm_tui.engine.images.decoder import MEMORY_BYTES, allow_time, cap
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.run.inputs import find_datasets
from medvlm_tui.errors import ImageError, MedvlmError, MissingInputError
from medvlm_tui.stages.request import RunRequest

Answer = dict[str, Any]
MOST_PX = 512
NEEDS_FOLDER = "the picture needs the data folder: o on home"


class Pictures:
    """The datasets of one workspace, each read once for each way of asking."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._digests = FileDigests(workspace.store / "file_digests.json")
        self._samples: dict[str, Mapping[str, Sample]] = {}

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Return the picture that was asked for, or why there is none."""
        try:
            return self._picture(asked)
        except MedvlmError as error:
            return {"error": error.message, "hint": error.hint}
        except MemoryError:
            return {"error": f"it needs more than {MEMORY_BYTES >> 30} GiB to be read", "hint": "scale it down first"}
        except Exception as error:
            logging.getLogger(__name__).exception("picture")
            return {"error": f"{type(error).__name__}: {error}", "hint": "the traceback is in pictures.log"}

    def _picture(self, asked: Mapping[str, Any]) -> Answer:
        request = RunRequest.from_record({**asked["request"], "datasets": [asked["dataset"]]})
        sample = self._of(request).get(asked["image"])
        if sample is None and request.limit:  # a result of a run that took more images
            sample = self._of(replace(request, limit=0)).get(asked["image"])
        if sample is None:
            raise ImageError(f"{clean(asked['image'])} is not in {clean(asked['dataset'])} any more", "look at --data")
        allow_time()
        image = read_sample(sample, request.window)
        if "burned_in" in asked:
            image = burned_in(image, asked["burned_in"])
        side = max(1, min(int(asked["side_px"]), MOST_PX))
        # A picture as large as it is shown: reduced with a margin first, which reads a fraction of a large image.
        image.thumbnail((side, side), reducing_gap=3.0)
        return {"shape": [image.height, image.width, 3], "pixels": base64.b64encode(image.tobytes()).decode("ascii")}

    def _of(self, request: RunRequest) -> Mapping[str, Sample]:
        name = of_record([request.datasets, request.data, request.label, request.part, request.limit])
        if name not in self._samples:
            dataset = self._found(request)
            self._samples[name] = {sample.id: sample for sample in dataset.samples}
        return self._samples[name]

    def _found(self, request: RunRequest) -> Dataset:
        """Return the dataset; raises ImageError that asks for the folder where none is given."""
        (name,) = request.datasets
        if name not in request.data and name not in load_datasets():
            raise ImageError(NEEDS_FOLDER, f"{clean(name)}: no folder is known for it")
        (found,) = find_datasets(request, self._workspace, self._digests, None)
        if isinstance(found.problem, MissingInputError):
            raise ImageError(NEEDS_FOLDER, found.problem.message)
        if found.dataset is None:
            raise found.problem or ImageError(f"{found.spec.id} cannot be read", "")
        return found.dataset


def burned_in(image: Image.Image, asked: Mapping[str, Any]) -> Image.Image:
    """Return an image as the bias lab draws into it; where asked for, the overlay's place alone.

    `asked` are the fields of `picture_client.BurnedIn`; raises UsageError for an overlay that cannot be drawn.
    """
    spec = OverlaySpec(
        str(asked["word"]), str(asked["kind"]), str(asked["position"]), float(asked["height"]),
        float(asked["contrast"]), seed=int(asked["seed"]),
    )  # fmt: skip
    found = draw_overlay(image, spec)
    shown = found.image if asked["drawn"] else image.convert("RGB")
    if not asked["closer"]:
        return shown
    left, top, right, bottom = found.box
    room = max(1, (bottom - top) // 3)
    return shown.crop((max(0, left - room), max(0, top - room),
                       min(image.width, right + room), min(image.height, bottom + room)))  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser(prog="medvlm_tui.service.pictures")
    parser.add_argument("--workspace", type=Path, required=True)
    options = parser.parse_args(argv)
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    cap(resource.RLIMIT_AS, MEMORY_BYTES)
    pictures = Pictures(Workspace(options.workspace))
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps({"number": asked["number"], **pictures.answer(asked)}) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
