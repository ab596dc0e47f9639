"""The typeface of everything that is drawn into images."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def font_path() -> Path:
    """Return where DejaVu Sans lies, as matplotlib ships it; matplotlib itself is not imported."""
    spec = find_spec("matplotlib")
    assert spec is not None, "matplotlib is a dependency"
    assert spec.origin is not None
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
