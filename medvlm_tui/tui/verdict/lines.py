"""A verdict as lines: the datasets, the models of one, and the card of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.tui.shared.rows import Row, plain, spread
from medvlm_tui.tui.shared.told import wrapped
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.states import GREEN, GREY, YELLOW

if TYPE_CHECKING:
    from medvlm_tui.report.verdict.cards import Card
    from medvlm_tui.tui.verdict.judged import Judged

NUMBERS = "{accuracy:>6} {interval:>14} {behind:>7} {p:>7}"
_HEAD = NUMBERS.format(accuracy="acc. %", interval="95 %", behind="behind", p="p")


def set_rows(board: Board, records: Mapping[tuple[str, str], VerdictRecord]) -> list[Row]:
    """Return a line for each dataset and protocol, which is named where a dataset has several."""
    rows, counts = [], Counter(dataset for dataset, _ in records)
    for (dataset, protocol), record in records.items():
        name = board.dataset_name(dataset) + (f", {clean(protocol)}" if counts[dataset] > 1 else "")
        rows.append(Row(row_id(dataset, protocol), partial(spread, Text(name), in_short(record))))
    return rows


def row_id(dataset: str, protocol: str) -> str:
    """Return the id of the line of a dataset under a protocol."""
    return f"{protocol}:{dataset}"


def in_short(record: VerdictRecord) -> Text:
    """Return the verdict in a few words, with its numbers."""
    inside, count = len(record.inside), len(record.candidates)
    if inside == count:
        return Text("not enough evidence", style=YELLOW)
    return Text("1 best" if inside == 1 else f"{inside} of {count}", style=GREEN)


def model_rows(board: Board, judged: Judged, width: int) -> list[Row]:
    """Return the verdict's sentence, its models (those of the set in their order, then the others), and below them what
    it rests on and what would change it."""
    first, *others = judged.sentences
    enough = judged.verdict.enough
    rows = wrapped([Text(first, style="bold" if enough else f"bold {YELLOW}")], width)
    inside = [card for card in judged.verdict.cards if card.candidate.inside]
    outside = [card for card in judged.verdict.cards if not card.candidate.inside]
    for title, cards in (("not separated from the best", inside), ("behind the best", outside)):
        if cards:
            rows += [Row("", partial(spread, Text(f"{title}: {len(cards)}", GREY), Text(_HEAD, GREY)))]
            rows += [Row(card.model.id, partial(_model_line, board.model_name(card.model.id), card)) for card in cards]
    return [*rows, plain(Text()), *wrapped([Text(sentence) for sentence in others], width)]


def _model_line(name: str, card: Card, width: int) -> Text:
    found, place = card.candidate, card.preferred
    numbers = NUMBERS.format(
        accuracy=f"{100 * found.accuracy:.1f}",
        interval=interval(card.low, card.high),
        behind=f"{100 * found.behind:.1f}",
        p=f"{found.p_value:.2g}",
    )
    head = f"{place.place if place is not None else '-':>3} {name}"
    return spread(Text(head, style="" if found.inside else GREY), Text(numbers), width)


def interval(low: float | None, high: float | None) -> str:
    """Return an interval of a share in percent, empty where there is none."""
    return "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"


def card_lines(judged: Judged, model: str) -> Iterator[Text]:
    """Yield what the run measured of one model, what each number rests on, and what would change the verdict."""
    card = next(card for card in judged.verdict.cards if card.model.id == model)
    record, found = judged.verdict.record, card.candidate
    if card.preferred is not None:
        yield Text(f"Place {card.preferred.place} in the set: {judged.reasons[model]}.", style="bold")
    else:
        yield Text(f"Outside the set: {judged.reasons[model]}.", style="bold")
    span = f" {interval(card.low, card.high)}".rstrip()
    over = f"{record.n:,} held-out images, protocol {clean(record.protocol)}"
    yield Text(f"accuracy: {100 * found.accuracy:.1f}{span} %, {over} (results.csv)")
    if found.smallest_seen is not None:
        yield Text(
            f"A difference to the best of {100 * found.smallest_seen:.1f} points would have been seen in four of five "
            "cases with these images; a smaller one likely not.",
            style=GREY,
        )
    elif found.behind or (len(record.candidates) > 1 and found is not record.best):
        yield Text("No difference to the best could have been seen with so few images.", style=YELLOW)
    yield Text()
    yield from map(Text, judged.evidence[model])
    if not judged.evidence[model]:
        yield Text("Nothing else was measured of it: r runs the other analyses of these models.", style=GREY)
