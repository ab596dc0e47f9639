"""Everything that a run says of one model on one dataset, quoted from its tables with intervals and counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from medvlm_tui.report.background.rows import tables_of as covered_lesions
from medvlm_tui.report.bias.rows import measured
from medvlm_tui.report.formats.table import Table
from medvlm_tui.report.language.rows import HOLD_OUT, tables_of
from medvlm_tui.report.maps.rows import similarity
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.saliency.rows import quality
from medvlm_tui.report.scores.group_gap import gap_table
from medvlm_tui.report.scores.side_tables import cost_table

Names = tuple[str, str]
"""Model and dataset."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number of a card."""

    name: str
    """Key of the number, as verdict.csv has it."""
    title: str
    """The number in words."""
    value: float
    file: str
    """The file of the run that has it."""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    """Images that it is over."""
    chance: float | None = None
    unit: str = ""
    """`%`: a share, printed as percent; `points`: a difference of shares; else the unit of `value`."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A number that is taken from a table: the rows of a measure, and under one condition where there are several."""

    name: str
    title: str
    measure: str
    condition: str = ""
    unit: str = ""


BIAS = (
    Quoted("bias_flip_rate", "predictions that a burned-in word changes", "flip_rate", "text", "%"),
    Quoted("bias_shift", "shift of the features by a word, over the median distance between images", "shift", "text"),
)
BACKGROUND = (
    Quoted("cost_of_cover", "accuracy lost by covering the lesion beyond covering as much elsewhere, fill mean",
           "cost_of_cover", "mean", "points"),
    Quoted("shortcut_index", "knowledge of the class with the lesion covered, over that of whole images, fill mean",
           "shortcut_index", "mean"),
)  # fmt: skip
SALIENCY = (
    Quoted("mass_over_area", "saliency inside the lesion beyond the lesion's share of the area",
           "mass_over_area_lesion", unit="points"),
    Quoted("mass_over_area_text", "saliency on burned-in text beyond the text's share of the area",
           "mass_over_area_text", unit="points"),
)  # fmt: skip


def evidence(results: Gathered) -> Mapping[Names, tuple[Evidence, ...]]:
    """Return what the run measured of each model on each dataset, in the order of a card."""
    found: dict[Names, list[Evidence]] = {}
    for names, one in _all(results):
        found.setdefault(names, []).append(one)
    return {names: tuple(each) for names, each in found.items()}


def _all(results: Gathered) -> Iterator[tuple[Names, Evidence]]:
    yield from _other_protocols(results.cells)
    yield from _leakage(gap_table(results))
    yield from _zero_shot(results)
    yield from _calibration(results.cells)
    for table in measured(results):
        if table.name == "bias":
            yield from _quoted(table, BIAS, value="value")
    for table in covered_lesions(results):
        yield from _quoted(table, BACKGROUND, value="value")
    yield from _quoted(quality(results.explained), SALIENCY, value="mean")
    yield from _twins(results)
    yield from _cost(cost_table(results.tables))


def _rows(table: Table) -> Iterator[Mapping[str, object]]:
    """Yield each row of a table by the names of its columns."""
    for row in table.values:
        yield dict(zip(table.names, row, strict=True))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _names(row: Mapping[str, object]) -> Names:
    return str(row["model"]), str(row["dataset"])


def _with_interval(each: Evidence, row: Mapping[str, object]) -> Evidence:
    """Return the number with the interval and the images of its row."""
    n = _number(row["n"])
    return replace(each, low=_number(row["ci_low"]), high=_number(row["ci_high"]), n=None if n is None else int(n))


def _other_protocols(cells: Sequence[Cell]) -> Iterator[tuple[Names, Evidence]]:
    """Yield the accuracy under the protocols that ask for more than the verdict's own."""
    titles = {"grouped": "accuracy with every group on one side of the split", "few_shot": "accuracy with {setting}"}
    for cell in cells:
        metric = cell.metric("accuracy")
        if cell.protocol in titles and metric is not None and metric.mean is not None:
            title = titles[cell.protocol].format(setting=f"{cell.setting} per class" if cell.setting else "few images")
            yield (
                (cell.model.id, cell.dataset.spec.id),
                Evidence(
                    cell.protocol, title, metric.mean, "results.csv", metric.low, metric.high, cell.n_test, unit="%"
                ),
            )


def _leakage(table: Table) -> Iterator[tuple[Names, Evidence]]:
    for row in _rows(table):
        value = _number(row["paper_minus_grouped"])
        if row["metric"] == "accuracy" and value is not None:
            title = "accuracy that goes when groups are kept together"
            yield _names(row), _with_interval(Evidence("leakage", title, value, "leakage.csv", unit="points"), row)


def _zero_shot(results: Gathered) -> Iterator[tuple[Names, Evidence]]:
    """Yield the accuracy of each model's first set of prompts on the probe's hold-out."""
    seen: set[Names] = set()
    for table in tables_of(results):
        for row in _rows(table) if table.name == "zero_shot" else ():
            names, value = _names(row), _number(row["mean"])
            if row["metric"] != "accuracy" or row["rows"] != HOLD_OUT or value is None or names in seen:
                continue
            seen.add(names)
            title = f"zero-shot accuracy, prompts: {row['prompt_set']}"
            yield names, _with_interval(Evidence("zero_shot", title, value, "zero_shot.csv", unit="%"), row)


def _calibration(cells: Sequence[Cell]) -> Iterator[tuple[Names, Evidence]]:
    for cell in cells:
        metric, calibrated = cell.metric("ece"), cell.metric("ece_calibrated")
        if cell.protocol == "paper" and metric is not None and metric.mean is not None:
            beside = "" if calibrated is None else f" ({_percent(calibrated.mean)} for a calibrated classifier)"
            yield (cell.model.id, cell.dataset.spec.id), Evidence(
                "ece", f"expected calibration error{beside}", metric.mean, "results.csv", metric.low, metric.high,
                cell.n_test, unit="%",
            )  # fmt: skip


def _percent(share: float | None) -> str:
    return "undefined" if share is None else f"{100 * share:.1f} %"


def _quoted(table: Table, wanted: Sequence[Quoted], value: str) -> Iterator[tuple[Names, Evidence]]:
    for row in _rows(table):
        for quoted in wanted:
            number = _number(row[value])
            here = row["measure"] == quoted.measure and row.get("condition", "") == quoted.condition
            if here and number is not None:
                chance, file = _number(row.get("chance")), f"{table.name}.csv"
                each = Evidence(quoted.name, quoted.title, number, file, chance=chance, unit=quoted.unit)
                yield _names(row), _with_interval(each, row)


def _twins(results: Gathered) -> Iterator[tuple[Names, Evidence]]:
    """Yield how alike a model's features and those of its general counterpart are."""
    models = results.source.models
    for row in _rows(similarity(results)):
        pair = (str(row["model_a"]), str(row["model_b"]))
        value, chance = _number(row["value"]), _number(row["by_chance"])
        for model, other in (pair, pair[::-1]):
            if row["measure"] == "cka" and value is not None and model in models and models[model].counterpart == other:
                title = f"similarity (CKA) to its general counterpart {other}"
                each = Evidence("twin", title, value, "similarity.csv", chance=chance)
                yield (model, str(row["dataset"])), _with_interval(each, row)


def _cost(table: Table) -> Iterator[tuple[Names, Evidence]]:
    for row in _rows(table):
        rate, memory = _number(row["images_per_second"]), _number(row["peak_memory_bytes"])
        names = _names(row)
        if rate is not None:
            title = f"images per second on {row['device']}, {row['precision']}"
            yield names, Evidence("images_per_second", title, rate, "cost.csv")
        if memory is not None:
            yield names, Evidence("peak_memory", "peak memory", memory / 2**30, "cost.csv", unit="GiB")
