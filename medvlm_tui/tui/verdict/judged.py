"""Verdicts read from the store: the set, its sentences, and the cards of its models, as the report has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset
from medvlm_tui.core.workspace.results_index import Made, ResultsIndex
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.stages.verdict import VERDICT
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.report_specs import dataset_spec, model_spec

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Store
    from medvlm_tui.report.verdict.cards import DatasetVerdict


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict of one dataset under one protocol, with the words of the report, safe to show."""

    verdict: DatasetVerdict
    sentences: tuple[str, ...]
    """The verdict, what it rests on, what would change it."""
    reasons: Mapping[str, str]
    """Model -> why it has its place in the set, or why it is outside."""
    evidence: Mapping[str, tuple[str, ...]]
    """Model -> the numbers of its card, each with its interval, its images and its file."""


def read_judged(store: Store, workspace: Path, board: Board, dataset: str, key: str) -> Judged | None:
    """Return the verdict under a key with everything its run measured; None where the store has it no more.

    Raises MedvlmError for a result that cannot be read.
    """
    from medvlm_tui.report.results.run_results import Gathered, ReportInput
    from medvlm_tui.report.verdict.cards import sentences, verdicts
    from medvlm_tui.report.verdict.document import line
    from medvlm_tui.report.verdict.rows import reason

    record = store.read_record(key, VERDICT.record)
    if record is None:
        return None
    index = ResultsIndex(workspace / "runs", workspace / "results.json", read_only=True)
    made = [one for one in index.beside(dataset, VERDICT.kind, key) if one.kind != VERDICT.kind]
    steps = (
        Step(f"verdict:{dataset}", VERDICT.kind, "", dataset, {"protocol": record.protocol}, key),
        *map(_step, made),
    )
    models = {candidate.model for candidate in record.candidates} | {one.model for one in made if one.model}
    source = ReportInput(
        run_id="",
        plan=Plan("", steps),
        request=RunRequest(),
        models={model: model_spec(board, model) for model in models},
        datasets={dataset: Dataset(dataset_spec(board, dataset), Path(), _view(store, made), (), ())},
        store=store,
    )
    (verdict,) = verdicts(Gathered(source))
    return Judged(
        verdict,
        tuple(map(clean, sentences(verdict))),
        {card.model.id: clean(reason(card)) for card in verdict.cards},
        {card.model.id: tuple(clean(line(each)) for each in card.evidence) for card in verdict.cards},
    )


def _step(made: Made) -> Step:
    """Return a stored result as the step of a plan."""
    return Step(
        f"{made.kind}:{made.model}:{made.dataset}:{made.detail}", made.kind, made.model, made.dataset,
        {"protocol": made.detail} if made.detail else {}, made.key,
    )  # fmt: skip


def _view(store: Store, made: list[Made]) -> str:
    """Return the label view of the scores."""
    records = (store.read_record(one.key, PROBE.record) for one in made if one.kind == PROBE.kind)
    return next((record.label_view for record in records if record is not None), "")
