"""What every stage stores, made from the examples of their records: 60 images of three classes, one model."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, FeatureTable, ModelSpec, PreprocessSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.results.run_results import ReportInput
from medvlm_tui.stages import STAGES
from medvlm_tui.stages.records.bias import BiasRecord
from medvlm_tui.stages.records.check import CheckRecord
from medvlm_tui.stages.records.extract import ExtractRecord
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.records.projection import GridRecord, MapRecord
from medvlm_tui.stages.records.saliency import SaliencyRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.stage import Scope

SIDE = 32
ROWS, FOLDS = 60, 5
Arrays = dict[str, NDArray[Any]]
STORED = tuple(stage for stage in STAGES if stage.scope is not Scope.REPORT)
"""The stages that leave a result in the store."""
_IDS = {
    Scope.CELL: ("one", "phantom"),
    Scope.DATASET: ("", "phantom"),
    Scope.FILES: ("", "phantom"),
    Scope.RUN: ("", ""),
}


def key_of(kind: str) -> str:
    """Return the key under which the example of a stage is stored."""
    return "map-1" if kind == "project" else f"{kind}-1"


def filled(folder: Path) -> ReportInput:
    """Return a report's input whose plan has one step of each stage, each with its example as a result."""
    store, rng = Store(folder / "store"), np.random.default_rng(0)
    classes = ProbeRecord.example().classes
    spec = DatasetSpec("phantom", "Phantom", "ultrasound", "phantom", classes, synthetic=True)
    labels = [classes[row % len(classes)] for row in range(ROWS)]
    samples = tuple(Sample(f"{label}/{row}.png", folder / f"{row}.png", label) for row, label in enumerate(labels))
    dataset = Dataset(spec, folder, "", samples, classes)
    steps = []
    for stage in STORED:
        model, on = _IDS[stage.scope]
        steps.append(Step(f"{stage.kind}:{model}:{on}", stage.kind, model, on, {}, key_of(stage.kind)))
        if stage.kind != "extract":
            record = stage.record.example()
            store.put_result(key_of(stage.kind), arrays_of(record, rng), record)
    store.seal(key_of("extract"), _table(dataset, rng))
    preprocess = PreprocessSpec(size_px=SIDE, resize_px=SIDE)
    model = ModelSpec("one", "One", "medical", "timm", "net", "package:x", preprocess, {"pooled": 8})
    models = {name: replace(model, id=name, name=name) for name in ("one", "two", "three")}
    return ReportInput("run-1", Plan("run-1", tuple(steps)), RunRequest(), models, {"phantom": dataset}, store)


def _table(dataset: Dataset, rng: np.random.Generator) -> FeatureTable:
    record = ExtractRecord.example()
    return FeatureTable(
        record.encoder,
        dataset.digest,
        tuple(sample.id for sample in dataset.samples),
        tuple(sample.label for sample in dataset.samples),
        ("",) * ROWS,
        rng.normal(size=record.shape).astype(np.float32),
        dataset.classes,
        record.failed,
        asdict(record.provenance),
    )


def arrays_of(record: object, rng: np.random.Generator) -> Arrays:
    """Return arrays that fit a stage's example; none for a stage that stores a record alone."""
    match record:
        case ProbeRecord():
            return _probe_arrays(record, rng)
        case BiasRecord():
            return bias_arrays(record, rng)
        case GridRecord():
            xy = rng.normal(size=(len(record.cells), ROWS, 2)).astype(np.float32)
            points = np.array(sorted({*record.examples.density, *record.examples.cluster}), np.int32)
            pixels = np.zeros((len(points), 96, 96, 3), np.uint8)
            return {"xy": xy, "rows": np.arange(ROWS), "examples": points, "thumbnails": pixels}
        case SaliencyRecord():
            n = len(record.items)
            return {
                "images": rng.integers(0, 255, (n, SIDE, SIDE, 3), dtype=np.uint8),
                "maps": rng.random((n, SIDE, SIDE)).astype(np.float32),
            }
        case CheckRecord():
            n = len(record.pictures)
            return {"pictures": np.full((n, 64, 64, 3), 200, np.uint8), "sizes": np.full((n, 2), 64, np.int32)}
        case MapRecord():
            return {"xy": rng.normal(size=(ROWS, 2)).astype(np.float32), "rows": np.arange(ROWS)}
        case _:
            return {}


def _probe_arrays(record: ProbeRecord, rng: np.random.Generator) -> Arrays:
    codes, k = np.arange(ROWS) % len(record.classes), len(record.classes)
    hold_out = np.arange(0, ROWS, ROWS // record.n_test)
    fold = (np.arange(ROWS) % FOLDS).astype(np.int8)
    fold[hold_out] = -1
    scores = rng.normal(size=(FOLDS + 2, ROWS, k)) + 2 * np.eye(k)[codes]
    test, final, validation = scores[:FOLDS, hold_out], scores[FOLDS, hold_out], scores[-1]
    return {
        "labels": codes.astype(np.int16),
        "hold_out": hold_out,
        "fold": fold,
        "scores_test": test,
        "predicted_test": test.argmax(axis=2).astype(np.int16),
        "scores_validation": validation,
        "predicted_validation": validation.argmax(axis=1).astype(np.int16),
        "final_scores": final,
        "final_predicted": final.argmax(axis=1).astype(np.int16),
    }


def bias_arrays(record: BiasRecord, rng: np.random.Generator) -> Arrays:
    """Return what the lab stores beside this record: the flipped images are those whose highest score moves."""
    kinds, n, k = len(record.kinds), len(record.images), len(record.classes)
    scores = np.zeros((1 + kinds, n, k), np.float32)
    labels = np.arange(n) % k
    scores[:, np.arange(n), labels] = 1.0
    for number, kind in enumerate(record.kinds):
        flipped = list(record.flipped[kind])
        scores[1 + number, flipped, (labels[flipped] - 1) % k] = 2.0
    return {
        "shifts": np.round(0.1 * (1 + np.arange(n)) * np.array([[0.1**kind] for kind in range(kinds)]), 6),
        "scores": scores,
        "labels": labels.astype(np.int16),
        "pictures": rng.integers(0, 255, (len(record.shown), 1 + kinds, SIDE, SIDE, 3), dtype=np.uint8),
        "boxes": np.array([[2, 20, 20, 28]] * len(record.shown), np.int32),
        "map_images": rng.integers(0, 255, (len(record.map_items), SIDE, SIDE, 3), dtype=np.uint8),
        "map_boxes": np.array([[2, 20, 18, 26]] * len(record.map_items), np.int32),
        "maps": rng.normal(size=(len(record.map_items), len(record.map_levels), SIDE, SIDE)).astype(np.float32),
    }
