"""Features of a few images, without a dataset, a store or a plan: what `medvlm-tui encode` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import Sample
from medvlm_tui.core.windows import FILE
from medvlm_tui.engine import devices
from medvlm_tui.engine.datasets.pixels import read_sample
from medvlm_tui.engine.encoders.families import check_feature, load_encoder
from medvlm_tui.engine.encoders.resolve import resolve_model
from medvlm_tui.engine.encoders.weights import locate
from medvlm_tui.errors import MedvlmError, MissingInputError


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of the files."""

    features: NDArray[np.float32]
    """(n, d), not normalised, one row a file in the given order."""
    names: tuple[str, ...]
    pixels: tuple[NDArray[np.float32], ...] = ()
    """The model's input (3, H, W) of each file, where it was asked for."""


def encode_files(
    model: str,
    paths: Sequence[Path],
    *,
    weights: str = "",
    feature: str = "",
    with_pixels: bool = False,
    device: str = "auto",
    precision: str = "auto",
    offline: bool = False,
    window: str = FILE,
) -> Encoded:
    """Encode image files with a model of the catalog or of a prefix.

    Raises UsageError for unknown names, MissingInputError when weights or files are not there, ImageError for a
    file that cannot be read, WeightsError for a checkpoint that does not fit.
    """
    spec = resolve_model(model, load_models())
    feature = check_feature(spec, feature)
    if missing := [path for path in paths if not path.is_file()]:
        raise MissingInputError(f"{missing[0]} is not a file", "check the path")
    found = locate(spec, weights, FileDigests(), offline)
    machine = devices.choose(device, precision)
    encoder = load_encoder(spec, found, feature, machine.device, machine.precision)
    inputs = [encoder.preprocess(read_sample(Sample(path.name, path, ""), window)) for path in paths]
    size = devices.default_batch_size(machine.device, spec.preprocess.size_px)
    parts, _ = devices.with_back_off(lambda some: encoder.encode(torch.stack(list(some))), inputs, size)
    features: NDArray[np.float32] = torch.cat(parts).numpy() if parts else np.zeros((0, spec.dim(feature)), np.float32)
    if not np.isfinite(features).all():
        raise MedvlmError(f"{spec.id} gave features that are not finite", "use --precision fp32")
    pixels = tuple(tensor.numpy() for tensor in inputs) if with_pixels else ()
    return Encoded(features, tuple(str(path) for path in paths), pixels)


def save_encoded(encoded: Encoded, out: Path) -> None:
    """Write F.npz: features (n, d) float32, names (n,), and pixels_0, pixels_1, ... where they were asked for."""
    arrays = {f"pixels_{number}": array for number, array in enumerate(encoded.pixels)}
    with open(out, "wb") as file:
        np.savez(file, features=encoded.features, names=np.array(encoded.names), allow_pickle=False, **arrays)
