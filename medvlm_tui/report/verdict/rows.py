"""verdict.csv: one row per model and dataset, and the same numbers as a table for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medvlm_tui.report.formats.table import Mark, Printed, Row, Table, number, numbers, texts
from medvlm_tui.report.results.naming import dataset_title, model_title
from medvlm_tui.report.scores.published_difference import training_mark
from medvlm_tui.report.verdict.cards import Card, DatasetVerdict

VERDICT = (
    *texts("model", "dataset", "label_view"), *numbers("level"), *texts("in_set"), *numbers("place"), *texts("reason"),
    *numbers("accuracy", "ci_low", "ci_high", "smallest_difference", "grouped", "few_shot", "zero_shot"),
    *numbers("bias_flip_rate", "mass_over_area", "shortcut_index", "images_per_second"), *texts("licence"),
    *texts("trained_on", "protocol"), *numbers("n", "p_value", "behind", "behind_low", "behind_high"),
)  # fmt: skip
OVER_HOLD_OUTS = numbers("hold_outs", "hold_outs_inside")
"""Last columns of verdict.csv where a run had several hold-outs."""
QUOTED = ("grouped", "few_shot", "zero_shot", "bias_flip_rate", "mass_over_area", "shortcut_index", "images_per_second")
"""Columns that are evidence of the same name; empty where the run did not measure it."""
TRAINED_ON: Mapping[Mark, str] = {"star": "this dataset", "dagger": "its modality", "": ""}
"""The mark of a model's training data -> the column `trained_on`."""
SUMMARY = (
    *texts("model"), *numbers("place", "accuracy", "behind the best", "p"), *texts("reason"),
)  # fmt: skip


def verdict_table(verdicts: Sequence[DatasetVerdict]) -> Table:
    """Return verdict.csv; models outside the set have no place, and their distance to the best as the reason.

    Over several hold-outs the accuracy is the mean over them, the interval is the corrected resampled one, and
    `hold_outs_inside` counts the hold-outs in whose own set the model is.
    """
    every = [(verdict, card) for verdict in verdicts for card in verdict.cards]
    rows = tuple(_row(verdict, card) for verdict, card in every)
    if all(verdict.record.seeds == 1 for verdict in verdicts):
        return Table("verdict", VERDICT, rows, "Verdict")
    more = [(verdict.record.seeds, card.candidate.hold_outs_inside) for verdict, card in every]
    longer = tuple((*row, *each) for row, each in zip(rows, more, strict=True))
    return Table("verdict", (*VERDICT, *OVER_HOLD_OUTS), longer, "Verdict")


def summary_table(verdict: DatasetVerdict) -> Table:
    """Return the printed table of one dataset."""
    title = f"{dataset_title(verdict.dataset)}, {verdict.record.protocol}"
    return Table(f"verdict_{verdict.dataset.spec.id}", SUMMARY, tuple(map(_summary, verdict.cards)), title)


def reason(card: Card) -> str:
    """Return why a model has its place in the set, or why it is outside."""
    if card.preferred is not None:
        return card.preferred.reason
    found = card.candidate
    span = f"[{100 * found.behind_low:.1f}, {100 * found.behind_high:.1f}]"
    return f"behind the best by {100 * found.behind:.1f} {span} points, p {found.p_value:.2g}"


def _row(verdict: DatasetVerdict, card: Card) -> Row:
    found, record = card.candidate, verdict.record
    place = None if card.preferred is None else card.preferred.place
    seen = TRAINED_ON[training_mark(card.model, verdict.dataset.spec)]
    return (
        card.model.id, verdict.dataset.spec.id, verdict.dataset.view, record.level, found.inside, place, reason(card),
        found.accuracy, card.low, card.high, found.smallest_seen, *(card.number(name) for name in QUOTED),
        card.model.licence, seen, record.protocol, record.n, found.p_value,
        found.behind, found.behind_low, found.behind_high,
    )  # fmt: skip


def _summary(card: Card) -> Row:
    found = card.candidate
    low, high = card.low, card.high
    span = "" if low is None or high is None else f"[{100 * low:.1f}, {100 * high:.1f}]"
    accuracy = Printed(f"{100 * found.accuracy:.1f}", found.accuracy, best=found.behind == 0, interval=span)
    place = None if card.preferred is None else card.preferred.place
    behind = number(100 * found.behind, ".1f")
    return (model_title(card.model), place, accuracy, behind, number(found.p_value, ".2g"), reason(card))
