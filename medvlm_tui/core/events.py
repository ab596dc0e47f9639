"""The events that the engine sends while it works: one frozen record per event, one JSON line each.

Events carry keys and numbers, never arrays: a front end reads arrays from the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

from medvlm_tui.core.plan import Plan
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.survey import Cell, DatasetRow, ModelRow, row_of

STATES = (
    "nothing",
    "weights_missing",
    "data_missing",
    "ready",
    "queued",
    "running",
    "done",
    "failed",
    "stale",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; `type` in the JSON line is the class name."""

    at: float = field(default=0.0, kw_only=True)
    """When it was said, in seconds since the epoch; 0 until the engine passes it on."""
    registry: ClassVar[dict[str, type[Event]]] = {}


def _register(cls: type[Event]) -> type[Event]:
    Event.registry[cls.__name__] = cls
    return cls


@_register
@dataclass(frozen=True, slots=True)
class RunAsked(Event):
    """The first event of a run: `request` is `RunRequest.to_record()`; what follows until its plan prepares it."""

    run_id: str
    request: Mapping[str, Any]
    by: str = ""
    """The process that does the run: `engine` or `batch`."""


@_register
@dataclass(frozen=True, slots=True)
class PlanReady(Event):
    """The plan as it will run: `plan` is `Plan.to_record()`; without a `run_id` the answer to a front end's `plan`."""

    run_id: str
    plan: Mapping[str, Any]
    asked: str = ""
    """The name of the front end's command."""


@_register
@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """A step began."""

    step: str


@_register
@dataclass(frozen=True, slots=True)
class StepProgress(Event):
    """A running step's position; a newer one replaces an older one of the same step."""

    step: str
    done: int
    total: int
    rate: float = 0.0
    """Units per second over the last moments."""
    eta_s: float | None = None
    unit: str = "images"
    waiting: float | None = None
    """Share of the last moments in which the network stood waiting for decoded images; None where none are decoded."""
    quarantined: int | None = None
    """Images left out so far, each told by a Log; None where no step of this kind leaves any out."""


@_register
@dataclass(frozen=True, slots=True)
class BlockStored(Event):
    """A block of features is durable."""

    step: str
    rows: int
    key: str


@_register
@dataclass(frozen=True, slots=True)
class PreviewReady(Event):
    """The result of a step so far, stored under `key` until the next preview replaces it or the step ends."""

    step: str
    kind: str
    key: str
    done: int
    """Of StepProgress's units."""


@_register
@dataclass(frozen=True, slots=True)
class ResultReady(Event):
    """A step finished and its result can be read under `key`; `summary` is small enough to show at once."""

    step: str
    kind: str
    key: str
    model: str = ""
    dataset: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    cached: bool = False
    version: int = 0
    """Of the stage that made it; 0 in the journal of a release that did not tell it."""


@_register
@dataclass(frozen=True, slots=True)
class StepFailed(Event):
    """A step failed; the others go on."""

    step: str
    error: str
    hint: str = ""


@_register
@dataclass(frozen=True, slots=True)
class StepSkipped(Event):
    """A step did not run: its input is missing or failed, or the run was cancelled."""

    step: str
    reason: str


@_register
@dataclass(frozen=True, slots=True)
class Log(Event):
    """A line for the log; level is info, warning or error."""

    level: str
    message: str
    step: str = ""


@_register
@dataclass(frozen=True, slots=True)
class DeviceStatus(Event):
    """The device that the work runs on."""

    device: str
    name: str
    precision: str
    batch_size: int = 0
    memory_used_gb: float | None = None
    memory_total_gb: float | None = None
    workers: int = 0
    """Processes that decode images, 0 where none do."""


@_register
@dataclass(frozen=True, slots=True)
class FileWritten(Event):
    """A file of the report exists."""

    path: str
    kind: str


@_register
@dataclass(frozen=True, slots=True)
class Survey(Event):
    """All models, datasets and cells with their state; the answer to a front end's `survey`."""

    models: tuple[ModelRow, ...] = ()
    datasets: tuple[DatasetRow, ...] = ()
    cells: tuple[Cell, ...] = ()
    device: str = ""
    store_bytes: int = 0
    read_only: bool = False
    """The workspace can be looked at, and nothing can run in it."""


@_register
@dataclass(frozen=True, slots=True)
class DataFound(Event):
    """Datasets found at a path and below it; the answer to a front end's `look`.

    `candidates`: dataset (id of the catalog's, else empty), name (proposed), root, images, classes, published_n, note,
    chosen (proposed to be taken).
    """

    path: str
    candidates: tuple[Mapping[str, Any], ...] = ()
    others: tuple[str, ...] = ()
    """Folders directly below it in which nothing was found."""
    problem: str = ""
    """Why nothing was looked at, or not everything."""
    seconds: float = 0.0


@_register
@dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The last event of a run."""

    run_id: str
    exit_code: int
    done: int
    cached: int
    failed: int
    skipped: int
    seconds: float
    out: str = ""


@_register
@dataclass(frozen=True, slots=True)
class RunRefused(Event):
    """The last event of a run that could not begin or go on; without a `run_id` of one that was not even tried."""

    run_id: str
    error: str
    hint: str
    exit_code: int


@_register
@dataclass(frozen=True, slots=True)
class QueueChanged(Event):
    """The runs that wait, in their order: id, request (`RunRequest.to_record()`), asked (seconds since the epoch)."""

    waiting: tuple[Mapping[str, Any], ...] = ()
    paused: bool = False
    """No run starts by itself."""


@_register
@dataclass(frozen=True, slots=True)
class CancelAsked(Event):
    """Somebody asked to stop the run under way."""

    run_id: str


@_register
@dataclass(frozen=True, slots=True)
class Attached(Event):
    """A front end has come: until `CaughtUp` it is told of the last run; `run_id` is empty where there was none."""

    run_id: str
    running: bool


@_register
@dataclass(frozen=True, slots=True)
class CaughtUp(Event):
    """From here on the front end hears what happens; a run without an end that is not `running` was killed."""

    run_id: str
    running: bool


def to_record(event: Event) -> dict[str, Any]:
    """Return the event as a JSON-able dict with its `type`."""
    return {"type": type(event).__name__, **asdict(event)}


def to_json(event: Event) -> str:
    """Return the event as one line of JSON (ASCII only, so no outside text reaches a terminal raw)."""
    return json.dumps(to_record(event), ensure_ascii=True, allow_nan=False, default=str)


def from_record(record: Mapping[str, Any]) -> Event:
    """Rebuild an event; unknown fields are ignored, an unknown type raises ValueError."""
    cls = Event.registry.get(str(record.get("type")))
    if cls is None:
        raise ValueError(f"unknown event type {record.get('type')!r}")
    known = {f.name for f in fields(cls)}
    return cls(**{key: _typed(cls, key, value) for key, value in record.items() if key in known})


def _typed(cls: type[Event], name: str, value: Any) -> Any:
    """Return the value of a field as its class declares it: rows of a survey are records, everything else is JSON."""
    inner = get_args(_hints(cls.__name__)[name])
    if not inner or not isinstance(inner[0], type) or not is_dataclass(inner[0]) or not isinstance(value, list | tuple):
        return value
    return tuple(row_of(each, inner[0]) for each in value)


def from_json(line: str) -> Event:
    """Rebuild an event from its line; raises ValueError for a line that is none."""
    try:
        event = from_record(json.loads(line))
        for name, hint in _hints(type(event).__name__).items():
            if not _fits(getattr(event, name), hint):
                raise ValueError(f"{type(event).__name__}: {name} is of another type")
        if isinstance(event, PlanReady):
            Plan.from_record(event.plan)
    except (TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return event


def from_line(line: str) -> Event:
    """Return the event of a line; a damaged one, or another release's, becomes a warning and costs only itself."""
    try:
        return from_json(line)
    except ValueError as error:
        return Log("warning", clean(f"the engine said something unknown: {error}"))


@cache
def _hints(kind: str) -> dict[str, Any]:
    return {
        name: hint for name, hint in get_type_hints(Event.registry[kind]).items() if get_origin(hint) is not ClassVar
    }


def _fits(value: Any, hint: Any) -> bool:
    """Return whether a value read from JSON has the type of a field."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is UnionType:
        return any(_fits(value, one) for one in inner)
    if kind is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, inner[0]) for item in value)
    if kind in (int, float):
        return isinstance(value, int | kind) and not isinstance(value, bool)
    return isinstance(value, kind)
