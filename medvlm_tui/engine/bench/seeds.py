"""Seeds of what is drawn into images: by image and change alone, so that every model and run gets the same."""

from __future__ import annotations

import hashlib


def seed_of(seed: int, image: str, change: str) -> tuple[int, ...]:
    """Return the seed of one image under one change; the order of the images and the model play no part."""
    digest = hashlib.sha256(f"{image}\0{change}".encode()).digest()
    return (seed, *(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)))
