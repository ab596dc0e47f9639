"""The scale and bias of a model's cosines, as its checkpoint stores them."""

from __future__ import annotations

import math

from medvlm_tui.engine.encoders.checkpoints.tower import Tower
from medvlm_tui.engine.encoders.text.encoder import Scale


def stored_scale(
    whole: Tower, outer: str, name: str = "logit_scale", ceiling: float = math.inf, sigmoid: bool = False
) -> Scale:
    """Return the scale below `outer`: the exponential of what is stored, whose logarithm is kept in [0, ceiling].

    Without a `ceiling` nothing is clamped. The bias of the logits is read for a `sigmoid` alone.
    """
    logarithm = _number(whole, f"{outer}{name}")
    bias = _number(whole, f"{outer}logit_bias") if sigmoid else None
    if logarithm is None:
        return Scale(bias=bias)
    if ceiling < math.inf:
        logarithm = min(max(logarithm, 0.0), ceiling)
    return Scale(math.exp(logarithm), bias, stored=True)


def _number(whole: Tower, name: str) -> float | None:
    """Return a stored number, of shape () or (1,); None where it is absent, 0 in a draft, which reads nothing."""
    reader = whole.readers.get(name)
    if reader is None:
        return None
    tensor = reader()
    return 0.0 if tensor.is_meta or tensor.numel() != 1 else float(tensor.reshape(()).float())
