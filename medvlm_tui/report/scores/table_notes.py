"""The notes under a table of scores: what its marks mean, and every warning about the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medvlm_tui.catalog.published import PAPER, POSTER, SOURCES
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.formats.table import RAISED, TIED, TOO_FEW, Printed
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import dataset_title
from medvlm_tui.report.scores.table_records import DatasetColumns, Entry
from medvlm_tui.report.scores.verdicts import Verdicts
from medvlm_tui.stages.protocols import DRAWS, SATURATED, SHOTS

DIFFERENCE_SIGNS = {PAPER: "Δ", POSTER: "Δ′"}
"""Source of a published score -> the title of its column of differences."""
_SETTINGS = {
    "knn": "Each cell has the k of the best validation macro F1",
    "few_shot": f"{SHOTS[-1]} training images per class, {DRAWS} draws",
}
_DIFFERS = {
    "n": "computed on another number of images than the published one.",
    "c": "computed with another number of classes than the published one.",
    "p": "computed by another protocol than the published one.",
}
FULL_PRECISION = "fp32"
_SOURCE_NAMES = {PAPER: "paper's", POSTER: "poster's"}


def notes(
    cells: Sequence[Cell], columns: Sequence[DatasetColumns], verdicts: Mapping[str, Verdicts | None]
) -> tuple[str, ...]:
    """Return the notes of a table; `verdicts` dataset -> the comparison of its models, None where there is none."""
    entries = [entry for column in columns for entry in column.entries.values()]
    scores = _all_scores(entries)
    lines = _spread_notes(cells)
    if any(score.best for score in scores):
        lines.append("Bold: best of the column.")
    lines += _majority_notes(cells)
    lines += _tie_notes(cells, scores, verdicts)
    if any(score.mark == "dagger" for score in scores):
        lines.append("†: the dataset's modality was in the model's training data.")
    if any(score.mark == "star" for score in scores):
        lines.append("★: the dataset itself was in the model's training data.")
    for source in SOURCES:
        if any(source in entry.differences for entry in entries):
            lines.append(f"{DIFFERENCE_SIGNS[source]}: accuracy minus the {_SOURCE_NAMES[source]}, in percent points.")
    lines += _precision_notes(cells)
    letters = {letter for entry in entries for shown in entry.differences.values() for letter in shown.raised}
    lines += [f"{RAISED[letter]}: {text}" for letter, text in _DIFFERS.items() if letter in letters]
    saturated = sum(cell.saturated for cell in cells)
    if saturated:
        lines.append(f"{saturated} of {len(cells)} cells are {SATURATED}; results.csv names them.")
    lines += [f"{_SETTINGS[protocol]}; readings.csv has the others." for protocol in _settings(cells)]
    return (*lines, *data_warnings(cells))


def _spread_notes(cells: Sequence[Cell]) -> list[str]:
    """Return what ± is, what it leaves out, and what the interval beside it is over."""
    over = "the draws'" if "few_shot" in _settings(cells) else "the folds'"
    made = next((cell.interval for cell in cells if cell.interval is not None), None)
    if made is not None and made.seeds > 1:
        return [
            f"Mean over {made.seeds} hold-outs ± the mean of their standard deviations over {over} classifiers (root "
            "of the mean square), which leaves out which images were held out.",
            f"[low, high]: {100 * made.confidence:g} % corrected resampled interval of the mean over the hold-outs "
            "(Nadeau and Bengio 2003).",
        ]
    lines = [
        f"Mean ± standard deviation over {over} classifiers on one hold-out (root of the mean square). ± leaves out "
        "which images were held out" + ("." if made is None else ", which [low, high] takes in.")
    ]
    if made is None:
        return [*lines, "No intervals: the stage statistics did not run."]
    units = "whole groups of held-out images" if made.groups is not None else "held-out images"
    counts = {cell.dataset.spec.id: cell.interval.groups for cell in cells if cell.interval is not None}
    groups = ", ".join(
        f"{dataset_title(cell.dataset)} {counts[cell.dataset.spec.id]}"
        for cell in {cell.dataset.spec.id: cell for cell in cells}.values()
        if counts.get(cell.dataset.spec.id) is not None
    )
    known = f" (groups: {groups})" if groups else ""
    return [*lines, f"[low, high]: {100 * made.confidence:g} % interval over {units}{known}; none below five images."]


def mixed(cells: Sequence[Cell]) -> bool:
    """Return whether the cells' features were computed in more than one precision."""
    return len({cell.precision for cell in cells if cell.precision}) > 1


def _precision_notes(cells: Sequence[Cell]) -> list[str]:
    names = list(dict.fromkeys(clean(cell.precision) for cell in cells if cell.precision))
    if not mixed(cells):
        return []
    marked = ", ".join(name for name in names if name != FULL_PRECISION)
    return [
        f"{marked}: features computed in this precision; the table mixes {' and '.join(names)}, so a small difference "
        "between models may be the precision's."
    ]


def _majority_notes(cells: Sequence[Cell]) -> list[str]:
    """Return what accuracy the largest class alone would give, and what balanced accuracy would be by chance."""
    counted = {cell.dataset.spec.id: cell for cell in cells if sum(cell.held_out)}
    if not counted:
        return []
    shares = ", ".join(
        f"{dataset_title(cell.dataset)} {100 * max(cell.held_out) / sum(cell.held_out):.1f} %"
        for cell in counted.values()
    )
    chance = ", ".join(
        f"{dataset_title(cell.dataset)} {100 / sum(map(bool, cell.held_out)):.1f} %" for cell in counted.values()
    )
    return [
        f"Majority rate, the accuracy of always naming the largest class of the held-out images: {shares}; its "
        f"balanced accuracy: {chance}."
    ]


def data_warnings(cells: Sequence[Cell]) -> list[str]:
    """Return what every table on these data repeats: counts that differ from the catalog, and SYNTHETIC."""
    datasets = {cell.dataset.spec.id: cell.dataset for cell in cells}
    lines = [clean(warning) for dataset in datasets.values() for warning in dataset.warnings]
    if any(d.spec.synthetic for d in datasets.values()):
        lines.append("SYNTHETIC: images made by this program; their scores say nothing about medicine.")
    return lines


def _tie_notes(cells: Sequence[Cell], scores: Sequence[Printed], verdicts: Mapping[str, Verdicts | None]) -> list[str]:
    lines = []
    known = [verdict for verdict in verdicts.values() if verdict is not None]
    if any(score.tied for score in scores):
        lines.append(
            f"{TIED}: not told apart from the best ({_test_of(known[0])}; Holm over all pairs of models of the "
            f"dataset, level {known[0].alpha:g}). It does not say that they are equal."
        )
    lines += _smallest_notes(cells, verdicts)
    lacking = [dataset for dataset, verdict in verdicts.items() if verdict is None and _several(cells, dataset)]
    if lacking:
        names = {cell.dataset.spec.id: dataset_title(cell.dataset) for cell in cells}
        lines.append(f"Models were not compared on {', '.join(names[d] for d in lacking)}: ties are not marked there.")
    return lines


def _test_of(verdict: Verdicts) -> str:
    """Return the name of the test that compared two models."""
    if verdict.seeds > 1:
        return f"corrected resampled t test over {verdict.seeds} hold-outs"
    unit = "group by group" if verdict.protocol == "grouped" else "image by image"
    draws = "; the draws of training images count too" if verdict.protocol == "few_shot" else ""
    return f"the two models' outputs exchanged {unit}{draws}"


def _smallest_notes(cells: Sequence[Cell], verdicts: Mapping[str, Verdicts | None]) -> list[str]:
    """Return which differences in accuracy would have been seen, and where none could have been."""
    seen, few = [], []
    for dataset, verdict in verdicts.items():
        here = [cell for cell in cells if cell.dataset.spec.id == dataset]
        means = {cell.model.id: m.mean for cell in here if (m := cell.metric("accuracy")) and m.mean is not None}
        if verdict is None or not means:
            continue
        best = max(means, key=lambda model: means[model])
        title = dataset_title(here[0].dataset)
        if any(verdict.undecided(model, best, "accuracy") for model in means):
            few.append(f"{title} {verdict.units}")
        found = [s for model in means if (s := verdict.smallest_seen(model, best, "accuracy")) is not None]
        if found:
            low, high = f"{100 * min(found):.1f}", f"{100 * max(found):.1f}"
            seen.append(f"{title} {low}" + (f" to {high}" if high != low else ""))
    lines = []
    if seen:
        lines.append(
            "Smallest difference in accuracy to the best model that these images show in four of five cases, in "
            f"percent points: {', '.join(seen)}."
        )
    if few:
        lines.append(
            f"{TOO_FEW}: with so few images (or groups) no p-value could fall below the level: {', '.join(few)}."
        )
    return lines


def _settings(cells: Sequence[Cell]) -> list[str]:
    """Return the protocols among the cells whose scores are of one setting of several."""
    return [protocol for protocol in dict.fromkeys(cell.protocol for cell in cells) if protocol in _SETTINGS]


def _several(cells: Sequence[Cell], dataset: str) -> bool:
    return sum(cell.dataset.spec.id == dataset for cell in cells) > 1


def _all_scores(entries: Sequence[Entry]) -> list[Printed]:
    return [score for entry in entries for score in (entry.accuracy, entry.f1) if score is not None]
