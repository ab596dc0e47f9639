"""Prompts as scores that RISE explains: the cosine of a masked image and a text, beside the classifier's values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.language.space import lead_of
from medvlm_tui.engine.language.text_features import text_features
from medvlm_tui.engine.probe.classifier import Classifier
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.language.zero_shot import unit

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WithPrompts:
    """A classifier whose decision values are followed by cosines with texts."""

    classifier: Classifier
    lead: Callable[[NDArray[np.floating]], Floats]
    """From image features (n, d) into the space of the texts, at unit length."""
    texts: Floats
    """(p, e) at unit length."""

    def scores(self, features: NDArray[np.floating]) -> Floats:
        """Return (n, k + p) of (n, d) features: the decision values, then the cosines with each text."""
        return np.concatenate([self.classifier.scores(features), self.lead(features) @ self.texts.T], axis=1)


def with_prompts(classifier: Classifier, prompts: tuple[str, ...], job: CellJob, context: StepContext) -> WithPrompts:
    """Return a classifier that scores prompts too; raises MedvlmError where the text tower was not looked for."""
    if job.text is None or job.text_key is None:
        raise MedvlmError(f"the text tower of {job.model.id} was not looked for", "run the command again")
    found = text_features(prompts, job.text, job.text_key, context, job.request.device)
    return WithPrompts(classifier, lead_of(job), unit(np.stack([found.vectors[prompt] for prompt in prompts])))
