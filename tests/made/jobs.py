"""Made feature tables in a real store, and the jobs that the analyses do on them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from medvlm_tui.core.events import ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, FeatureTable, ModelSpec, PreprocessSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.step.job import CellJob, DatasetJob, StepContext, step_function
from medvlm_tui.stages import stage_of
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.stage import Scope

ENCODER = EncoderKey("stub", "w", "p", "pooled", "fp32", "1")


def blobs(counts, dim, distance, seed=0):
    """Gaussian classes: (features (n, d) float32, codes (n,)), rows shuffled."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(counts), dim)) * distance / np.sqrt(dim)
    codes = np.repeat(np.arange(len(counts)), counts)
    rng.shuffle(codes)
    return (centres[codes] + rng.normal(size=(len(codes), dim))).astype(np.float32), codes


def table_of(matrix, codes, names=("a", "b", "c", "d"), classes=None):
    """A sealed table's content with ids i0, i1, ..."""
    return FeatureTable(
        ENCODER,
        "digest",
        tuple(f"i{row}" for row in range(len(matrix))),
        tuple(names[c] for c in codes),
        ("",) * len(matrix),
        np.asarray(matrix, dtype=np.float32),
        tuple(names) if classes is None else classes,
    )


class Bench:
    """A store with one feature table, on which steps are run."""

    def __init__(self, folder: Path, table: FeatureTable, positive="", paths=None, cancelled=lambda: False):
        self.store = Store(folder / "store")
        self.store.seal("table", table)
        self.context = StepContext(self.store, cancelled)
        spec = DatasetSpec("made", "Made", "none", "class_folders", positive=positive)
        samples = tuple(
            Sample(i, paths[i] if paths else folder / i, label)
            for i, label in zip(table.ids, table.labels, strict=True)
        )
        self.dataset = Dataset(spec, folder, "default", samples, table.classes)
        self.keys = {"extract": "table"}
        self.count = 0

    def job(self, kind, params, request=None):
        """The job of a step on this table."""
        values = params if isinstance(params, dict) else asdict(params)
        step = Step(f"{kind}:stub:made", kind, "stub", "made", values, f"{kind}-key-{self.count}")
        size = PreprocessSpec(32, 32)
        model = ModelSpec("stub", "Stub", "general", "stub", "stub", "bring", size, {"pooled": 4})
        asked, scope = request or RunRequest(), stage_of(kind).scope
        if scope is Scope.DATASET:
            return DatasetJob(step, asked, self.dataset)
        return CellJob(step, asked, self.dataset, model, Weights("present"), ENCODER, dict(self.keys))

    def stream(self, kind, params, request=None):
        """Do a step; yield its events as they come."""
        job = self.job(kind, params, request)
        for event in step_function(kind)(job, self.context):
            yield event
        assert isinstance(event, ResultReady)
        assert (event.kind, event.key) == (kind, job.step.key)
        self.keys[kind] = job.step.key
        self.count += 1  # a step that failed is done again under the same key

    def run(self, kind, params, request=None):
        """Do a step; return (record, arrays, events)."""
        events = list(self.stream(kind, params, request))
        result = self.store.result(self.keys[kind])
        assert result is not None
        return result.record, result.arrays, events
