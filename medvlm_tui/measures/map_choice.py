"""Which of several maps is proposed: one rule for the engine, the report and the screens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

RULE = "the highest mean of trustworthiness and continuity"
Scores = Mapping[str, float | None]


def faithfulness(scores: Scores) -> float:
    """Return the mean of a map's trustworthiness and continuity, of the one that is defined, 0 where none is.

    Neither reads a label, so that a proposal cannot favour the map that flatters the classes.
    """
    known = [value for name in ("trustworthiness", "continuity") if (value := scores.get(name)) is not None]
    return sum(known) / len(known) if known else 0.0


def proposed(scores: Sequence[Scores]) -> int:
    """Return the position of the proposed map: the most faithful one, the first of equals."""
    values = [faithfulness(each) for each in scores]
    return values.index(max(values))
