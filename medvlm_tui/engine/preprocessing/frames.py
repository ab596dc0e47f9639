"""Changes of resize and crop: the model's own preprocessing with one field another."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from medvlm_tui.core.specs import Interpolation, PreprocessSpec, ResizeMode
from medvlm_tui.stages.params.preprocessing import Variant

_OTHER = "the model's preprocessing resizes in a way of its own, which this change does not apply to"


def reframed(spec: PreprocessSpec, variant: Variant) -> PreprocessSpec | str:
    """Return the preprocessing under a change whose place is `frame`, or why it does not apply to this model."""
    if spec.resize not in ("short_side", "squash", "pad_square"):
        return _OTHER
    made = _made(spec, variant)
    return f"it is the model's own preprocessing: {variant.name}" if made == spec else made


def _made(spec: PreprocessSpec, variant: Variant) -> PreprocessSpec:
    if variant.kind == "resize":
        # Squashed and padded images have the model's size: nothing of them is cropped.
        target = spec.resize_px if variant.value == "short_side" else spec.size_px
        return replace(spec, resize=cast(ResizeMode, variant.value), resize_px=target)
    if variant.kind == "interpolation":
        return replace(spec, interpolation=cast(Interpolation, variant.value))
    if variant.kind == "antialias":
        return replace(spec, antialias=False)
    return replace(spec, resize="short_side", resize_px=round(spec.size_px / float(variant.value)))
