"""`medvlm-tui audit`: what the study's published tables support, by the tests a reviewer would ask for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from medvlm_tui.catalog.models import load_models
from medvlm_tui.catalog.traits import PAPER_ADDS, TRAITS
from medvlm_tui.engine.comparison.published_tests import PublishedAudit, audit_published
from medvlm_tui.errors import ExitCode
from medvlm_tui.render.critical_difference import RankedModels, diagram
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest

_METRICS = ("accuracy", "f1")
_DIAGRAM_WIDTH = 76


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Print the tests on both printed metrics."""
    audits = [audit_published(metric) for metric in _METRICS]
    if options.json:
        print(json.dumps([_record(audit) for audit in audits], indent=2, ensure_ascii=True))
    else:
        print("\n\n".join("\n".join(lines(audit)) for audit in audits))
    return int(ExitCode.OK)


def _record(audit: PublishedAudit) -> dict[str, Any]:
    ranking = audit.ranking
    return {**asdict(audit), "pairs": ranking.pairs, "separable": [list(pair) for pair in ranking.separable]}


def _as_the_paper(audit: PublishedAudit, trait: str) -> Iterator[str]:
    """Yield the test with the models that the paper counts into the group beside those that belong to it."""
    for group in audit.paper_groups:
        if group.trait == trait:
            names = ", ".join(load_models()[model].name for model in PAPER_ADDS[trait])
            yield f"    as the paper counts, with {names}: {100 * group.difference:+.2f} points,"
            yield f"    p {group.p_value:.2g}, {group.holm:.2g} by Holm ({group.inside} models inside)"


def lines(audit: PublishedAudit) -> Iterator[str]:
    """Yield the audit of one metric as text."""
    ranking = audit.ranking
    k, n = len(ranking.models), ranking.datasets
    yield f"{audit.source}, {audit.metric}: {k} models on {n} datasets, as printed"
    rest = "" if ranking.iman_davenport is None else f", Iman and Davenport's F {ranking.iman_davenport:.1f}"
    yield f"  Friedman chi2 {ranking.chi2:.1f}{rest}, p {ranking.p_value:.2g} ({ranking.method})"
    yield f"  Nemenyi critical difference {ranking.critical_difference:.2f} mean ranks at level {ranking.alpha:g}"
    yield f"  {len(ranking.separable)} of {ranking.pairs} pairs of models are separable"
    test = audit.medical_against_general
    if test is not None:
        how = "all divisions" if test.exhaustive else f"{test.permutations:,} permutations"
        yield f"  medical against general: {100 * test.difference:+.2f} points, p {test.p_value:.2g} ({how})"
    for group in audit.groups:
        trait = TRAITS[group.trait]
        models = f"{group.inside} and {group.outside} models on {group.datasets} datasets"
        yield f"  {trait.inside} against {trait.outside}: {100 * group.difference:+.2f} points,"
        yield f"    p {group.p_value:.2g}, {group.holm:.2g} by Holm ({models})"
        yield from _as_the_paper(audit, group.trait)
    yield f"  {audit.equal_spreads} of {audit.cells} cells print one spread for accuracy and F1"
    ranks = dict(zip(ranking.models, ranking.mean_ranks, strict=True))
    names = {model: model for model in ranking.models}
    shown = RankedModels(names, ranks, ranking.critical_difference, ranking.cliques)
    yield from (f"  {line}" for line in diagram(shown, _DIAGRAM_WIDTH))
    yield "  bars join models that are not told apart"
