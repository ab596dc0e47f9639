"""Which grey levels of a deep image become black and white: what the user may choose, and its name in keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import UsageError

# Centre and width in Hounsfield units, as radiologists set them.
PRESETS = {
    "brain": (40.0, 80.0),
    "soft_tissue": (50.0, 400.0),
    "lung": (-600.0, 1500.0),
    "bone": (400.0, 1800.0),
}
PERCENTILES = (0.5, 99.5)
FILE = "file"
WINDOW_HELP = f"{FILE}, {', '.join(PRESETS)}, percentiles, or CENTRE/WIDTH"


@dataclass(frozen=True, slots=True)
class Window:
    """The intensity window that the user chose. Its `str` is its name, which is part of the key of features."""

    kind: Literal["file", "preset", "percentiles", "fixed"]
    centre: float = 0.0
    width: float = 0.0
    name: str = FILE

    def __str__(self) -> str:
        return self.name


FROM_FILE = Window("file")


def parse_window(text: str) -> Window:
    """Return the window for `file`, a preset's name, `percentiles`, or `CENTRE/WIDTH`; raises UsageError."""
    if text in ("", FILE):
        return FROM_FILE
    if text in PRESETS:
        return Window("preset", *PRESETS[text], name=text)
    if text == "percentiles":
        return Window("percentiles", name=text)
    try:
        centre, width = (float(part) for part in text.split("/"))
    except ValueError:
        centre = width = math.nan
    if not (math.isfinite(centre) and math.isfinite(width) and width > 0):
        raise UsageError(f"{clean(text)!r} is not an intensity window", WINDOW_HELP)
    return Window("fixed", centre, width, name=f"{centre:g}/{width:g}")


def one_level_note(images: Sequence[str], total: int, window: str) -> str:
    """Return a sentence on images that come out in one grey level under a window, and what to choose instead."""
    count = f"{len(images):,} of {total:,} images {'is' if len(images) == 1 else 'are'} one grey level"
    hint = "look at them" if window == "percentiles" else "look at them, or try --window percentiles"
    return f"{count} under the window {window or FILE}, the first is {clean(images[0])}: {hint}"
