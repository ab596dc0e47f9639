"""The scores of a stored probe as a screen shows them: of one hold-out, or the means over several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.survey import Reading
from medvlm_tui.measures.repeats import SCALE, HoldOuts, mean_over_hold_outs
from medvlm_tui.stages.comparison import STATISTICS
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.probe import ProbeRecord

Means = dict[str, tuple[float, float | None]]
Intervals = dict[str, tuple[float, float]]


def probe_scores(store: Store, key: str, statistics: str, further: Mapping[int, str]) -> Reading:
    """Return every mean and spread of a probe with its intervals and its t.

    `statistics` is the key of its intervals, "" for none. `further` seed -> key of the same probe on another hold-out:
    those of the seeds that follow the probe's own are taken together with it, as the tables do.
    """
    record = store.read_record(key, PROBE.record)
    if record is None:
        return Reading(key, statistics=statistics)
    known = store.read_record(statistics, STATISTICS.record) if statistics else None
    intervals: Intervals = {} if known is None else dict(known.intervals)
    metrics: Means = {name: (found.mean, found.std) for name, found in record.metrics.items() if found.mean is not None}
    every = [record, *_following(store, record, further)]
    if len(every) > 1:
        metrics, intervals = _over(every)
    shown = PROBE.summary(record)
    accuracy, std = metrics.get("accuracy", (None, None))
    return Reading(
        key=key,
        accuracy=accuracy,
        std=std,
        macro_f1=metrics.get("macro_f1", (None, None))[0],
        t=shown.get("t"),
        saturated=bool(shown.get("saturated")),
        metrics=metrics,
        tuned_t=None if record.tuned is None else record.tuned.t,
        n=record.n_train + record.n_test,
        statistics=statistics,
        intervals=intervals,
        seeds=len(every),
    )


def _following(store: Store, first: ProbeRecord, further: Mapping[int, str]) -> list[ProbeRecord]:
    """Return the records under the seeds that follow the first one's without a gap, divided in the same way."""
    found: list[ProbeRecord] = []
    for seed in count(first.seed + 1):
        record = store.read_record(further[seed], PROBE.record) if seed in further else None
        if record is None or record.split != replace(first.split, seed=seed):
            return found
        found.append(record)
    return found


def _over(every: Sequence[ProbeRecord]) -> tuple[Means, Intervals]:
    """Return metric -> mean over the hold-outs with the mean of their stds, and its corrected resampled interval."""
    sizes = HoldOuts(every[0].n_test, every[0].n_train)
    metrics: Means = {}
    intervals: Intervals = {}
    for name in every[0].metrics:
        found = [one.metrics[name] for one in every if name in one.metrics]
        means = [one.mean for one in found] + [None] * (len(every) - len(found))
        over = mean_over_hold_outs(means, sizes, SCALE.get(name, 1.0))
        if over is not None:
            stds = [one.std for one in found if one.std is not None]
            metrics[name] = over[0], float(np.mean(stds)) if stds else None
            intervals[name] = over[1]
    return metrics, intervals
