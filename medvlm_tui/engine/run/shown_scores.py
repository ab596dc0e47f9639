"""The scores of a stored probe as a screen shows them: of one hold-out, or the means over several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from medvlm_tui.core.store.store import Store
from medvlm_tui.measures.repeats import SCALE, HoldOuts, mean_over_hold_outs
from medvlm_tui.stages.comparison import STATISTICS
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.probe import ProbeRecord


def probe_scores(store: Store, key: str, statistics: str, further: Mapping[int, str]) -> dict[str, Any]:
    """Return every mean and spread of a probe with its intervals and its t.

    `statistics` is the key of its intervals, "" for none. `further` seed -> key of the same probe on another hold-out:
    those of the seeds that follow the probe's own are taken together with it, as the tables do.
    """
    record = store.read_record(key, PROBE.record)
    if record is None:
        return {"key": key, "intervals": {}}
    known = store.read_record(statistics, STATISTICS.record) if statistics else None
    intervals = {} if known is None else dict(known.intervals)
    metrics = {name: [found.mean, found.std] for name, found in record.metrics.items() if found.mean is not None}
    every = [record, *_following(store, record, further)]
    if len(every) > 1:
        metrics, intervals = _over(every)
    shown = PROBE.summary(record)
    accuracy, macro_f1 = (metrics.get(name, [None, None]) for name in ("accuracy", "macro_f1"))
    return {
        "key": key,
        **{name: shown.get(name) for name in ("t", "saturated")},
        "accuracy": accuracy[0],
        "std": accuracy[1],
        "macro_f1": macro_f1[0],
        "metrics": metrics,
        "intervals": intervals,
        "seeds": len(every),
        "tuned_t": None if record.tuned is None else record.tuned.t,
        "n": record.n_train + record.n_test,
    }


def _following(store: Store, first: ProbeRecord, further: Mapping[int, str]) -> list[ProbeRecord]:
    """Return the records under the seeds that follow the first one's without a gap, divided in the same way."""
    found: list[ProbeRecord] = []
    for seed in count(first.seed + 1):
        record = store.read_record(further[seed], PROBE.record) if seed in further else None
        if record is None or record.split != replace(first.split, seed=seed):
            return found
        found.append(record)
    return found


def _over(every: Sequence[ProbeRecord]) -> tuple[dict[str, list[float | None]], dict[str, tuple[float, float]]]:
    """Return metric -> mean over the hold-outs with the mean of their stds, and its corrected resampled interval."""
    sizes = HoldOuts(every[0].n_test, every[0].n_train)
    metrics: dict[str, list[float | None]] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for name in every[0].metrics:
        found = [one.metrics[name] for one in every if name in one.metrics]
        means = [one.mean for one in found] + [None] * (len(every) - len(found))
        over = mean_over_hold_outs(means, sizes, SCALE.get(name, 1.0))
        if over is not None:
            stds = [one.std for one in found if one.std is not None]
            metrics[name] = [over[0], float(np.mean(stds)) if stds else None]
            intervals[name] = over[1]
    return metrics, intervals
