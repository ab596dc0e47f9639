"""The verdict of a dataset: its confidence set, the order within it, and a card for each model of the set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medvlm_tui.core.counts import counted
from medvlm_tui.core.specs import Dataset, ModelSpec
from medvlm_tui.report.results.cells import by_task
from medvlm_tui.report.results.run_results import Compared, Gathered, made_once
from medvlm_tui.report.verdict.evidence import Evidence, Names, evidence
from medvlm_tui.report.verdict.preference import Candidate, Preferred, preferred
from medvlm_tui.stages.records.verdict import CandidateRecord, VerdictRecord


@dataclass(frozen=True, slots=True)
class Card:
    """One model on one dataset."""

    model: ModelSpec
    candidate: CandidateRecord
    low: float | None
    """The interval of its accuracy over held-out images, or over several hold-outs."""
    high: float | None
    preferred: Preferred | None
    """Its place in the set; None outside it."""
    evidence: tuple[Evidence, ...]

    def number(self, name: str) -> float | None:
        """Return the evidence of this name, None where the run has none."""
        return next((each.value for each in self.evidence if each.name == name), None)


@dataclass(frozen=True, slots=True)
class DatasetVerdict:
    """The verdict of a run on the models on one dataset under one protocol."""

    dataset: Dataset
    record: VerdictRecord
    cards: tuple[Card, ...]
    """The models of the set in their order, then the others by falling accuracy."""

    @property
    def smallest_difference(self) -> float | None:
        """The difference to the best that every model would have needed to be seen in four of five cases."""
        seen = [card.candidate.smallest_seen for card in self.cards if card.candidate is not self.record.best]
        return None if not seen or None in seen else max(value for value in seen if value is not None)

    @property
    def enough(self) -> bool:
        """True where some model is separated from the best: else the images give no reason to choose."""
        return len(self.record.inside) < len(self.record.candidates)


@made_once
def verdicts(results: Gathered) -> tuple[DatasetVerdict, ...]:
    """Return a verdict for each dataset and protocol that has a confidence set."""
    known = evidence(results)
    return tuple(_verdict(results, compared, known) for compared in results.confidence_sets)


def sentences(verdict: DatasetVerdict) -> Iterator[str]:
    """Yield the verdict, its basis and what would change it, a sentence each."""
    record = verdict.record
    names = [card.model.name for card in verdict.cards if card.candidate.inside]
    units = counted(record.n, "held-out image" if record.seeds == 1 else "different held-out image")
    if record.groups is not None:
        units = f"{counted(record.groups, 'group')} of {units}"
    if len(record.candidates) == 1:
        yield f"Not enough evidence: {names[0]} is the only model that was measured."
    elif record.too_few:
        yield f"Not enough evidence: with {units} no model can be separated from another at this level."
    elif not verdict.enough:
        yield f"Not enough evidence to choose by accuracy: none of {len(names)} models is separated from the best."
    elif len(names) == 1:
        yield f"{names[0]} is the best of {len(record.candidates)} models; every other one is separated from it."
    else:
        first = f"The best of {len(record.candidates)} models is among these {len(names)}, in order of preference:"
        yield f"{first} {', '.join(names)}."
    yield from _basis(record, verdict.cards, units)
    yield from _limits(verdict, units)


def _basis(record: VerdictRecord, cards: Sequence[Card], units: str) -> Iterator[str]:
    if len(record.candidates) == 1:
        return
    drawn = "all sign flips" if record.exhaustive else f"{record.draws:,} sign flips"
    mean = "" if record.seeds == 1 else f", the mean over {record.seeds} hold-outs,"
    yield (
        f"This rests on the accuracy under {record.protocol}{mean} over {units}: a model confidence set at level "
        f"{record.level:.0%}, by {drawn}."
    )
    times = [f"{card.model.name} {card.candidate.hold_outs_inside}" for card in cards if card.candidate.inside]
    if record.seeds > 1:
        yield f"Of {record.seeds} hold-outs alone, in the set of: {', '.join(times)}."
    if record.left_out:
        yield f"{counted(record.left_out, 'held-out image')} could not be read for every model and took no part."


def _limits(verdict: DatasetVerdict, units: str) -> Iterator[str]:
    smallest = verdict.smallest_difference
    if len(verdict.cards) > 1 and smallest is not None:
        yield (
            f"What would change it: with {units}, differences to the best below {100 * smallest:.1f} points are "
            "likely to stay unseen."
        )


def _verdict(
    results: Gathered, compared: Compared[VerdictRecord], known: Mapping[Names, Sequence[Evidence]]
) -> DatasetVerdict:
    dataset, record = results.source.datasets[compared.dataset], compared.record
    # An interval over other hold-outs than the accuracy beside it would belong to another number.
    spans = {
        cell.model.id: cell.metric("accuracy")
        for cell in by_task(results.cells).get((compared.dataset, record.protocol), ())
        if max(1, len(cell.hold_outs)) == record.seeds
    }
    models = results.source.models
    places = {
        each.model: each
        for each in preferred([_candidate(models[c.model], compared.dataset, known) for c in record.inside], dataset)
    }
    cards = []
    for candidate in record.candidates:
        span = spans.get(candidate.model)
        cards.append(
            Card(
                model=models[candidate.model],
                candidate=candidate,
                low=None if span is None else span.low,
                high=None if span is None else span.high,
                preferred=places.get(candidate.model),
                evidence=tuple(known.get((candidate.model, compared.dataset), ())),
            )
        )
    return DatasetVerdict(dataset, record, tuple(sorted(cards, key=_order)))


def _candidate(model: ModelSpec, dataset: str, known: Mapping[Names, Sequence[Evidence]]) -> Candidate:
    rates = [each.value for each in known.get((model.id, dataset), ()) if each.name == "images_per_second"]
    return Candidate(model, rates[0] if rates else None)


def _order(card: Card) -> tuple[bool, int, float]:
    place = 0 if card.preferred is None else card.preferred.place
    return (card.preferred is None, place, -card.candidate.accuracy)
