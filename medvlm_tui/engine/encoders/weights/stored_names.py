"""The names of a checkpoint's tensors, without torch: what a folder's features are depends on them."""

from __future__ import annotations

import json
from pathlib import Path

from medvlm_tui.engine.encoders.checkpoints.file_kinds import kind_of
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.torch_archives import DAMAGE, read_slots
from medvlm_tui.engine.encoders.weights.location import checkpoint_in

_PROJECTIONS = ("visual_projection.weight", "visual.proj")


def has_projection(folder: Path, named: bool) -> bool:
    """Say whether a CLIP checkpoint has the layer that leads to the text's space.

    Its tensors decide; `named`, which its configuration says, where there is no checkpoint or its head cannot be read.
    """
    path = checkpoint_in(folder)
    names = tensor_names(path) if path is not None else ()
    return any(name.endswith(_PROJECTIONS) for name in names) if names else named


def tensor_names(path: Path) -> tuple[str, ...]:
    """Return the names of a checkpoint's tensors; none for a file whose head does not say them."""
    try:
        kind = kind_of(path)
        if kind == "index":
            return tuple(map(str, json.loads(path.read_bytes())["weight_map"]))
        return tuple(read_header(path) if kind == "safetensors" else read_slots(path))
    except (OSError, *DAMAGE):
        return ()
