"""An engine that was recorded: events for each command, replayed without torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from medvlm_tui.core import events
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.specs import EncoderKey, FeatureTable
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.survey import Cell
from medvlm_tui.service.client import EngineStoppedError
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.records.projection import MapRecord
from medvlm_tui.stages.records.saliency import ExplainedImage, SaliencyRecord

Row = Mapping[str, Any]
FIELDS = {each.name for each in fields(Cell)}
MODELS = (
    ("medsiglip", "MedSigLIP", "medical", 1152, True, "HAI-DEF", "weights_missing"),
    ("biomedclip", "BiomedCLIP", "medical", 512, False, "MIT", "weights_missing"),
    ("conch", "CONCH", "modality_specific", 512, True, "CC-BY-NC-ND-4.0", "weights_missing"),
    ("resnet50", "ResNet50", "general", 2048, False, "BSD-3-Clause", "ready"),
    ("efficientnet_lite0", "EfficientNet-Lite0", "general", 1280, False, "Apache-2.0", "ready"),
)
DATASETS = (
    ("brain_mr", "Brain MR", "MR", 2870, ["glioma", "meningioma", "no_tumor", "pituitary"], "MIT", "data_missing"),
    ("breakhis", "BreakHis", "histology", 7909, ["benign", "malignant"], "CC-BY-4.0", "data_missing"),
    ("phantom", "Phantom (SYNTHETIC)", "ultrasound", 0, ["none", "smooth", "spiculated"], "Apache-2.0", "ready"),
)
MODEL, DATASET = "efficientnet_lite0", "phantom"
CLASSES = ("none", "smooth", "spiculated")
KINDS = ("extract", "probe", "project", "saliency", "statistics")
KEYS = {"extract": "table-1", "probe": "probe-1", "project": "map-1", "saliency": "rise-1", "statistics": "stat-1"}


def survey(
    done: bool = False, data: Mapping[str, str] | None = None, extra_model: str = "", name: str = ""
) -> events.Survey:
    """A survey; `done` has the phantom's results, `name` renames things with a hostile name."""
    models = [
        dict(
            zip(("id", "name", "group", "dim", "gated", "licence", "state"), row, strict=True), hint=f"get it: {row[0]}"
        )
        for row in MODELS
    ]
    datasets = [
        dict(
            zip(("id", "name", "modality", "images", "classes", "licence", "state"), row, strict=True),
            hint="download it",
            synthetic=row[0] == "phantom",
            warnings=[],
            published_n=row[3],
        )
        for row in DATASETS
    ]
    for row in datasets:
        if row["id"] in (data or {}):
            row |= {"state": "ready", "warnings": ["600 images, the catalog says 2,870"], "images": 600}
    if name:
        models[-1] |= {"name": name, "licence": name, "group": name, "hint": name}
        datasets[-1] |= {"name": name, "licence": name, "warnings": [name], "modality": name, "classes": [name, "b"]}
    cells = []
    for model in models:
        for dataset in datasets:
            missing = [row["state"] for row in (dataset, model) if str(row["state"]).endswith("_missing")]
            cell: dict[str, Any] = {
                "model": model["id"],
                "dataset": dataset["id"],
                "state": missing[0] if missing else "ready",
            }
            if done and (model["id"], dataset["id"]) == (MODEL, DATASET):
                cell |= {
                    "state": "done",
                    "accuracy": 0.8125,
                    "std": 0.021,
                    "macro_f1": 0.8051,
                    "t": 1.0,
                    "saturated": True,
                    "table": KEYS["extract"],
                    "probe": KEYS["probe"],
                    "project": KEYS["project"],
                    "saliency": KEYS["saliency"],
                }
            cells.append(cell)
    return survey_of(models, datasets, cells)


def changed(cell: Cell, **more: Any) -> Cell:
    """Return a survey's cell with other values; names that are no field are kinds of results, with their keys."""
    own = {name: tuple(value) if isinstance(value, list) else value for name, value in more.items() if name in FIELDS}
    keys = {name: value for name, value in more.items() if name not in FIELDS}
    return replace(cell, keys={**cell.keys, **keys}, **own)


def survey_of(models: Iterable[Row], datasets: Iterable[Row], cells: Iterable[Row]) -> events.Survey:
    """Return a survey from the JSON objects of its rows."""
    rows = {"models": list(models), "datasets": list(datasets), "cells": list(cells)}
    found = events.from_record({"type": "Survey", **rows, "device": "cpu", "store_bytes": 3_100_000})
    assert isinstance(found, events.Survey)
    return found


def plan(models: tuple[str, ...], datasets: tuple[str, ...], run_id: str = "run-1") -> Plan:
    """A plan of every stage."""
    steps = []
    for model in models:
        for dataset in datasets:
            steps += [
                Step(
                    f"{kind}:{model}:{dataset}",
                    kind,
                    model,
                    dataset,
                    key=KEYS[kind],
                    images=360 if kind == "extract" else 0,
                )
                for kind in KINDS
            ]
    return Plan(run_id, (*steps, Step("report", "report")), ("600 images, the catalog says 2,870",))


def run_events(models: tuple[str, ...], datasets: tuple[str, ...]) -> list[events.Event]:
    """A run as it happens, from its plan to the survey after it."""
    made = plan(models, datasets)
    said: list[events.Event] = [
        events.PlanReady("run-1", made.to_record()),
        events.DeviceStatus("cpu", "CPU", "fp32", 32),
    ]
    for step in made.steps:
        said.append(events.StepStarted(step.id))
        if step.kind == "extract":
            said += [events.StepProgress(step.id, 36 * i, 360, 31.5, (360 - 36 * i) / 31.5) for i in range(1, 11)]
        summary = {"accuracy": 0.8125, "std": 0.021, "macro_f1": 0.8051, "t": 1.0, "saturated": True}
        said.append(
            events.ResultReady(
                step.id, step.kind, step.key, step.model, step.dataset, summary if step.kind == "probe" else {}
            )
        )
    said.append(events.FileWritten("/w/exports/run-1/results.csv", "table"))
    said.append(events.RunFinished("run-1", 0, len(made.steps), 0, 0, 0, 12.3, "/w/exports/run-1"))
    return said


@dataclass
class RecordedClient:
    """Answers commands with recorded events; `hold` stops a run after so many events until it is cancelled."""

    name: str = ""
    hold: int | None = None
    done: bool = False
    dies_on: str = ""
    answers_plans: bool = True
    shown: events.Survey | None = None
    """Answers every survey, where it is given."""
    sent: list[Mapping[str, Any]] = field(default_factory=list)
    starts: int = 0
    left: bool = False

    def __post_init__(self) -> None:
        self._queue: asyncio.Queue[events.Event | EngineStoppedError | None] = asyncio.Queue()

    async def start(self) -> None:
        self.starts += 1

    async def send(self, command: Mapping[str, Any]) -> None:
        self.sent.append(command)
        verb, request = command["cmd"], command.get("request", {})
        if verb == self.dies_on:
            self.dies_on = ""
            self._queue.put_nowait(
                EngineStoppedError(
                    "the engine stopped by itself (exit status -9)", "log: /w/logs/engine.log\nlast [/] words"
                )
            )
        elif verb == "survey":
            self._queue.put_nowait(self.shown or survey(self.done, request["data"], name=self.name))
        elif verb == "plan" and self.answers_plans:
            made = plan(tuple(request["models"]), tuple(request["datasets"]), "")
            self._queue.put_nowait(events.PlanReady("", made.to_record(), str(command.get("asked", ""))))
        elif verb == "run":
            self._queue.put_nowait(events.RunAsked("run-1", request, "engine"))
            for event in run_events(tuple(request["models"]), tuple(request["datasets"]))[: self.hold]:
                self._queue.put_nowait(event)
            self.done = self.hold is None
        elif verb == "cancel":
            self._queue.put_nowait(events.CancelAsked("run-1"))
            self._queue.put_nowait(events.StepSkipped("project:efficientnet_lite0:phantom", "cancelled"))
            self._queue.put_nowait(events.RunFinished("run-1", 130, 1, 0, 0, 5, 1.0, ""))

    def say(self, event: events.Event) -> None:
        """Let the engine say something more."""
        self._queue.put_nowait(event)

    async def events(self) -> AsyncIterator[events.Event]:
        while (event := await self._queue.get()) is not None:
            if isinstance(event, EngineStoppedError):
                raise event
            yield event

    async def leave(self) -> None:
        self.left = True
        self._queue.put_nowait(None)


def fill_store(workspace: Path, label: str = "smooth") -> None:
    """Write results of the shapes that docs/architecture.md states, 60 images of three classes."""
    rng = np.random.default_rng(0)
    classes = ("none", label, "spiculated")
    labels = tuple(classes[i % 3] for i in range(60))
    ids = tuple(f"{name}/{i:03}.png" for i, name in enumerate(labels))
    encoder = EncoderKey(MODEL, "w", "p", "pooled", "fp32", "1")
    matrix = rng.normal(size=(60, 8)).astype(np.float32)
    hold_out = np.arange(12, dtype=np.int64)
    truth = np.array([i % 3 for i in range(12)])
    predicted = np.stack([np.where(rng.random(12) < 0.8, truth, (truth + 1) % 3) for _ in range(5)])
    with Store(workspace / "store") as store:
        store.seal(KEYS["extract"], FeatureTable(encoder, "d", ids, labels, ids, matrix, classes))
        store.put_result(
            KEYS["probe"],
            {
                "hold_out": hold_out,
                "predicted_test": predicted,
                "final_predicted": predicted[0],
                "scores_test": rng.normal(size=(5, 12, 3)),
                "final_scores": rng.normal(size=(12, 3)),
            },
            _probed(classes),
        )
        store.put_result(
            KEYS["project"],
            {
                "xy": (rng.normal(size=(60, 2)) + 6 * np.array([[i % 3, i % 2] for i in range(60)])).astype(np.float32),
                "rows": np.arange(60, dtype=np.int64),
            },
            replace(MapRecord.example(), scores={"trustworthiness": 0.96, "purity": 0.91}),
        )
        store.put_result(
            KEYS["saliency"],
            {
                "images": rng.integers(0, 255, (3, 64, 64, 3), dtype=np.uint8),
                "maps": rng.random((3, 64, 64)).astype(np.float32),
            },
            _explained(classes),
        )


def _probed(classes: tuple[str, ...]) -> ProbeRecord:
    """The example with as few metrics as a narrow screen has room for."""
    example = ProbeRecord.example()
    metrics = {name: example.metrics[name] for name in ("accuracy", "macro_f1", "auroc")}
    return replace(example, classes=classes, metrics=metrics)


def _explained(classes: tuple[str, ...]) -> SaliencyRecord:
    """An image of each class, of whose maps nothing is measured, as release 0.1 stored them."""
    items = tuple(
        ExplainedImage(image=f"{name}/000.png", label=name, predicted="none", explained=name, score=1.25)
        for name in classes
    )
    return replace(SaliencyRecord.example(), items=items, quality={}, params=None)
