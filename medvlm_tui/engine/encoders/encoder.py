"""Protocol of an encoder, whichever library its network comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import ModelSpec, Precision, PreprocessSpec
from medvlm_tui.engine.encoders.checkpoints.load_report import LoadReport
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import MedvlmError

if TYPE_CHECKING:
    import torch
    from PIL import Image


class NotFiniteError(MedvlmError):
    """Features that are NaN or infinite; raised by `encode`."""

    def __init__(self, message: str, hint: str = "", rows: tuple[int, ...] = ()) -> None:
        super().__init__(message, hint)
        self.rows = rows
        """Positions in the batch."""

    def __reduce__(self) -> tuple[type[MedvlmError], tuple[Any, ...]]:
        return type(self), (self.message, self.hint, self.rows)


class Encoder(Protocol):
    """An image tower on a device."""

    spec: ModelSpec
    feature: str
    device: str
    parameters: int
    """Of the tower, for the record."""
    report: LoadReport
    """Tensors of the checkpoint that it is made of."""

    @property
    def framing(self) -> PreprocessSpec | None:
        """Return the part of `preprocess` that a process without torch can do: resize and crop by this spec. Only the
        bytes then remain to be scaled (`Preprocess.batch`). None where the encoder prepares images in its own way."""

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Return the model's input (3, H, W) float32 of an RGB image, normalised as its authors do."""

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Return what the model sees, (H, W, 3) 0 to 255, from its input (3, H, W)."""

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return features (n, d) float32 on the CPU of a batch (n, 3, H, W), not normalised.

        Raises NotFiniteError.
        """


class Load(Protocol):
    """Protocol of a family: the `load` of a module of this folder, or of a package's."""

    def __call__(self, spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> Any:
        """Build the network, load the weights strictly, return an Encoder in eval mode; raises WeightsError."""
