"""Encoders that a model's features are compared with: its own network with random weights, and mirrored images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.specs import MIRRORED, RANDOM_WEIGHTS, EncoderKey, ModelSpec, Precision, PreprocessSpec
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.encoders.checkpoints.load_report import reporting
from medvlm_tui.engine.encoders.checkpoints.tensor_files import kept_open
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.registry import family_load
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.step.device_memory import naming_shortage
from medvlm_tui.errors import WeightsError

if TYPE_CHECKING:
    from PIL import Image

_DRAWING = ("torch", "timm", "transformers", "open_clip_torch", "torchvision")


def mirrored_key(encoder: EncoderKey) -> EncoderKey:
    """Return the key of an encoder's features of mirrored images."""
    reading = of_record([encoder.preprocess_digest, "mirrored"])
    return replace(encoder, model=f"{encoder.model}{MIRRORED}", preprocess_digest=reading)


def untrained_key(encoder: EncoderKey, seed: int) -> EncoderKey:
    """Return the key of the features of an encoder's network with random weights.

    The libraries' releases are part of it: the same seed draws other weights where they change.
    """
    drawn = of_record(["random weights", seed, versions(*_DRAWING)])
    return replace(encoder, model=f"{encoder.model}{RANDOM_WEIGHTS}", weights_digest=drawn)


class MirroredEncoder:
    """An encoder that is given every image turned left to right."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self.spec, self.feature, self.device = inner.spec, inner.feature, inner.device
        self.parameters, self.report = inner.parameters, inner.report

    @property
    def framing(self) -> PreprocessSpec | None:
        """That of the encoder."""
        return self._inner.framing

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Return the encoder's input (3, H, W) of an RGB image, not yet mirrored."""
        return self._inner.preprocess(image)

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Return what the model sees, (H, W, 3) 0 to 255, of an input that is not yet mirrored."""
        return self._inner.display(pixels.flip(-1))

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the features (n, d) of a batch (n, 3, H, W), each image mirrored; raises NotFiniteError."""
        return self._inner.encode(pixels.flip(-1))


def load_untrained(
    spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision, seed: int
) -> Encoder:
    """Return the model's own network with the initial values that its library draws, seeded; no weight is read.

    Names and shapes of the checkpoint are still compared, since configurations describe the network. Parameters that
    a family only makes, because the checkpoint replaces them, are drawn from a normal distribution.
    Raises WeightsError for a family that loads weights in a way of its own.
    """
    load = family_load(spec)
    with torch.random.fork_rng(devices=[]), kept_open(), reporting(untrained=True) as report:
        torch.manual_seed(seed)
        with naming_shortage(f"{spec.id} with random weights ({precision})", device):
            encoder: Encoder = load(spec, weights, feature, device, precision)
    if report.kept < encoder.parameters:
        raise WeightsError(
            f"{spec.id}: its family loads weights in a way of its own, so that no network with random ones can be made",
            "load them with `load_strictly` of medvlm_tui.plugin",
        )
    return encoder
