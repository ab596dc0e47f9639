"""Everything that a package with an encoder of its own imports (docs/models.md, "A model of your own").

A package names a `Load` in the entry point group `medvlm_tui.encoders`. These names stay where they are when modules
behind them move; nothing else of the program is meant for other packages. Imports torch.
"""

from __future__ import annotations

from medvlm_tui.core.specs import ModelSpec, Precision, PreprocessSpec
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.encoder import Encoder, Load, NotFiniteError
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import MedvlmError, WeightsError

__all__ = [
    "Encoder",
    "Load",
    "MedvlmError",
    "ModelSpec",
    "NetworkEncoder",
    "NotFiniteError",
    "Precision",
    "PreprocessSpec",
    "Tower",
    "Weights",
    "WeightsError",
    "building",
    "load_strictly",
    "read_tower",
]
