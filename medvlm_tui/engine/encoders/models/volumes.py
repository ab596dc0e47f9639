"""Encoders of CT volumes: what they share beside their networks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.registry import volume_refusal
from medvlm_tui.engine.images.volume import prepare
from medvlm_tui.engine.images.volume_file import Volume
from medvlm_tui.errors import MedvlmError


class VolumeEncoder(NetworkEncoder):
    """A network that is given volumes (n, 1, ...) instead of images."""

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Refuse: a slice without spacing and Hounsfield units is not what the network was made for."""
        raise volume_refusal(self.spec)

    def preprocess_volume(self, volume: Volume) -> torch.Tensor:
        """Return the model's input (1, *size) float32 of a scan in Hounsfield units."""
        if self.spec.volume is None:
            raise MedvlmError(f"{self.spec.id} has no volume preprocessing", "give its entry a `volume` table")
        return prepare(volume, self.spec.volume)

    def display(self, pixels: torch.Tensor) -> NDArray[np.uint8]:
        """Refuse: a volume is no picture."""
        raise volume_refusal(self.spec)
