"""Features of a few images or volumes, without a dataset, a store or a plan: what `medvlm-tui encode` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.atomic_files import EXPORTED_FILE, EXPORTED_FOLDER, make_directory, replacing
from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import ModelSpec, Sample
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.models.volumes import VolumeEncoder
from medvlm_tui.engine.encoders.registry import check_feature, load_encoder, volume_refusal
from medvlm_tui.engine.encoders.resolve.names import has_prefix, resolve_model
from medvlm_tui.engine.encoders.resolve.saved_folders import as_stored
from medvlm_tui.engine.encoders.weights.download import can_fetch
from medvlm_tui.engine.encoders.weights.downloads import Say, download_missing
from medvlm_tui.engine.encoders.weights.location import locate
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.images.decoder_pool import Decoded
from medvlm_tui.engine.images.decoders import as_image, decoded
from medvlm_tui.engine.images.decoding_task import Read, Reduced
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.images.volume_file import is_volume, read_volume_bytes, volume_of
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_memory import is_out_of_memory, with_back_off
from medvlm_tui.errors import ImageError, MedvlmError, MissingInputError, UsageError

_OF_THE_DEVICE = getattr(torch, "AcceleratorError", ())


@dataclass(frozen=True, slots=True)
class Where:
    """From where and how a model is loaded."""

    weights: str = ""
    tokenizer: str = ""
    """Folder of the tokenizer's files; empty: beside the weights, or in the hub's cache."""
    device: str = "auto"
    precision: str = "auto"
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Encoded:
    """Result of encoding the files."""

    features: NDArray[np.float32]
    """(n, d), not normalised, one row per file in the given order."""
    names: tuple[str, ...]
    report: str = ""
    """Tensors of the checkpoint that were used, in words."""
    warning: str = ""
    """Which GPUs were not used, and why."""
    pixels: tuple[NDArray[np.float32], ...] = ()
    """The model's input of each file, (3, H, W) of an image and (1, ...) of a volume, where it was asked for."""


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
    say: Say | None = None,
) -> Encoded:
    """Encode image files, or volumes, with a model of the catalog or of a prefix.

    Weights that are not here are downloaded when `say` is there to tell of it, and `offline` does not forbid it.

    Raises UsageError for unknown names, MissingInputError when weights or files are not there, ImageError for a
    file that cannot be read, WeightsError for a checkpoint that does not fit.
    """
    spec = resolve_model(model, load_models())
    feature = check_feature(spec, feature)
    check_files(spec, paths)
    where = Where(weights, device=device, precision=precision, offline=offline)
    encoder, machine = load_image_encoder(spec, feature, where, say)
    inputs = read_inputs(encoder, paths, window)
    features = features_of(encoder, inputs)
    pixels = tuple(tensor.numpy() for tensor in inputs) if with_pixels else ()
    report = "; ".join(filter(None, (str(encoder.report), spec.assumption if has_prefix(model) else "")))
    return Encoded(features, tuple(str(path) for path in paths), report, machine.warning, pixels)


def load_image_encoder(spec: ModelSpec, feature: str, where: Where, say: Say | None) -> tuple[Encoder, devices.Device]:
    """Return a model's image tower and the device that it is on; raises as `encode_files` does.

    `auto` is fp32 here: a few files need no speed, and nothing has measured whether the model's features bear less.
    """
    found = found_weights(spec, where.weights, where.offline, say)
    machine = devices.choose(where.device, "fp32" if where.precision == "auto" else where.precision)
    encoder = load_encoder(as_stored(spec, found), found, feature, machine.device, machine.precision)
    return encoder, machine


def features_of(encoder: Encoder, inputs: Sequence[torch.Tensor]) -> NDArray[np.float32]:
    """Return the features (n, d) of a model's inputs, in batches that fit into the device's memory."""
    spec = encoder.spec
    if not inputs:
        return np.zeros((0, spec.dim(encoder.feature)), np.float32)
    size = 1 if spec.volume else devices.default_batch_size(encoder.device, spec.preprocess.size_px)
    parts, _ = with_back_off(partial(_features, encoder), inputs, size)
    features: NDArray[np.float32] = torch.cat(parts).numpy()
    return features


def _features(encoder: Encoder, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the features of a batch; raises MedvlmError where the network does not take such inputs."""
    try:
        return encoder.encode(torch.stack(list(inputs)))
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error) or isinstance(error, _OF_THE_DEVICE):
            raise
        shape = " x ".join(map(str, inputs[0].shape))
        reason = clean(f"{type(error).__name__}: {error}")[:200]
        message = f"{encoder.spec.id}: its network does not take inputs of {shape}: {reason}"
        raise MedvlmError(message, "its configuration and its preprocessing do not belong together") from error


def found_weights(spec: ModelSpec, override: str, offline: bool, say: Say | None) -> Weights:
    """Return where the weights are, after what may be fetched has been; without a store there is no key, and so no
    digest. Raises MissingInputError where a download fails."""
    found = locate(spec, override, None, offline)
    fetchable = found.state in ("missing", "gated") and can_fetch(spec) and not (override or offline)
    if say is None or not fetchable:
        return found
    if problem := download_missing([spec], say).get(spec.id):
        raise problem
    return locate(spec, override, None, offline)


def check_files(spec: ModelSpec, paths: Sequence[Path]) -> None:
    """Refuse what is no file, images for an encoder of volumes, and volumes for one of images.

    Raises MissingInputError, UsageError; called before any weight is read.
    """
    if missing := [path for path in paths if not path.is_file()]:
        raise MissingInputError(f"{missing[0]} is not a file", "check the path")
    for path in paths:
        if spec.volume is not None and not is_volume(path):
            error = volume_refusal(spec)
            raise UsageError(f"{clean(path.name)}: {error.message}", error.hint)
        if spec.volume is None and is_volume(path):
            raise UsageError(
                f"{clean(path.name)} is a volume, and {spec.id} encodes images", "merlin and ct_clip take volumes"
            )


def read_inputs(encoder: Encoder, paths: Sequence[Path], window: str) -> list[torch.Tensor]:
    """Return the model's input of each file, read in decoding processes; raises the first ImageError."""
    volumes = isinstance(encoder, VolumeEncoder)
    read: Read = read_volume_bytes if volumes else partial(read_sample, window=window)
    found = decoded([Sample(path.name, path, "") for path in paths], read, 1 if volumes else 0)
    return [_input(encoder, answer) for answer in found]


def _input(encoder: Encoder, answer: Decoded) -> torch.Tensor:
    if isinstance(answer, ImageError):
        raise answer
    if isinstance(encoder, VolumeEncoder):
        assert isinstance(answer, Reduced)
        return encoder.preprocess_volume(volume_of(answer))
    return encoder.preprocess(as_image(answer))


def save_encoded(encoded: Encoded, out: Path) -> None:
    """Write F.npz: features (n, d) float32, names (n,), and pixels_0, pixels_1, ... where they were asked for.

    The file is the old one or the complete new one; raises OSError.
    """
    arrays = {f"pixels_{number}": array for number, array in enumerate(encoded.pixels)}
    make_directory(out.parent, EXPORTED_FOLDER)
    with replacing(out, EXPORTED_FILE) as file:
        np.savez(file, features=encoded.features, names=np.array(encoded.names), allow_pickle=False, **arrays)
