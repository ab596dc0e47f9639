"""The verdict on the page: first of all sections, with a card for each model of a set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from medvlm_tui.report.formats.table import Printed, Row, Table, number, numbers, texts
from medvlm_tui.report.page.blocks import VERDICT, Block, Caution, Fold, Paragraph, Section, Subtitle
from medvlm_tui.report.results.naming import model_title
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.verdict.cards import Card, DatasetVerdict, sentences, verdicts
from medvlm_tui.report.verdict.document import written_interval, written_value
from medvlm_tui.report.verdict.evidence import Evidence
from medvlm_tui.report.verdict.preference import RULE
from medvlm_tui.report.verdict.rows import summary_table

CARD = (*texts("what"), *numbers("value"), *texts("unit", "interval"), *numbers("n"), *texts("file"))


def sections(results: Gathered, written: Sequence[Path]) -> Iterator[Section]:
    """Yield the section of the verdict where a dataset has one."""
    found = verdicts(results)
    if found:
        yield Section("verdict", "Verdict", VERDICT, tuple(_blocks(found)))


def _blocks(found: Sequence[DatasetVerdict]) -> Iterator[Block]:
    yield Paragraph(
        "Which models the held-out images do not separate from the best one. Models of a set are ordered by what does "
        f"not depend on these images: {RULE}. Square brackets are 95 % intervals."
    )
    for verdict in found:
        table = summary_table(verdict)
        yield Subtitle(table.title)
        first, *others = sentences(verdict)
        yield Paragraph(first) if verdict.enough else Caution(first)
        yield from map(Paragraph, others)
        yield table
        cards = [card for card in verdict.cards if card.preferred is not None and card.evidence]
        if cards:
            yield Fold("Cards: what the run measured of each of them", tuple(map(_card, cards)))


def _card(card: Card) -> Table:
    rows = tuple(map(_row, card.evidence))
    return Table(f"card_{card.model.id}", CARD, rows, model_title(card.model))


def _row(each: Evidence) -> Row:
    value = Printed(written_value(each.value, each.unit), each.value)
    return (each.title, value, each.unit, written_interval(each), number(each.n, "d"), each.file)
