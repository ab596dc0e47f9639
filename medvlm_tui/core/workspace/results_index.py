"""Which model and dataset a stored result belongs to, under which settings: what the journals of all runs say.

A result's key is a digest: it tells nothing of a model, a dataset, or a limit. The runs' events do, so that results are
found where neither the data nor the weights nor the settings of the run are at hand. What was read is kept beside
them (`results.json`, a cache) until a run's events.jsonl changes its size.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medvlm_tui.core.atomic_files import write_cache
from medvlm_tui.core.events import Event, ResultReady, RunAsked, from_json
from medvlm_tui.core.workspace.run_journal import FILE

VERSION = 2
_READ = (b'{"type": "RunAsked"', b'{"type": "ResultReady"')


@dataclass(frozen=True, slots=True)
class Made:
    """A result of one model on one dataset, or of a dataset alone (`model` is empty)."""

    kind: str
    model: str
    dataset: str
    detail: str
    """Last part of its step's id: a protocol, a tag, an n_neighbors; empty where a cell has one step of the kind."""
    key: str
    table: str
    """Key of the feature table behind it; empty where its run extracted none."""
    version: int = 0
    """Of its stage; 0 where the run's release did not tell it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Request and results of one run."""

    size_bytes: int
    """Of its events.jsonl when it was read."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """`RunRequest.to_record()`: an option of an analysis that is absent has its default."""
    results: tuple[Made, ...] = ()


class ResultsIndex:
    """The results of every run of a workspace, by model and dataset."""

    def __init__(self, runs: Path, cache: Path, read_only: bool = False) -> None:
        """Read the journals below `runs` that `cache` does not know as they are now."""
        kept = _kept(cache)
        self._runs = dict(_runs(runs, kept))
        if self._runs != kept and not read_only:
            table = {name: asdict(run) for name, run in self._runs.items()}
            write_cache(cache, json.dumps({"version": VERSION, "runs": table}).encode())
        self._cells: dict[tuple[str, str], list[tuple[Made, str]]] = {}
        for name, run in self._runs.items():
            for made in run.results:
                self._cells.setdefault((made.model, made.dataset), []).append((made, name))

    @property
    def cells(self) -> Iterable[tuple[str, str]]:
        """Every (model, dataset) with a result; the model is empty for results of a dataset alone."""
        return self._cells.keys()

    def of(self, model: str, dataset: str) -> Iterator[tuple[Made, Mapping[str, Any]]]:
        """Yield the results of one model on one dataset with the request of their run, the newest run first."""
        for made, run in reversed(self._cells.get((model, dataset), [])):
            yield made, self._runs[run].request

    def beside(self, dataset: str, kind: str, key: str) -> tuple[Made, ...]:
        """Return every result on a dataset of the newest run that has this one, or nothing where no run has it.

        After them stand results that later or earlier runs made of the same feature tables, where the run has none of
        their kind.
        """
        name = next((name for made, name in reversed(self._cells.get(("", dataset), [])) if _is(made, kind, key)), "")
        own = [made for made in self._runs[name].results if made.dataset == dataset] if name else []
        found = {(made.kind, made.model, made.detail): made for made in own}
        for model, table in {(made.model, made.table): None for made in own if made.model and made.table}:
            for made, _ in self.of(model, dataset):
                if made.table == table:
                    found.setdefault((made.kind, made.model, made.detail), made)
        return tuple(found.values())

    def requests(self, dataset: str) -> Iterator[Mapping[str, Any]]:
        """Yield the requests of the runs that named a folder for a dataset, the newest first."""
        for run in reversed(self._runs.values()):
            if dataset in run.request.get("data", {}):
                yield run.request


def _is(made: Made, kind: str, key: str) -> bool:
    return made.kind == kind and made.key == key


def _runs(folder: Path, kept: Mapping[str, Run]) -> Iterator[tuple[str, Run]]:
    """Yield every run by its id, which sorts by time."""
    for journal in sorted(folder.glob(f"*/{FILE}")):
        with suppress(OSError):  # removed at this moment, or not this user's: its results are not known
            size_bytes, name = journal.stat().st_size, journal.parent.name
            known = kept.get(name)
            yield name, known if known is not None and known.size_bytes == size_bytes else read_run(journal, size_bytes)


def read_run(journal: Path, size_bytes: int) -> Run:
    """Return what the events of one run say; a line that is damaged, or another release's, says nothing."""
    request: Mapping[str, Any] = {}
    results: dict[str, ResultReady] = {}
    for event in _events(journal):
        if isinstance(event, RunAsked):
            request = event.request
        elif isinstance(event, ResultReady) and event.dataset and event.key:
            results[event.step] = event
    tables = {(event.model, event.dataset): event.key for event in results.values() if event.kind == "extract"}
    return Run(size_bytes, request, tuple(_made(event, tables) for event in results.values()))


def _events(journal: Path) -> Iterator[Event]:
    with open(journal, "rb") as lines:
        for line in lines:
            if line.startswith(_READ):
                with suppress(ValueError):
                    yield from_json(line.decode("ascii", "backslashreplace"))


def _made(event: ResultReady, tables: Mapping[tuple[str, str], str]) -> Made:
    whose = f"{event.model}:{event.dataset}" if event.model else event.dataset
    detail = event.step.removeprefix(f"{event.kind}:{whose}").removeprefix(":")
    table = tables.get((event.model, event.dataset), "")
    return Made(event.kind, event.model, event.dataset, detail, event.key, table, event.version)


def _kept(cache: Path) -> dict[str, Run]:
    """Return what was kept; nothing where it is damaged or another release's."""
    try:
        record = json.loads(cache.read_bytes())
        if record["version"] != VERSION:
            return {}
        return {
            str(name): Run(int(run["size_bytes"]), dict(run["request"]), tuple(Made(**made) for made in run["results"]))
            for name, run in record["runs"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
