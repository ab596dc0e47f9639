"""Inputs of an analysis: the feature table, the classes in it, the results of earlier steps, its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, FeatureTable
from medvlm_tui.core.store.store import Store, Stored
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import DatasetError, MedvlmError
from medvlm_tui.stages.params.probe import ProbeParams, SplitParams
from medvlm_tui.stages.stage import Stage

Params = TypeVar("Params")
R = TypeVar("R")
AGAIN = "run the same command again: it is computed anew"
_SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """Classes and the class of every row."""

    classes: tuple[str, ...]
    """Those that occur in the table, in the order of the dataset."""
    codes: NDArray[np.int64]
    """(n,) index into `classes`."""

    @classmethod
    def of(cls, table: FeatureTable, order: tuple[str, ...] = ()) -> Labelled:
        """Number the labels of `table` by the order of its classes, of `order` when it names none."""
        found = set(table.labels)
        known = [name for name in (table.classes or order) if name in found]
        classes = (*known, *sorted(found.difference(known)))
        number = {name: index for index, name in enumerate(classes)}
        return cls(classes, np.array([number[label] for label in table.labels], dtype=np.int64))


def feature_table(job: CellJob, context: StepContext) -> FeatureTable:
    """Return the features the job works on; raises MedvlmError when they are missing, empty or not finite."""
    return features_of(job.step.model, job.dataset, job.inputs["extract"], context.store)


def features_of(model: str, dataset: Dataset, key: str, store: Store) -> FeatureTable:
    """Return the features of a model under the key of their table; raises MedvlmError as `feature_table` does."""
    table = store.tables.read(key)
    name = dataset.spec.id
    if table is None:
        raise MedvlmError(f"the features of {model} on {name} are missing or damaged", AGAIN)
    if not _is_of(table, dataset):
        store.tables.set_aside(key)
        what = f"the stored features of {model} on {name} are of other images or labels"
        raise MedvlmError(f"{what}: they are set aside", AGAIN)
    if len(table.ids) == 0:
        raise DatasetError(f"{name} has no readable image", "see the reasons in the extraction's result")
    bad = np.flatnonzero(~np.isfinite(table.matrix).all(axis=1))
    if len(bad):
        names = ", ".join(clean(table.ids[row]) for row in bad[:_SHOWN_IDS])
        more = f" and {len(bad) - _SHOWN_IDS} more" if len(bad) > _SHOWN_IDS else ""
        raise MedvlmError(
            f"{model} gives NaN or infinite features for {len(bad)} images: {names}{more}",
            "look at these images; with --precision fp16 or bf16, try --precision fp32",
        )
    return table


def _is_of(table: FeatureTable, dataset: Dataset) -> bool:
    """Return whether images and labels are the dataset's; a table that came from elsewhere may hold others."""
    wanted = [(sample.id, sample.label) for sample in dataset.samples if sample.id not in table.failed]
    return wanted == list(zip(table.ids, table.labels, strict=True))


def earlier_result(job: CellJob, context: StepContext, stage: Stage[R]) -> Stored[R]:
    """Return the result of this stage's step that the job stands on; raises MedvlmError when it is gone."""
    result = context.store.read(job.inputs[stage.kind], stage.record)
    if result is None:
        what = f"the {stage.kind} result of {job.step.model} on {job.step.dataset}"
        raise MedvlmError(f"{what} is missing or damaged", AGAIN)
    return result


def params_of(cls: type[Params], values: Mapping[str, Any]) -> Params:
    """Build a flat parameter record from a step's parameters; names it does not have are other records'."""
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})


def probe_params(values: Mapping[str, Any]) -> ProbeParams:
    """Build the probe's parameters from a step's, where the split is a record of its own."""
    base = ProbeParams()
    return ProbeParams(
        protocol=values.get("protocol", base.protocol),
        split=params_of(SplitParams, values.get("split", {})),
    )
