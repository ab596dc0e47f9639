"""The critical difference diagram as text: one line per model, bars beside the models that are not told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NARROWEST_AXIS = 12
_WIDEST_NAME = 28
# The rank with its space, before the axis.
_RANK = 8


@dataclass(frozen=True, slots=True)
class RankedModels:
    """Data of the diagram."""

    names: Mapping[str, str]
    """Model id -> its name, safe to show."""
    mean_ranks: Mapping[str, float]
    critical_difference: float
    cliques: Sequence[Sequence[str]]
    """Runs of models that are not told apart."""


def diagram(ranked: RankedModels, width: int) -> list[str]:
    """Return lines of at most `width` cells, the best model first.

    A dot stands at each mean rank; the vertical bars at the right join models that are not told apart.
    """
    order = sorted(ranked.mean_ranks, key=lambda model: ranked.mean_ranks[model])
    bars = _bars(order, ranked.cliques)
    columns = max((len(bar) for bar in bars), default=0)
    names = min(_WIDEST_NAME, max((len(ranked.names[model]) for model in order), default=0))
    axis = width - names - _RANK - (columns + 2 if columns else 0)
    if axis < _NARROWEST_AXIS:
        names, axis = max(8, names - (_NARROWEST_AXIS - axis)), _NARROWEST_AXIS
    lines = _head(len(order), ranked.critical_difference, names, axis)
    for model, bar in zip(order, bars, strict=True):
        rank = ranked.mean_ranks[model]
        track = ("·" * _place(rank, len(order), axis) + "●").ljust(axis)
        lines.append(f"{_cut(ranked.names[model], names)} {rank:6.2f} {track}  {bar}")
    return [line.rstrip()[:width] for line in lines]


def _head(k: int, critical: float, names: int, axis: int) -> list[str]:
    """Return how long the critical difference is, and the axis of ranks under it."""
    marks = [" "] * axis
    for rank in sorted({1, (1 + k) // 2, k}):
        start = min(_place(rank, k, axis), axis - len(str(rank)))
        marks[start : start + len(str(rank))] = str(rank)
    reach = min(axis, max(2, _place(1 + critical, k, axis) + 1))
    end = "┤" if critical <= k - 1 else "▶"
    room = names + _RANK - 1
    words = f"critical difference {critical:.2f}"
    if len(words) > room:
        words = f"CD {critical:.2f}"
    return [f"{words:>{room}} ├{'─' * (reach - 2)}{end}", f"{'mean rank':>{room}} {''.join(marks)}"]


def _place(rank: float, k: int, axis: int) -> int:
    return round((rank - 1) / max(k - 1, 1) * (axis - 1))


def _bars(order: Sequence[str], cliques: Sequence[Sequence[str]]) -> list[str]:
    """Return the bars beside each model; one that has ended leaves its column to a later one."""
    index = {model: number for number, model in enumerate(order)}
    spans = sorted((min(index[m] for m in clique), max(index[m] for m in clique)) for clique in cliques)
    ends: list[int] = []
    grid: list[dict[int, str]] = [{} for _ in order]
    for first, last in spans:
        column = next((c for c, end in enumerate(ends) if end < first), len(ends))
        ends[column : column + 1] = [last]
        for row in range(first, last + 1):
            grid[row][column] = "┐" if row == first else "┘" if row == last else "│"
    return ["".join(row.get(column, " ") for column in range(len(ends))) for row in grid]


def _cut(name: str, width: int) -> str:
    return name.ljust(width) if len(name) <= width else name[: width - 1] + "…"
