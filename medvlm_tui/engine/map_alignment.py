"""The maps of a dataset turned so that they can be compared, and the cell that each model's grid proposes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from medvlm_tui.core.events import Event, ResultReady, StepProgress
from medvlm_tui.core.procrustes import Turn, procrustes
from medvlm_tui.core.store import StoredResult
from medvlm_tui.engine import summaries
from medvlm_tui.engine.steps import Job, StepContext
from medvlm_tui.engine.versions import versions
from medvlm_tui.errors import MedvlmError


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Align the maps of one dataset: `job.step.params["maps"]` lists {model, key} of project results.

    A model's cells are turned to its proposed cell, and that to the first model's, so that all share one
    orientation. A map that is missing is left out; raises MedvlmError when all are.
    """
    begun = time.monotonic()
    by_model: dict[str, list[StoredResult]] = {}
    for item in job.step.params["maps"]:
        found = context.store.result(item["key"])
        if found is not None:
            by_model.setdefault(item["model"], []).append(found)
    if not by_model:
        raise MedvlmError(f"{job.step.dataset} has no map to align", "run the projection first")
    proposals = {model: maps[propose([m.record["scores"] for m in maps])] for model, maps in by_model.items()}
    reference = next(iter(proposals.values()))
    models: list[dict[str, Any]] = []
    for done, (model, maps) in enumerate(by_model.items()):
        context.check()
        yield StepProgress(job.step.id, done, len(by_model), unit="models")
        models.append(_of_model(model, maps, proposals[model], reference))
    record = {"models": models, "versions": versions("numpy"), "seconds": time.monotonic() - begun}
    context.store.put_result(job.step.key, {}, record)
    shown = summaries.of_record("grid", record)
    yield ResultReady(job.step.id, "grid", job.step.key, job.step.model, job.step.dataset, shown)


def propose(scores: Sequence[Mapping[str, float | None]]) -> int:
    """Return the position of the proposed cell: the highest mean of trustworthiness and continuity; ties the first.

    Neither reads a label, so that the proposal cannot favour a map for flattering the classes.
    """
    return int(np.argmax([_faithfulness(s) for s in scores]))


def _faithfulness(scores: Mapping[str, float | None]) -> float:
    known = [value for name in ("trustworthiness", "continuity") if (value := scores.get(name)) is not None]
    return float(np.mean(known)) if known else 0.0


def _of_model(
    model: str, maps: Sequence[StoredResult], proposed: StoredResult, reference: StoredResult
) -> dict[str, Any]:
    onto = _turn(reference, proposed)
    return {
        "model": model,
        "proposed": proposed.key,
        "cells": [_cell(found, proposed, onto) for found in maps],
    }


def _turn(reference: StoredResult, found: StoredResult) -> Turn:
    """Return the turn by the images that both maps show."""
    _, ours, theirs = np.intersect1d(reference.arrays["rows"], found.arrays["rows"], return_indices=True)
    if not len(ours):
        return Turn(np.eye(2), 1.0, np.zeros(2), 1.0)
    return procrustes(reference.arrays["xy"][ours], found.arrays["xy"][theirs])


def _cell(found: StoredResult, proposed: StoredResult, onto: Turn) -> dict[str, Any]:
    own = _turn(proposed, found)
    return {
        "key": found.key,
        "n_neighbors": found.record["n_neighbors"],
        "min_dist": found.record["min_dist"],
        "scores": dict(found.record["scores"]),
        "disparity": own.disparity,
        "disparity_of_models": onto.disparity,
        "rotation": (own.rotation @ onto.rotation).tolist(),
        "scale": own.scale * onto.scale,
        "shift": (onto.scale * own.shift @ onto.rotation + onto.shift).tolist(),
    }
