"""The cost of a planned run: steps, images, time by earlier runs, disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from medvlm_tui.core.counts import byte_count
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.workspace.past_runs import StepTime
from medvlm_tui.tui.state.board import Board

# A feature table and the blocks that it was sealed from, float32 each.
_BYTES_A_FEATURE = 8
# An explained image: its pixels, and a map and its errors in float32, for the predicted class and for the classes.
_BYTES_AN_EXPLAINED_PIXEL = 3 + 4 * 3
_SIDE_PX = 224
_QUICK = ("statistics", "pairs", "ranking", "bias_groups", "report")
"""Kinds of a second or so; a time that nobody knows is none worth a word."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The size of a planned run."""

    to_do: int
    had: int
    blocked: int
    images: int
    """Images to encode."""
    masked: int
    """Masked images to encode, at most."""
    seconds: float
    """Of the steps whose time is known."""
    unknown: tuple[str, ...]
    """Kinds of steps of which no earlier run tells the time."""
    disk_bytes: int


def cost(plan: Plan, board: Board, times: Sequence[StepTime], kept_masks: int = 0) -> Cost:
    """Return what the plan's open steps cost; `kept_masks` of each explained image are scored already."""
    open_steps = [step for step in plan.steps if not step.have and not step.blocked]
    known = [(step, _seconds(step, _units(step, board, kept_masks), times)) for step in open_steps]
    unknown = dict.fromkeys(step.kind for step, seconds in known if seconds is None and step.kind not in _QUICK)
    masked = sum(_units(step, board, kept_masks) for step in open_steps if step.kind == "saliency")
    return Cost(
        to_do=len(open_steps),
        had=sum(step.have for step in plan.steps),
        blocked=sum(bool(step.blocked) for step in plan.steps),
        images=sum(step.images for step in open_steps),
        masked=masked,
        seconds=sum(seconds for _, seconds in known if seconds is not None),
        unknown=tuple(unknown),
        disk_bytes=sum(_disk(step, board) for step in open_steps),
    )


def _units(step: Step, board: Board, kept_masks: int) -> int:
    """Return the images that a step encodes, masked ones where it explains."""
    if step.kind != "saliency":
        return step.images
    return max(0, int(step.params.get("masks", 0)) - kept_masks) * _explained(step, board)


def _explained(step: Step, board: Board) -> int:
    images = step.params.get("images") or ()
    classes = len(board.datasets[step.dataset].classes) if step.dataset in board.datasets else 1
    return len(images) or int(step.params.get("images_per_class", 1)) * max(1, classes)


def _seconds(step: Step, units: int, times: Sequence[StepTime]) -> float | None:
    """Return a step's time by those of its kind: of the same cell, else of the same model, else of any; None without
    one. It grows with the images where both are known."""
    for same in (
        [one for one in times if (one.kind, one.model, one.dataset) == (step.kind, step.model, step.dataset)],
        [one for one in times if (one.kind, one.model) == (step.kind, step.model)],
        [one for one in times if one.kind == step.kind],
    ):
        rates = [one.seconds / one.units for one in same if one.units]
        if units and rates:
            return units * median(rates)
        if same:
            return median(one.seconds for one in same)
    return None


def _disk(step: Step, board: Board) -> int:
    if step.kind == "extract":
        dim = board.models[step.model].dim if step.model in board.models else 1024
        return step.images * dim * _BYTES_A_FEATURE
    if step.kind == "saliency":
        return _explained(step, board) * _SIDE_PX**2 * _BYTES_AN_EXPLAINED_PIXEL
    return 0


def in_words(one: Cost) -> list[str]:
    """Return a cost as short phrases."""
    parts = [f"{one.to_do} to do", f"{one.had} there already"]
    parts += [f"{one.blocked} blocked"] if one.blocked else []
    words = [", ".join(parts)]
    words += [f"{one.images:,} images to encode"] if one.images else []
    words += [f"up to {one.masked:,} masked images"] if one.masked else []
    words.append(_time(one))
    words += [f"about {byte_count(one.disk_bytes)} of disk"] if one.disk_bytes else []
    return words


def _time(one: Cost) -> str:
    known = f"about {duration(one.seconds)}" if one.seconds >= 1 or not one.unknown else ""
    kinds = ", ".join(kind.replace("_", " ") for kind in one.unknown)
    if one.unknown and known:
        return f"{known} and {kinds}, whose time no earlier run tells"
    return f"time unknown: no earlier run of {kinds} here" if one.unknown else known


def duration(seconds: float) -> str:
    """Return a time to one or two digits: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def times_of(runs: Iterable[tuple[StepTime, ...]]) -> list[StepTime]:
    """Return the times of all steps of several runs."""
    return [one for steps in runs for one in steps]
