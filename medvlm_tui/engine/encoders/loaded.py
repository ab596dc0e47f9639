"""The encoder that a worker has loaded, kept from step to step."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.last_loaded import LastLoaded
from medvlm_tui.engine.encoders.registry import encoder_key, load_encoder

if TYPE_CHECKING:
    from medvlm_tui.engine.encoders.encoder import Encoder
    from medvlm_tui.engine.encoders.weights.record import Weights


class Encoders:
    """Encoders by what they are loaded for; the last one is kept and given out again."""

    def __init__(self, ready: Encoder | None = None) -> None:
        """An encoder that is `ready` is given out whatever is asked for."""
        self._ready = ready
        self._last: LastLoaded[Encoder] = LastLoaded()

    def get(self, spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> Encoder:
        """Return the encoder on its device; raises what `load_encoder` raises."""
        if self._ready is not None:
            return self._ready
        key = encoder_key(spec, weights, feature, precision)
        load = partial(load_encoder, spec, weights, feature, device, precision)
        return self._last.get((key, weights.path, device), load)

    def close(self) -> None:
        """Release the encoder, and its GPU memory."""
        self._last.forget()
