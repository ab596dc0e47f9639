"""The lesion masks that lie beside an image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoders import as_image, decoded
from medvlm_tui.engine.images.read_sample import read_sample


def lesion_masks(sample: Sample) -> Iterator[NDArray[np.bool_]]:
    """Yield each mask (H, W) of a sample in its own size, True inside; raises ImageError for one that is unreadable."""
    masks = [Sample(f"mask of {sample.id}", path, "") for path in (sample.mask, *sample.more_masks) if path is not None]
    for found in decoded(masks, read_sample, 1):
        yield np.asarray(as_image(found).convert("L")) > 127
