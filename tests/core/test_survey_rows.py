"""Rows of a survey on their way through JSON, and those of streams of the first release."""

from __future__ import annotations

import json

import pytest

from medvlm_tui.core.events import Log, Survey, from_json, from_line, to_json
from medvlm_tui.core.survey import Cell, DatasetRow, ModelRow, Reading

ROWS = Survey(
    models=(ModelRow("clip", "CLIP", "general", 512, state="ready"),),
    datasets=(DatasetRow("busi", "BUSI", images=780, classes=("a", "b"), verdicts={"paper": "v"}),),
    cells=(
        Cell(
            model="clip",
            dataset="busi",
            state="done",
            accuracy=0.75,
            keys={"table": "t", "probe": "p"},
            probes={
                "paper": Reading("p", 0.75, metrics={"accuracy": (0.75, None)}, intervals={"accuracy": (0.7, 0.8)})
            },
            maps=("m1", "m2"),
        ),
    ),
    device="cpu",
)
# As 0.1.0 told it: keys of results beside the other fields, null for what is not known, no `here`.
FIRST = {
    "type": "Survey",
    "models": [{"id": "old", "name": "old", "group": "", "dim": None, "state": "weights_missing", "hint": "get it"}],
    "datasets": [{"id": "busi", "classes": ["a"], "images": 9, "warnings": [], "gone": 1}],
    "cells": [
        {"model": "old", "dataset": "busi", "state": "done", "accuracy": 0.5, "std": None, "table": "t", "bias": "b"},
        {"model": "new", "dataset": "busi", "state": "weights_missing"},
    ],
}


def test_a_survey_comes_back_as_the_records_it_was_made_of() -> None:
    assert from_json(to_json(ROWS)) == ROWS


def test_a_survey_of_the_first_release_is_read() -> None:
    found = from_json(json.dumps(FIRST))
    assert isinstance(found, Survey)
    assert found.models == (ModelRow("old", "old", state="weights_missing", hint="get it"),)
    assert found.datasets == (DatasetRow("busi", images=9, classes=("a",)),)
    done, missing = found.cells
    assert (done.accuracy, done.std, done.keys, done.here) == (0.5, None, {"table": "t", "bias": "b"}, "ready")
    assert (missing.keys, missing.here) == ({}, "weights_missing")


@pytest.mark.parametrize(
    ("rows", "change"),
    [
        ("models", {"dim": "large"}),
        ("datasets", {"classes": "ab"}),
        ("cells", {"accuracy": "0.5"}),
        ("cells", {"probes": {"paper": {"key": "p", "metrics": {"accuracy": 0.5}}}}),
        ("cells", {"model": None}),
    ],
)
def test_a_row_of_another_shape_costs_the_event_alone(rows: str, change: dict[str, object]) -> None:
    damaged = {**FIRST, rows: [{**FIRST[rows][0], **change}]}  # type: ignore[dict-item]
    with pytest.raises(ValueError, match=r"(Row|Cell): "):
        from_json(json.dumps(damaged))
    assert isinstance(from_line(json.dumps(damaged)), Log)
    assert isinstance(from_line(json.dumps({**FIRST, "models": ["x"]})), Log)
