"""Language: zero-shot by the texts of the classes, and how texts and images lie in their common space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.stages.params.language import AlignmentParams, ReadingParams, ZeroShotParams
from medvlm_tui.stages.probe import linear_probe, on_linear_probe
from medvlm_tui.stages.records.language import AlignmentRecord, ReadingRecord, ZeroShotRecord
from medvlm_tui.stages.stage import Draft, PlannedCell, Remark, Scope, Stage, View


def _asked(cell: PlannedCell) -> Mapping[str, Any]:
    """Return the parameters of both stages: the texts themselves, and the encoder that reads them."""
    assert cell.text is not None
    return {"sets": [each.to_record() for each in cell.prompts], "text": cell.text.digest}


def _blocked(cell: PlannedCell) -> str:
    return cell.no_classifier or cell.no_text


def no_free_text(cell: PlannedCell) -> str:
    """Return why a model reads no text of one's own, with the hint after a line break; empty where it does."""
    text = cell.model.text
    if text is not None and text.tokenizer.kind == "ranks":
        return f"{cell.model.id} knows learned prompts alone\nchoose a model that reads free text"
    return cell.no_text


def _without_text(cell: PlannedCell) -> Remark:
    """Return in one line that the model has no text tower: nothing is wrong with the run."""
    return Remark(f"{cell.no_text.partition(chr(10))[0]}: it has no part in zero_shot and alignment")


def _zero_shot(view: View) -> Iterator[Draft | Remark]:
    cell = view.cell
    if cell.model.text is None:
        yield _without_text(cell)
        return
    if _blocked(cell):
        yield Draft({}, blocked=_blocked(cell))
        return
    probes = [step for step in cell.of("probe") if step.params["protocol"] != "grouped"]
    if not probes:
        yield Draft({}, blocked="zero-shot is scored on the hold-out of a probe\nask for the protocol paper too")
        return
    reads = tuple(step.id for step in probes)
    protocols = [step.params["protocol"] for step in probes]
    params = {**asdict(view.request.of(ZeroShotParams)), **_asked(cell), "protocols": protocols}
    further = [step for step in cell.of("repeat") if step.params["protocol"] == protocols[0]]
    if further:
        params["further"] = [step.key for step in further]
    reads = (cell.of("extract")[0].id, *reads, *(step.id for step in further))
    yield Draft({**params, "probes": [step.key for step in probes]}, reads)


def _zero_shot_summary(record: ZeroShotRecord) -> Mapping[str, Any]:
    scores = record.headline.hold_out
    return {name: scores[name].value for name in ("balanced_accuracy", "accuracy") if name in scores}


ZERO_SHOT = Stage(
    kind="zero_shot",
    version=1,
    title="zero-shot",
    scope=Scope.CELL,
    record=ZeroShotRecord,
    work="medvlm_tui.engine.language.zero_shot_step",
    drafts=_zero_shot,
    summary=_zero_shot_summary,
    needs=("extract", "probe"),
    needs_classes=True,
    options=ZeroShotParams,
    outputs="medvlm_tui.report.language.files",
    screen="scores",
)


def _alignment(view: View) -> Iterator[Draft | Remark]:
    cell = view.cell
    if cell.model.text is None:
        if "zero_shot" not in view.request.stages:  # which has said so already
            yield _without_text(cell)
        return
    if _blocked(cell):
        yield Draft({}, blocked=_blocked(cell))
        return
    probe = linear_probe(cell)
    params = {**asdict(view.request.of(AlignmentParams)), **_asked(cell)}
    yield Draft(params, (cell.of("extract")[0].id, *(() if probe is None else (probe.id,))))


def _alignment_summary(record: AlignmentRecord) -> Mapping[str, Any]:
    wanted = ("modality_gap", "class_geometry_cka")
    return {found.name: found.value for found in record.measures if found.name in wanted}


ALIGNMENT = Stage(
    kind="alignment",
    version=1,
    title="alignment of texts and images",
    scope=Scope.CELL,
    record=AlignmentRecord,
    work="medvlm_tui.engine.language.alignment_step",
    drafts=_alignment,
    summary=_alignment_summary,
    needs=("extract", "probe"),
    needs_classes=True,
    options=AlignmentParams,
    outputs="medvlm_tui.report.language.files",
    screen="scores",
)


def _reading(view: View) -> Iterator[Draft | Remark]:
    """Yield the step beside the bias lab of a model with a text tower; the lab itself says what else is missing."""
    cell = view.cell
    if cell.model.text is None or cell.no_classifier:
        return
    if reason := no_free_text(cell):
        yield Remark(f"{reason.partition(chr(10))[0]}: the words of the bias lab are not compared with texts")
        return
    headline = [each for each in cell.prompts if each.name == "ensemble"] or list(cell.prompts[-1:])
    params = {**asdict(view.request.of(ReadingParams)), **_asked(cell), "sets": [headline[0].to_record()]}
    draft = on_linear_probe(cell, params)
    if not draft.blocked:
        yield draft


def _reading_summary(record: ReadingRecord) -> Mapping[str, Any]:
    return {name: record.by_name[name, "text"].value for name in ("word_retrieval", "zero_shot_flip_rate")}


READING = Stage(
    kind="reading",
    version=1,
    title="words in pictures, by words",
    scope=Scope.CELL,
    record=ReadingRecord,
    work="medvlm_tui.engine.bias.reading_step",
    drafts=_reading,
    summary=_reading_summary,
    asked_by="bias",
    needs=("extract", "probe"),
    options=ReadingParams,
    outputs="medvlm_tui.report.language.files",
    screen="bias",
)
