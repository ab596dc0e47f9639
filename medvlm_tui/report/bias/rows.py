"""The bias lab's tables: every measure of every model, groups of models compared, the images' own burned-in text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import StoredResult
from medvlm_tui.report.formats.csv_file import Value, write_csv
from medvlm_tui.report.maps.rows import results
from medvlm_tui.report.results.naming import file_stem
from medvlm_tui.report.results.run_results import ReportInput

Row = Sequence[Value]
BIAS = (
    "model", "dataset", "label_view", "measure", "condition", "value", "ci_low", "ci_high", "n", "chance", "words",
    "position", "size", "contrast", "seed",
)  # fmt: skip
GROUPS = (
    "measure", "condition", "trait", "primary", "difference", "p_value", "holm", "inside", "outside", "datasets",
    "permutations", "exhaustive",
)  # fmt: skip
TEXTS = ("path", "tag", "value")


def write_all(folder: Path, source: ReportInput) -> Iterator[Path]:
    """Write what the labs of a run give; yields each file when it is complete."""
    found = labs(source)
    if found:
        write_csv(folder / "bias.csv", BIAS, (row for step, lab in found for row in _measures(source, step, lab)))
        yield folder / "bias.csv"
    groups = group_results(source)
    if groups:
        write_csv(folder / "bias_groups.csv", GROUPS, (_group(test) for record in groups for test in record["groups"]))
        yield folder / "bias_groups.csv"
    for dataset, lab in {step.dataset: lab for step, lab in reversed(found)}.items():
        path = folder / f"{file_stem('burned_text', dataset)}.csv"
        write_csv(path, TEXTS, _texts(lab))
        yield path


def labs(source: ReportInput) -> list[tuple[Step, StoredResult]]:
    """Return the bias steps of the run's models that have a result."""
    return [(step, found) for step, found in results(source, "bias") if step.model in source.models]


def group_results(source: ReportInput) -> list[dict[str, Any]]:
    """Return the records of the steps that compare groups of models."""
    steps = [step for step in source.plan.steps if step.kind == "bias_groups"]
    found = [source.store.result(step.key) for step in steps]
    return [dict(result.record) for result in found if result is not None]


def _measures(source: ReportInput, step: Step, lab: StoredResult) -> Iterator[Row]:
    record, view = lab.record, source.datasets[step.dataset].view
    drawn = (record["position"], record["height"], record["contrast"], record["seed"])
    for m in record["measures"]:
        value = (m["name"], m["condition"], m["value"], m["low"], m["high"], m["n"], m["chance"])
        yield (step.model, step.dataset, view, *value, " ".join(m.get("words", record["words"])), *drawn)


def _group(test: dict[str, Any]) -> Row:
    return tuple(test.get(name) for name in GROUPS)


def _texts(lab: StoredResult) -> Iterator[Row]:
    """Yield rows as `--tags` reads them: whether an image bears text, and each common word on it."""
    for text in lab.record["texts"]:
        yield (text["image"], "burned_text", "yes" if text["boxes"] else "no")
        for word in text["words"]:
            yield (text["image"], f"word_{word}", "yes")
