"""The common space of one cell: image vectors led into it, the vectors of its classes' prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.core.prompts import PromptSet
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.engine.encoders.text.joins import join_of
from medvlm_tui.engine.encoders.text.loading import require_text
from medvlm_tui.engine.language.text_features import TextFeatures, text_features
from medvlm_tui.engine.step.inputs import Labelled, feature_table
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.language.zero_shot import class_vectors, unit

Floats = NDArray[np.float64]
# Their authors average unit vectors and leave the mean as long as it is.
_MEAN_KEPT = frozenset({"flair", "keepfit"})


@dataclass(frozen=True, slots=True)
class Space:
    """Images and prompts of one cell."""

    table: FeatureTable
    labelled: Labelled
    images: Floats
    """(n, d) at unit length."""
    sets: tuple[PromptSet, ...]
    """Restricted to the classes that occur."""
    texts: TextFeatures

    def prompts(self, chosen: PromptSet) -> list[Floats]:
        """Return the vectors (p, d) of each class's prompts, not normalised."""
        return [np.stack([self.texts.vectors[text] for text in of]).astype(np.float64) for of in chosen.prompts]

    def classes(self, chosen: PromptSet) -> Floats:
        """Return the class vectors (k, d) of a set at unit length."""
        return class_vectors(self.prompts(chosen))


def open_space(job: CellJob, context: StepContext) -> Space:
    """Return the space of a job; raises MedvlmError where features, weights or prompts are missing."""
    table = feature_table(job, context)
    labelled = Labelled.of(table, job.dataset.classes)
    if job.text is None or job.text_key is None:
        raise MedvlmError(f"the text tower of {job.model.id} was not looked for", "run the command again")
    sets = _restricted([PromptSet.from_record(each) for each in job.step.params["sets"]], job, labelled)
    listed = [text for each in sets for of in each.prompts for text in of]
    texts = text_features(listed, job.text, job.text_key, context, job.request.device)
    return Space(table, labelled, lead_of(job)(table.matrix), tuple(sets), texts)


def lead_of(job: CellJob) -> Callable[[NDArray[np.floating]], Floats]:
    """Return what leads image features (n, d) of a job into the space of the texts, at unit length."""
    assert job.text is not None
    place = require_text(job.model).joins[job.encoder.feature]
    if not place:
        return unit
    join = join_of(job.text.weights, place)
    return lambda features: unit(join(torch.from_numpy(np.array(features, dtype=np.float32))).numpy())


def _restricted(sets: Sequence[PromptSet], job: CellJob, labelled: Labelled) -> list[PromptSet]:
    rows = [job.dataset.classes.index(name) for name in labelled.classes]
    return [
        PromptSet(each.name, tuple(each.prompts[row] for row in rows), each.source, each.templates, each.fallback)
        for each in sets
    ]


def official_classes(space: Space, model: str, chosen: PromptSet) -> Floats | None:
    """Return class vectors by the rule of the model's authors where that is another; None where it is the usual one."""
    return class_vectors(space.prompts(chosen), last_unit=False) if model in _MEAN_KEPT else None
