"""verdict.md: the verdict of each dataset in sentences, its table, and a card for each model of the set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from medvlm_tui.report.formats.markdown import escape, render
from medvlm_tui.report.results.naming import model_title
from medvlm_tui.report.verdict.cards import DatasetVerdict, sentences
from medvlm_tui.report.verdict.evidence import Evidence
from medvlm_tui.report.verdict.preference import RULE
from medvlm_tui.report.verdict.rows import summary_table

_HEAD = f"""# Verdict

Which models the held-out images do not separate from the best one, and what the run measured of each. Models of a set
are ordered by what does not depend on these images:
{RULE}.
The order is no ranking by accuracy, and nothing is mixed into one score. Square brackets are 95 % intervals.
"""


def document(verdicts: Sequence[DatasetVerdict]) -> str:
    """Return the document; nothing in names acts as markup."""
    return "\n".join([_HEAD, *(line for verdict in verdicts for line in _verdict(verdict))])


def _verdict(verdict: DatasetVerdict) -> Iterator[str]:
    table = summary_table(verdict)
    yield f"## {escape(table.title)}\n"
    yield from (f"- {escape(sentence)}" for sentence in sentences(verdict))
    yield ""
    yield render([replace(table, title=f"{table.title}: the models")])
    for card in verdict.cards:
        if card.preferred is not None and card.evidence:
            yield f"### {escape(model_title(card.model))}\n"
            yield from (f"- {escape(line(each))}" for each in card.evidence)
            yield ""


def line(each: Evidence) -> str:
    """Return one number of a card in words, with its interval, the images that it is over and its file."""
    interval = f" {written_interval(each)}".rstrip()
    unit = f" {each.unit}" if each.unit else ""
    chance = "" if each.chance is None else f", {written_value(each.chance, each.unit)}{unit} by chance"
    over = "" if each.n is None else f", n = {each.n}"
    return f"{each.title}: {written_value(each.value, each.unit)}{interval}{unit}{chance}{over} ({each.file})"


def written_interval(each: Evidence) -> str:
    """Return the interval of a number of a card as it is printed; empty where there is none."""
    if each.low is None or each.high is None:
        return ""
    return f"[{written_value(each.low, each.unit)}, {written_value(each.high, each.unit)}]"


def written_value(value: float, unit: str) -> str:
    """Return a number of a card as it is printed; shares and their differences in percent."""
    if unit == "%":
        return f"{100 * value:.1f}"
    return f"{100 * value:+.1f}" if unit == "points" else f"{value:.3g}"
