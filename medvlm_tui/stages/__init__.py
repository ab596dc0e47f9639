"""The analyses: one record for each, in one tuple that every other part of the program iterates over.

To add an analysis: write its record in a module of this room, add it to `STAGES`, and give it a room on each floor
that it needs (`engine/NAME` computes, `report/NAME` writes, `tui/NAME` shows).
"""

from __future__ import annotations

from typing import Any

from medvlm_tui.stages.bias import BIAS, BIAS_GROUPS
from medvlm_tui.stages.check import CHECK
from medvlm_tui.stages.comparison import PAIRS, RANKING, STATISTICS
from medvlm_tui.stages.extract import EXTRACT
from medvlm_tui.stages.language import ALIGNMENT, READING, ZERO_SHOT
from medvlm_tui.stages.preprocessing import PREPROCESSING, PREPROCESSING_RANKS
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.projection import GRID, PROJECT
from medvlm_tui.stages.references import REFERENCES
from medvlm_tui.stages.repeat import REPEAT
from medvlm_tui.stages.report import REPORT
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.saliency import SALIENCY
from medvlm_tui.stages.separability import SEPARABILITY
from medvlm_tui.stages.similarity import SIMILARITY
from medvlm_tui.stages.stage import Scope, Stage
from medvlm_tui.stages.verdict import VERDICT

STAGES: tuple[Stage[Any], ...] = (
    CHECK, EXTRACT, PROBE, REPEAT, ZERO_SHOT, PROJECT, GRID, SEPARABILITY, REFERENCES, SIMILARITY, ALIGNMENT, SALIENCY,
    BIAS, READING, BIAS_GROUPS, PREPROCESSING, PREPROCESSING_RANKS, STATISTICS, PAIRS, RANKING, VERDICT, REPORT,
)  # fmt: skip
"""In the order of a plan: a stage stands after those whose results it reads."""
STAGE_NAMES = tuple(stage.kind for stage in STAGES if stage.name == stage.kind)
"""The words of `--stages`."""
EVERY_STAGE = tuple(stage.kind for stage in STAGES if stage.name == stage.kind and not stage.on_demand)
"""Those of a first look."""
CELL_STAGES = tuple(kind for kind in EVERY_STAGE if any(s.kind == kind and s.scope is Scope.CELL for s in STAGES))
"""Those of a first look that work on one model and one dataset."""
FIRST_LOOK = {name: value for stage in STAGES for name, value in stage.first_look.items()}
"""Values of options for a first look at everything."""
_DEMO = {name: value for stage in STAGES for name, value in stage.demo.items()}
_BY_KIND = {stage.kind: stage for stage in STAGES}
VERSIONS = {stage.kind: stage.version for stage in STAGES}
"""Kind -> version of its numbers."""


def stage_of(kind: str) -> Stage[Any]:
    """Return the stage of a step's kind; raises KeyError when there is none."""
    return _BY_KIND[kind]


def is_current(kind: str, version: int) -> bool:
    """Return whether a result of this version is what its stage computes today; version 0, which the first journals
    left out, is 1."""
    return VERSIONS.get(kind) == (version or 1)


def with_needs(names: tuple[str, ...]) -> set[str]:
    """Return the words of `--stages` with those that they need."""
    return set(names).union(*(stage.needs for stage in STAGES if stage.name in names))


def with_every_stage(request: RunRequest) -> RunRequest:
    """Return the request for every stage of a first look: with few masks, and few images in the bias lab.

    The paper's 4,096 masks and the lab's own maps take longer than all the rest; who wants them asks for the stage, or
    names the number: what the request names stays as it is.
    """
    return request.changed({"stages": EVERY_STAGE, **FIRST_LOOK, **request.options})


def as_demo(request: RunRequest) -> RunRequest:
    """Return the request for every stage with what the demo shows: a lab whose classifier reads words, beside one for
    which words told nothing, and enough images that an interval says something.

    What the request names stays as it is.
    """
    return request.changed({"stages": EVERY_STAGE, **_DEMO, **request.options})
