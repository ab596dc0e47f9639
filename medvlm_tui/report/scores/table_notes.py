"""What stands under a table of scores: what its marks mean, and every warning about the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medvlm_tui.catalog.published import PAPER, POSTER, SOURCES
from medvlm_tui.core.request import DRAWS, SATURATED, SHOTS
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.results.naming import dataset_title
from medvlm_tui.report.results.run_results import Cell
from medvlm_tui.report.scores.verdicts import Verdicts

if TYPE_CHECKING:
    from medvlm_tui.report.scores.score_table import Column, Entry, Score

SIGNS = {PAPER: "Δ", POSTER: "Δ′"}
_SETTINGS = {
    "knn": "Each cell has the k of the best validation macro F1",
    "few_shot": f"{SHOTS[-1]} training images a class, {DRAWS} draws",
}
_SOURCE_NAMES = {PAPER: "paper's", POSTER: "poster's"}


def notes(cells: Sequence[Cell], columns: Sequence[Column], verdicts: Mapping[str, Verdicts | None]) -> tuple[str, ...]:
    """Return the notes of a table; `verdicts` dataset -> the comparison of its models, None where there is none."""
    entries = [entry for column in columns for entry in column.entries.values()]
    over = "the draws'" if "few_shot" in _settings(cells) else "the folds'"
    lines = [f"Mean ± standard deviation over {over} classifiers on the hold-out."]
    if any(score.best for score in _all_scores(entries)):
        lines.append("Bold: best of the column.")
    lines += _tie_notes(cells, entries, verdicts)
    if any(entry.mark == "dagger" for entry in entries):
        lines.append("†: the dataset's modality was in the model's training data.")
    if any(entry.mark == "star" for entry in entries):
        lines.append("★: the dataset itself was in the model's training data.")
    for source in SOURCES:
        if any(source in entry.differences for entry in entries):
            lines.append(f"{SIGNS[source]}: accuracy minus the {_SOURCE_NAMES[source]}, in percent points.")
    if any(entry.n_differs for entry in entries):
        lines.append("ⁿ: computed on another number of images than the published one.")
    saturated = sum(cell.saturated for cell in cells)
    if saturated:
        lines.append(f"{saturated} of {len(cells)} cells are {SATURATED}; results.csv names them.")
    lines += [f"{_SETTINGS[protocol]}; readings.csv has the others." for protocol in _settings(cells)]
    return (*lines, *data_warnings(cells))


def data_warnings(cells: Sequence[Cell]) -> list[str]:
    """Return what every table on these data repeats: counts that differ from the catalog, and SYNTHETIC."""
    datasets = {cell.dataset.spec.id: cell.dataset for cell in cells}
    lines = [clean(warning) for dataset in datasets.values() for warning in dataset.warnings]
    if any(d.spec.synthetic for d in datasets.values()):
        lines.append("SYNTHETIC: images made by this program; their scores say nothing about medicine.")
    return lines


def _tie_notes(cells: Sequence[Cell], entries: Sequence[Entry], verdicts: Mapping[str, Verdicts | None]) -> list[str]:
    lines = []
    known = [verdict for verdict in verdicts.values() if verdict is not None]
    if any(score.tied for score in _all_scores(entries)):
        tests = (
            "by the paired bootstrap of images and draws"
            if known[0].protocol == "few_shot"
            else "accuracy by McNemar's mid-p test of the final classifiers, F1 by the paired bootstrap"
        )
        lines.append(
            f"=: not told apart from the best ({tests}; Holm over all pairs of models of the dataset, level "
            f"{known[0].alpha:g})."
        )
    lacking = [dataset for dataset, verdict in verdicts.items() if verdict is None and _several(cells, dataset)]
    if lacking:
        names = {cell.dataset.spec.id: dataset_title(cell.dataset) for cell in cells}
        lines.append(f"Models were not compared on {', '.join(names[d] for d in lacking)}: ties are not marked there.")
    return lines


def _settings(cells: Sequence[Cell]) -> list[str]:
    """Return the protocols among the cells whose scores are of one setting of several."""
    return [protocol for protocol in dict.fromkeys(cell.protocol for cell in cells) if protocol in _SETTINGS]


def _several(cells: Sequence[Cell], dataset: str) -> bool:
    return sum(cell.dataset.spec.id == dataset for cell in cells) > 1


def _all_scores(entries: Sequence[Entry]) -> list[Score]:
    return [score for entry in entries for score in (entry.accuracy, entry.f1) if score is not None]
