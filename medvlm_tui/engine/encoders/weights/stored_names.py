"""The names of a checkpoint's tensors, without torch: what a folder's features are depends on them."""

from __future__ import annotations

import json
from pathlib import Path

from medvlm_tui.engine.encoders.checkpoints.file_kinds import kind_of
from medvlm_tui.engine.encoders.checkpoints.safetensors_files import read_header
from medvlm_tui.engine.encoders.checkpoints.state_dicts import plain_names
from medvlm_tui.engine.encoders.checkpoints.torch_archives import DAMAGE, read_slots
from medvlm_tui.engine.encoders.weights.location import checkpoint_in


def holds(folder: Path, endings: tuple[str, ...], otherwise: bool) -> bool:
    """Return whether a folder's checkpoint has a tensor whose name ends so.

    Its tensors decide; `otherwise`, what its configuration says, where there is none or its head cannot be read.
    """
    path = checkpoint_in(folder)
    names = tensor_names(path) if path is not None else ()
    return any(name.endswith(endings) for name in names) if names else otherwise


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a folder's tensors by name, without what compiled and distributed training put before it.

    Empty where there is no checkpoint, its head cannot be read, or it lies in several files.
    """
    path = checkpoint_in(folder)
    try:
        kind = "index" if path is None else kind_of(path)
        if path is None or kind == "index":
            return {}
        found = read_header(path) if kind == "safetensors" else read_slots(path)
    except (OSError, *DAMAGE):
        return {}
    return {plain: tuple(found[held].shape) for plain, held in plain_names(found).items()}


def tensor_names(path: Path) -> tuple[str, ...]:
    """Return the names of a checkpoint's tensors; none for a file whose head does not say them."""
    try:
        kind = kind_of(path)
        if kind == "index":
            return tuple(map(str, json.loads(path.read_bytes())["weight_map"]))
        return tuple(read_header(path) if kind == "safetensors" else read_slots(path))
    except (OSError, *DAMAGE):
        return ()
