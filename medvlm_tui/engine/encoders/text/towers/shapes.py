"""What the names and shapes of stored tensors say, of which nothing is read."""

from __future__ import annotations

from medvlm_tui.engine.encoders.checkpoints.load_report import reporting
from medvlm_tui.engine.encoders.checkpoints.tower import Tower
from medvlm_tui.errors import WeightsError


def blocks_below(tower: Tower, prefix: str) -> int:
    """Return how many numbered blocks a tower has below `prefix`, which ends with a dot."""
    return len({name[len(prefix) :].partition(".")[0] for name in tower.readers if name.startswith(prefix)})


def shape_of(tower: Tower, name: str) -> tuple[int, ...]:
    """Return the shape of a tensor in a tower; raises WeightsError where it is not there."""
    if name not in tower.readers:
        raise WeightsError(f"{tower.path} has no {tower.prefix}{name}", "check that the file belongs to this model")
    with reporting(draft=True):
        return tuple(tower.readers[name]().shape)
