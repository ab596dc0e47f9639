"""Readers by window, by a name that a decoding process can import."""

from __future__ import annotations

from functools import partial

from medvlm_tui.engine.images.read_sample import read_sample

READERS = {window: partial(read_sample, window=window) for window in ("file", "percentiles", "40/400", "soft_tissue")}
