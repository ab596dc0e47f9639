"""An encoder made of a torch network: device, precision, batches. Every family returns one of these."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.specs import ModelSpec, Precision, PreprocessSpec
from medvlm_tui.engine.encoders.checkpoints.load_report import LoadReport
from medvlm_tui.engine.encoders.encoder import NotFiniteError
from medvlm_tui.engine.encoders.launched import OnTheWay
from medvlm_tui.engine.images.framing import by_pillow
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.errors import MedvlmError

Forward = Callable[[torch.Tensor], torch.Tensor]
# Patches and a convolutional stem; what has more is a CNN, whose kernels want the channels last.
_TRANSFORMER_CONVOLUTIONS = 8
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NetworkEncoder:
    """An image tower in eval mode on its device; `forward` picks the feature out of the network's output."""

    def __init__(
        self,
        spec: ModelSpec,
        feature: str,
        network: torch.nn.Module,
        device: str,
        precision: Precision,
        forward: Forward | None = None,
        channels_last: bool | None = None,
    ) -> None:
        self.spec = spec
        self.feature = feature
        self.device = device
        self.precision: Precision = precision
        self.report = LoadReport()
        self.parameters = sum(parameter.numel() for parameter in network.parameters())
        if channels_last is None:
            convolutions = sum(isinstance(module, torch.nn.Conv2d) for module in network.modules())
            channels_last = convolutions > _TRANSFORMER_CONVOLUTIONS
        self._format = torch.channels_last if channels_last else torch.contiguous_format
        network.eval().requires_grad_(False)
        self.network = network.to(device).to(memory_format=self._format)
        self._forward: Forward = forward or self.network
        self._preprocess = Preprocess(spec.preprocess)

    @property
    def framing(self) -> PreprocessSpec | None:
        """The spec when Pillow alone does all of `preprocess` but the scaling of its bytes, None otherwise."""
        own = type(self).preprocess is not NetworkEncoder.preprocess
        return None if own or not by_pillow(self.spec.preprocess) else self.spec.preprocess

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Return the model's input (3, H, W) float32 of an RGB image."""
        return self._preprocess(image)

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Return what the model sees, (H, W, 3) 0 to 255, from its input (3, H, W)."""
        return self._preprocess.display(pixels)

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (n, d) float32 on the CPU of a batch (n, 3, H, W); raises NotFiniteError."""
        features = self._computed(pixels)
        # Found on the device, which is free of cost there; in fp16 a value above 65,504 is infinite.
        finite = torch.isfinite(features).all(dim=1)
        copied = features.to("cpu", torch.float32)
        if not bool(finite.all()):
            raise self._not_finite(finite)
        return copied

    def launch(self, pixels: torch.Tensor) -> OnTheWay:
        """Begin to encode a batch (n, 3, H, W) on a GPU; reading the features waits for them."""
        return OnTheWay(self._computed(pixels), self._not_finite)

    def _computed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (n, d) on the device, in the precision of the last operation."""
        with torch.inference_mode(), self._autocast():
            moved = pixels.to(self.device, non_blocking=True, memory_format=self._format)
            features = self._forward(moved)
        if features.shape != (len(pixels), self.spec.dim(self.feature)):
            raise MedvlmError(
                f"{self.spec.id} gave features of shape {tuple(features.shape)} for {len(pixels)} images, "
                f"its entry says dimension {self.spec.dim(self.feature)}",
                "correct `features` in the model's entry",
            )
        return features

    def at(self, precision: Precision) -> NetworkEncoder:
        """Return an encoder of the same network that computes in another precision; the weights are shared."""
        other = copy.copy(self)
        other.precision = precision
        return other

    def _not_finite(self, finite: torch.Tensor) -> NotFiniteError:
        rows = (~finite).nonzero()[:, 0].tolist()
        return NotFiniteError(
            f"in {self.precision} {self.spec.id} gives features that are not finite for {len(rows)} images",
            "run with --precision fp32; if it stays, the weights are damaged",
            tuple(rows),
        )

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = _AUTOCAST.get(self.precision)
        if dtype is None:
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=dtype)
