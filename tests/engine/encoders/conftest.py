"""Small images of odd shapes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.specs import ModelSpec

SHAPES = ((97, 141), (160, 90), (64, 64), (33, 250))


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    """Smooth colour fields with sharp edges, so that a wrong filter or a shifted crop shows."""
    rng = np.random.default_rng(0)
    made = []
    for height, width in SHAPES:
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)).copy()
        image[height // 3 : height // 2, width // 4 :] = 255 - image[height // 3 : height // 2, width // 4 :]
        made.append(Image.fromarray(image))
    return made


@pytest.fixture
def catalog() -> dict[str, ModelSpec]:
    return load_models()
