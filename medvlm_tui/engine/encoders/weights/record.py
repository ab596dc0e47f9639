"""The result of looking for the weights of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medvlm_tui.engine.encoders.config_fields import read_fields

State = Literal["present", "missing", "gated", "wrong"]


@dataclass(frozen=True, slots=True)
class Weights:
    """The result of looking for a model's weights."""

    state: State
    path: Path | None = None
    """The checkpoint file, or the index of a sharded one."""
    files: tuple[Path, ...] = ()
    """The checkpoint, the configuration that defines the network, and the shards that hold the tower."""
    digest: str = ""
    """Of the tensors that the model may read and of the configuration; empty while they are missing."""
    hint: str = ""
    """Advice for when they are not there."""

    def config(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object of a configuration file beside the checkpoint, None when there is none.

        Raises WeightsError for a file that is no JSON object.
        """
        path = next((file for file in self.files if file.name == name and file != self.path), None)
        found = None if path is None else read_fields(path)
        return None if found is None else dict(found.values)
