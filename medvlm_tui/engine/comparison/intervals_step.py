"""Certainty of a score: the intervals of one probe's scores over its held-out images.

Under `grouped` whole groups are the independent units. Under `few_shot` the spread of the draws of training images
counts too: they differ by more than the folds of one training set do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.store.store import Stored
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.step.inputs import earlier_result, params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.measures.calibration_error import brier_per_image, calibration_error_interval
from medvlm_tui.measures.intervals import Interval
from medvlm_tui.measures.score_intervals import brier_interval, score_intervals
from medvlm_tui.stages.comparison import STATISTICS
from medvlm_tui.stages.params.comparison import StatisticsParams
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.comparison import IntervalsRecord
from medvlm_tui.stages.records.probe import ProbeRecord

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Compute the intervals of one probe result."""
    begun = time.monotonic()
    probe = earlier_result(job, context, PROBE)
    params = params_of(StatisticsParams, job.step.params)
    groups = held_groups(probe)
    record = IntervalsRecord(
        intervals=intervals_of(probe, groups, params.confidence),
        final_intervals=_final_intervals(probe, groups, params.confidence),
        confidence=params.confidence,
        n=len(probe.arrays["hold_out"]),
        groups=None if groups is None else len(np.unique(groups)),
        versions=versions("numpy", "scipy"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = STATISTICS.summary(record)
    yield ResultReady(job.step.id, "statistics", job.step.key, job.step.model, job.step.dataset, shown)


def held_groups(probe: Stored[ProbeRecord]) -> Ints | None:
    """Return the group (n_test,) of each held-out image under the protocol `grouped`, None under any other.

    An image without a group is a group of its own.
    """
    groups = probe.arrays.get("group")
    return None if groups is None else groups[probe.arrays["hold_out"]].astype(np.int64)


def held_codes(probe: Stored[ProbeRecord]) -> Ints:
    """Return the class (n_test,) of each held-out image."""
    codes: Ints = probe.arrays["labels"][probe.arrays["hold_out"]].astype(np.int64)
    return codes


def intervals_of(probe: Stored[ProbeRecord], groups: Ints | None, confidence: float) -> dict[str, Interval]:
    """Return metric -> interval of the mean over the classifiers, over whole groups (n_test,) where there are some."""
    codes, record = held_codes(probe), probe.record
    found = score_intervals(
        codes, probe.arrays["scores_test"], record.positive_index, groups, confidence, record.scores_of_draws
    )
    probabilities = probe.arrays.get("probabilities_test")
    return _with_calibration(found, probabilities, probe.arrays["predicted_test"], codes, groups, confidence)


def _final_intervals(probe: Stored[ProbeRecord], groups: Ints | None, confidence: float) -> dict[str, Interval]:
    """Return the intervals of the final classifier's scores; empty where the protocol fits none."""
    scores = probe.arrays.get("final_scores")
    if scores is None:
        return {}
    codes = held_codes(probe)
    found = score_intervals(codes, scores[None], probe.record.positive_index, groups, confidence)
    probabilities, predicted = probe.arrays.get("final_probabilities"), probe.arrays["final_predicted"]
    last = None if probabilities is None else probabilities[None]
    return _with_calibration(found, last, predicted[None], codes, groups, confidence)


def _with_calibration(
    found: dict[str, Interval],
    probabilities: NDArray[Any] | None,
    predicted: NDArray[Any],
    codes: Ints,
    groups: Ints | None,
    confidence: float,
) -> dict[str, Interval]:
    """Return the intervals with those of Brier score and debiased ECE, where there are probabilities (F, n, k).

    `predicted` (F, n) are the predicted classes.
    """
    if probabilities is None:
        return found
    shares = probabilities.astype(np.float64)
    brier = np.mean([brier_per_image(fold, codes) for fold in shares], axis=0)
    of_predicted = np.take_along_axis(shares, predicted[..., None].astype(np.int64), axis=2)[..., 0]
    more = {
        "brier": brier_interval(brier, codes, groups, confidence),
        "ece_debiased": calibration_error_interval(of_predicted, predicted == codes, groups, confidence),
    }
    return found | {name: interval for name, interval in more.items() if interval is not None}
