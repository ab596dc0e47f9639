"""Results of one model on one dataset in the store, whatever settings they have, and how these differ from today's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.results_index import ResultsIndex
from medvlm_tui.settings.options import OPTIONS, all_values
from medvlm_tui.stages import is_current
from medvlm_tui.stages.comparison import STATISTICS
from medvlm_tui.stages.extract import EXTRACT
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.repeat import REPEAT
from medvlm_tui.stages.request import RunRequest

# Settings that the features or the scores depend on, with their words; `{}` is the value.
_WORDS: Mapping[str, tuple[str, str]] = {
    "limit": ("limit {}", "no limit"),
    "part": ("part {}", "the study's part"),
    "label": ("labels {}", "the study's labels"),
    "window": ("window {}", ""),
    "feature": ("feature {}", "the model's own feature"),
    "precision": ("precision {}", ""),
    "seed": ("seed {}", "seed 0"),
    "hold_out": ("hold-out {}", ""),
    "folds": ("{} folds", ""),
}
OTHERWISE = "other images or weights, or another release of the program"
# Told with a word on it where they are of an older version; other results are then left out.
_WITH_A_WORD = (EXTRACT.kind, PROBE.kind, STATISTICS.kind)


@dataclass(slots=True)
class Results:
    """Results that stand on one feature table."""

    table: str
    keys: dict[str, str] = field(default_factory=dict)
    """Kind -> key of the result; of a kind with several (maps) the first of today's settings, else the newest."""
    probes: dict[str, str] = field(default_factory=dict)
    """Protocol -> key."""
    statistics: dict[str, str] = field(default_factory=dict)
    """Protocol -> key of the intervals."""
    repeats: dict[str, str] = field(default_factory=dict)
    """`protocol:seed` -> key of the probe on a further hold-out."""
    maps: list[str] = field(default_factory=list)
    """Every map of the table, the newest last."""
    requests: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Key -> request of the run that made it, for results that are not of today's settings."""

    def shown(self, protocol: str) -> str:
        """Return the key of what a matrix shows: the protocol's probe, else another one, else the features."""
        return self.probes.get(protocol) or next(iter(self.probes.values()), "") or self.keys.get("extract", "")

    def further(self, protocol: str) -> dict[int, str]:
        """Return seed -> key of a protocol's probes on further hold-outs."""
        found = ((*name.rpartition(":"), key) for name, key in self.repeats.items())
        return {int(seed): key for name, _, seed, key in found if name == protocol and seed.isdecimal()}

    def add(self, kind: str, detail: str, key: str) -> bool:
        """Take a result unless a better one of its kind and protocol is here; returns whether it was taken."""
        by_detail = {PROBE.kind: self.probes, STATISTICS.kind: self.statistics, REPEAT.kind: self.repeats}
        where, name = (by_detail[kind], detail) if kind in by_detail else (self.keys, kind)
        if kind == "project" and key not in self.maps:
            self.maps.insert(0, key)
        if name in where:
            return False
        where[name] = key
        return True


def is_there(store: Store, kind: str, key: str) -> bool:
    """Return whether a step's result is in the store: a sealed table of an extraction, else a result."""
    return key in store.tables if kind == EXTRACT.kind else store.has_result(key)


def best_results(
    cell: tuple[str, str], steps: Sequence[Step], index: ResultsIndex, store: Store, protocol: str
) -> Results:
    """Return what to show of a cell (model, dataset): results of today's settings, which `steps` name, where there are
    any of the protocol, else those of the newest run that has some. They all stand on one feature table.

    Features and scores of an older version of the program are told with a word on it (`difference`); other analyses of
    an older version are left out.
    """
    now = next((step.key for step in steps if step.kind == "extract"), "")
    found = {now: Results(now)}
    for step in steps:
        if step.have:
            found[now].add(step.kind, _detail(step), step.key)
    for made, request in index.of(*cell):
        if made.kind not in _WITH_A_WORD and not is_current(made.kind, made.version):
            continue
        results = found.setdefault(made.table, Results(made.table))
        if made.table and is_there(store, made.kind, made.key) and results.add(made.kind, made.detail, made.key):
            results.requests[made.key] = request
    return max(found.values(), key=lambda each: (protocol in each.probes, bool(each.probes), bool(each.keys)))


def _detail(step: Step) -> str:
    """Return what tells several results of a kind apart, as the ids of the steps end."""
    protocol = str(step.params.get("protocol", ""))
    return f"{protocol}:{step.params['split']['seed']}" if step.kind == REPEAT.kind else protocol


def difference(results: Results, protocol: str, now: RunRequest, n: int, n_now: int) -> str:
    """Return how the settings of what is shown differ from today's, empty where they do not or where nothing can tell.

    `n`: images behind the results; `n_now`: images of the dataset today, 0 where these or the weights are not here.
    """
    then = results.requests.get(results.shown(protocol))
    if then is None:
        return ""
    today = all_values(now)
    then = {name: then.get(name, OPTIONS[name].default) for name in _WORDS}
    differing = [name for name in _WORDS if then[name] != today[name]]
    if not differing and n == n_now:
        return f"{n:,} images, {OTHERWISE}"
    if not differing and not n_now:
        return ""
    also = [name for name in differing if name != "limit" or not n_now]
    return f"{_told(then, differing, f'{n:,} images')}; now {_told(today, also, f'{n_now:,}' if n_now else '')}"


def _told(request: Mapping[str, Any], names: Iterable[str], first: str) -> str:
    words = [(_WORDS[name][0] if request[name] else _WORDS[name][1]).format(request[name]) for name in names]
    return ", ".join(filter(None, (first, *words)))
