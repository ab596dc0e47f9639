"""Tests of the study's claims on its own printed numbers: what the published tables alone support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.catalog.published import PAPER, PublishedScore, load_published
from medvlm_tui.catalog.traits import PAPER_ADDS, paper_traits_of, traits_of
from medvlm_tui.core.specs import DatasetSpec, ModelSpec
from medvlm_tui.engine.comparison.group_records import Traits, group_records
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.permutation import GroupTest, group_test
from medvlm_tui.measures.ranks import Ranking, rank_models
from medvlm_tui.stages.records.comparison import GroupRecord

# Groups as the paper prints them: "non-medical VLMs" and "non VLMs" against the two medical ones.
_NOT_MEDICAL = "non"


@dataclass(frozen=True, slots=True)
class PublishedAudit:
    """The tests on one metric of one source."""

    source: str
    metric: str
    """As printed: accuracy or f1."""
    datasets: tuple[str, ...]
    ranking: Ranking
    medical_against_general: GroupTest | None
    """Positive: the medical models score higher. None where the source prints no groups (the poster)."""
    groups: tuple[GroupRecord, ...]
    """The same test for every trait of the catalog that divides the models, p-values adjusted by Holm over these."""
    paper_groups: tuple[GroupRecord, ...]
    """The same with the models that the paper itself counts into a group (`PAPER_ADDS`); only where these differ."""
    equal_spreads: int
    """Cells whose accuracy and F1 are printed with the same spread."""
    cells: int


def audit_published(metric: str = "accuracy", source: str = PAPER) -> PublishedAudit:
    """Run the statistics on the printed means of the models and data sets that a source covers completely.

    Copied columns are left out. Raises MedvlmError when nothing is left.
    """
    rows = [row for row in load_published() if row.source == source and row.note != "copy_error"]
    cells = {(row.dataset, row.printed_model): row for row in rows if row.metric == metric}
    models = tuple(dict.fromkeys(row.printed_model for row in rows))
    datasets = tuple(d for d in dict.fromkeys(row.dataset for row in rows) if all((d, m) in cells for m in models))
    if not datasets:
        raise MedvlmError(f"no data set of {source} has a printed {metric} for every model", "choose another source")
    scores = np.array([[cells[d, m].mean for m in models] for d in datasets])
    groups = {row.printed_model: row.group for row in rows}
    medical: NDArray[np.bool_] = np.array([not groups[m].startswith(_NOT_MEDICAL) for m in models])
    test = group_test(scores, medical) if all(groups.values()) else None
    ids = {row.printed_model: row.model for row in rows}
    known = [ids[m] for m in models]
    tests = group_records(metric, scores, _traits(known, datasets, traits_of), seed=0)
    papers = group_records(metric, scores, _traits(known, datasets, paper_traits_of), seed=0)
    papers = [each for each in papers if each.trait in PAPER_ADDS]
    equal, pairs = _equal_spreads(rows)
    ranking = rank_models(scores, models)
    return PublishedAudit(source, metric, datasets, ranking, test, tuple(tests), tuple(papers), equal, pairs)


def _traits(
    models: Sequence[str], datasets: Sequence[str], of: Callable[[ModelSpec, DatasetSpec], Traits]
) -> list[list[Traits]]:
    """Return the traits of the catalog's models on its datasets, N x k."""
    known, specs = load_models(), load_datasets()
    return [[of(known[m], specs[d]) if m in known else {} for m in models] for d in datasets]


def _equal_spreads(rows: list[PublishedScore]) -> tuple[int, int]:
    spread = {(row.dataset, row.printed_model, row.metric): row.std for row in rows}
    pairs = [(spread[d, m, "accuracy"], spread[d, m, "f1"]) for d, m, metric in spread if metric == "f1"]
    return sum(a == b for a, b in pairs), len(pairs)
