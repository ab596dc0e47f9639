"""The bias lab: what words burned into images do to a model's features and decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.gathered import FEWEST, over_cells
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.probe import on_linear_probe
from medvlm_tui.stages.records.bias import BiasGroupsRecord, BiasRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    yield on_linear_probe(view.cell, asdict(view.request.of(BiasParams)))


def _summary(record: BiasRecord) -> Mapping[str, Any]:
    return {name: record.by_name[name, "text"].value for name in ("shift", "flip_rate")}


# Words larger than annotations usually are, and easy to tell apart.
_DEMO = {
    "bias_words": ("RIGHT", "LT", "AX", "BR"), "bias_size": 0.16, "bias_train": 40, "bias_test": 10, "bias_masks": 256,
    "bias_images": 4, "bias_removed": 0,
}  # fmt: skip

BIAS = Stage(
    kind="bias",
    version=2,
    title="bias lab",
    scope=Scope.CELL,
    record=BiasRecord,
    work="medvlm_tui.engine.bias.step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract", "probe"),
    needs_classes=True,
    options=BiasParams,
    first_look={"bias_train": 8, "bias_test": 4, "bias_masks": 0},
    demo=_DEMO,
    outputs="medvlm_tui.report.bias.files",
    screen="bias",
)


def _groups_drafts(view: View) -> Iterator[Draft]:
    labs = view.of("bias")
    labs = [(cell, step) for cell, step in labs if not step.blocked]
    if len({step.model for _, step in labs}) >= FEWEST:
        yield over_cells({"seed": view.request.seed}, labs)


def _groups_summary(record: BiasGroupsRecord) -> Mapping[str, Any]:
    return {"models": len(record.models), "tests": len(record.groups)}


BIAS_GROUPS = Stage(
    kind="bias_groups",
    version=2,
    title="groups of models in the bias lab",
    scope=Scope.RUN,
    record=BiasGroupsRecord,
    work="medvlm_tui.engine.bias.groups_step",
    drafts=_groups_drafts,
    summary=_groups_summary,
    asked_by="bias",
    gathers="cells",
    fewest=FEWEST,
    screen="bias",
)
