"""Task of a decoding process, and the result that a reader may return: imported by both ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.specs import PreprocessSpec, Sample


@dataclass(frozen=True, slots=True)
class Reduced:
    """Data that a reader keeps of a file where that is not the whole image."""

    pixels: NDArray[np.uint8]
    """Of any shape."""
    texts: Mapping[str, str]


Read = Callable[[Sample], Image.Image | Reduced]
"""A function of a module, or a partial of one: it is sent to another process. Raises ImageError."""


@dataclass(frozen=True, slots=True)
class Task:
    """One file to read."""

    sample: Sample
    read: Read
    spec: PreprocessSpec | None
    """Framing of the image; None sends back all that was read."""
    slot: int
    """Place of the framed image in the ring."""
    also: tuple[PreprocessSpec, ...] = ()
    """Further framings that are made of what was read, for other models; sent back after the answer."""
