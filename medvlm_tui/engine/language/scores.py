"""The scores of cosines: of a whole set of prompts, of its templates one by one, and beside a probe's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.prompts import PromptSet
from medvlm_tui.core.store.store import Stored
from medvlm_tui.engine.encoders.text.encoder import Scale
from medvlm_tui.engine.language.space import Space
from medvlm_tui.measures.calibration import expected_calibration_error
from medvlm_tui.measures.calibration_error import brier_per_image, debiased_calibration_error
from medvlm_tui.measures.classification import (
    accuracy,
    auroc,
    balanced_accuracy,
    confusion,
    from_confusion,
    macro_f1,
)
from medvlm_tui.measures.exchange import Images, Outputs, exchange_p_values
from medvlm_tui.measures.influence import influences
from medvlm_tui.measures.language.zero_shot import class_vectors, flip_rate, probabilities, quadratic_kappa
from medvlm_tui.measures.paired_scores import score_difference
from medvlm_tui.measures.repeats import SCALE, HoldOuts, mean_over_hold_outs
from medvlm_tui.measures.score_intervals import brier_interval, score_intervals
from medvlm_tui.stages.records.language import PromptRecord, ScoreRecord, VersusRecord
from medvlm_tui.stages.records.probe import ProbeRecord

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_DRAWS = 9_999


@dataclass(frozen=True, slots=True)
class Held:
    """The rows that are scored."""

    rows: Ints
    codes: Ints
    """(rows,) their classes."""
    positive: int | None
    """The positive class of two."""

    @classmethod
    def of(cls, codes: Ints, probe: Stored[ProbeRecord]) -> Held:
        """Return the hold-out of a probe."""
        rows: Ints = probe.arrays["hold_out"].astype(np.int64)
        named = probe.record.positive
        return cls(rows, codes[rows], probe.record.classes.index(named) if named else None)

    def others(self, count: int) -> Ints:
        """Return the rows of `count` that are not held out."""
        return np.setdiff1d(np.arange(count), self.rows)

    def balanced(self, predicted: Ints) -> float:
        """Return the balanced accuracy of predictions (rows,)."""
        k = int(max(self.codes.max(), predicted.max())) + 1
        return float(balanced_accuracy(confusion(self.codes, predicted, k)))


def scored(cosines: Floats, held: Held, scale: Scale, confidence: float, graded: bool) -> Mapping[str, ScoreRecord]:
    """Return every score of cosines (n, k) on the held rows, with intervals over images.

    `auroc` ranks by each class's cosine alone and does not depend on the scale; `auroc_probability` and the calibration
    do, and stand for the model's own. `quadratic_kappa` only of ordered grades.
    """
    own = cosines[held.rows]
    k = own.shape[1]
    counts = confusion(held.codes, own.argmax(axis=1), k)
    values: dict[str, float | None] = {
        name: float(measure(counts)) for name, measure in from_confusion(held.positive).items()
    }
    values["auroc"] = auroc(held.codes, own)
    chances = probabilities(own, scale.factor, scale.bias)
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == held.codes
    brier = brier_per_image(chances, held.codes)
    values |= {
        "auroc_probability": auroc(held.codes, chances),
        "ece": expected_calibration_error(sure, right),
        "ece_debiased": debiased_calibration_error(sure, right),
        "brier": float(brier.mean()),
    }
    if graded:
        values["quadratic_kappa"] = quadratic_kappa(held.codes, own.argmax(axis=1), k)
    intervals = dict(score_intervals(held.codes, own[None], held.positive, None, confidence))
    if (found := brier_interval(brier, held.codes, None, confidence)) is not None:
        intervals["brier"] = found
    return {name: _score(value, intervals.get(name)) for name, value in values.items()}


def over_hold_outs(
    found: Sequence[Mapping[str, ScoreRecord]], sizes: HoldOuts, confidence: float
) -> Mapping[str, ScoreRecord]:
    """Return the scores of one hold-out as they are, or the means over several with corrected resampled intervals.

    A score that is undefined on one of them has no mean; quadratic kappa, which can be negative, has no interval.
    """
    if len(found) == 1:
        return found[0]
    means: dict[str, ScoreRecord] = {}
    for name in found[0]:
        over = mean_over_hold_outs([each[name].value for each in found], sizes, SCALE.get(name, 1.0), confidence)
        mean, interval = (None, None) if over is None else over
        means[name] = _score(mean, None if name == "quadratic_kappa" else interval)
    return means


def _score(value: float | None, interval: tuple[float, float] | None) -> ScoreRecord:
    low, high = interval or (None, None)
    return ScoreRecord(value=value, low=low, high=high)


def prompt_scores(space: Space, chosen: PromptSet, held: Held, answers: Ints) -> tuple[PromptRecord, ...]:
    """Return the scores of each template of a set alone; none for a set of one template or of whole sentences."""
    if chosen.templates < 2 or any(len(of) % chosen.templates for of in chosen.prompts):
        return ()
    k, per_class = len(chosen.prompts), len(chosen.prompts[0]) // chosen.templates
    found = []
    choices = template_predictions(space.prompts(chosen), chosen.templates, space.images[held.rows])
    for template, predicted in enumerate(choices):
        counts = confusion(held.codes, predicted, k)
        scores = {"accuracy": float(accuracy(counts)), "balanced_accuracy": float(balanced_accuracy(counts))}
        scores["macro_f1"] = float(macro_f1(counts))
        shown = chosen.prompts[0][template * per_class]
        found.append(PromptRecord(prompt=shown, scores=scores, flips=flip_rate(predicted, answers)))
    return tuple(found)


def template_predictions(prompts: Sequence[Floats], templates: int, images: Floats) -> Ints:
    """Return (templates, n) the class that each template alone chooses for unit images (n, d).

    `prompts` are each class's vectors, template by template. All templates are one matrix product.
    """
    by_template = [vectors.reshape(templates, -1, vectors.shape[1]) for vectors in prompts]
    classes = np.concatenate([class_vectors([of[template] for of in by_template]) for template in range(templates)])
    cosines = images @ classes.T
    return np.asarray(cosines.reshape(len(images), templates, len(prompts)).argmax(axis=2).T, dtype=np.int64)


def versus(cosines: Floats, held: Held, probe: Stored[ProbeRecord], confidence: float, seed: int) -> VersusRecord:
    """Return zero-shot's accuracy less a probe's on the same held-out images, tested as two models are."""
    theirs = probe.arrays["scores_test"].astype(np.float64)
    ours = np.repeat(cosines[None], len(theirs), axis=0)
    images = Images(held.codes, cosines.shape[1], held.positive, None)
    p_values = exchange_p_values(images, Outputs.of(ours), Outputs.of(theirs), _DRAWS, seed)
    first, second = (influences(held.codes, each, held.positive)["accuracy"] for each in (ours, theirs))
    found = score_difference(first, second, held.codes, None, confidence)
    p_value = p_values["accuracy"]
    return VersusRecord(
        protocol=probe.record.protocol, value=found.value, low=found.low, high=found.high, p_value=p_value, holm=p_value
    )
