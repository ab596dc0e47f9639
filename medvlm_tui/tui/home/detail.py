"""The panel that tells all that is known of one model on one dataset."""

from __future__ import annotations

from rich.text import Text

from medvlm_tui.stages.protocols import SATURATED
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.survey_rows import Cell, DatasetRow, ModelRow
from medvlm_tui.tui.states import GREY, YELLOW, letter, look


def percent(mean: float, std: float | None) -> str:
    """Return `91.2 ± 0.5 %`."""
    return f"{100 * mean:.1f} ± {100 * std:.1f} %" if std is not None else f"{100 * mean:.1f} %"


def cell_detail(board: Board, cell: Cell, compact: bool) -> Text:
    """Return the lines on a cell, the model and the dataset; `compact` where there is width but no height."""
    lines = [_state(cell), *_scores(cell), *_other_protocols(cell)]
    if compact:
        lines = [Text("   ").join(lines)]
    lines += [*_conditions(cell), *_first_steps(board)]
    if cell.saturated:
        lines.append(Text(SATURATED, style=GREY))
    if cell.note:
        lines.append(Text(cell.note, style=look("failed").style if cell.state == "failed" else GREY))
    model, dataset = board.models.get(cell.model), board.datasets.get(cell.dataset)
    if model is not None:
        lines += [*([] if compact else [Text()]), *_model(model, compact)]
    if dataset is not None:
        lines += [*([] if compact else [Text()]), *_dataset(dataset, compact)]
    return Text("\n").join(lines)


def _state(cell: Cell) -> Text:
    word = look(cell.state).word
    if cell.state == "stale":
        return Text.assemble(letter(cell.state), f" {word}: {cell.differs}", style=YELLOW)
    if cell.percent is not None and cell.state == "running":
        word = f"{word}, {cell.percent} %"
    return Text.assemble(letter(cell.state), " ", word)


def _first_steps(board: Board) -> list[Text]:
    """Return what a newcomer can do while nothing is computed."""
    if board.with_results or board.running:
        return []
    # One line at 80 columns: with a second one the dataset's warnings are out of view.
    keys = (("p", "tries the phantom"), ("o", "finds data"), ("m", "what is missing"), ("F9 d", "doctor"))
    offers = Text("   ").join(Text.assemble((key, "bold"), f" {what}") for key, what in keys)
    return [Text("nothing is computed yet", style=GREY), offers]


def _conditions(cell: Cell) -> list[Text]:
    """Return whose settings the numbers have, and what is not here any more."""
    lines = [Text(f"~ its settings: {cell.differs}", style=YELLOW)] if cell.differs and cell.state != "stale" else []
    if cell.has_scores and cell.here != "ready":
        lacks = "its pictures cannot be shown" if cell.here == "data_missing" else "nothing more can be computed"
        lines.append(Text.assemble(letter(cell.here), f" {look(cell.here).word} here: {lacks}", style=GREY))
    return lines


def _scores(cell: Cell) -> list[Text]:
    if cell.accuracy is None:
        return []
    lines = [Text.assemble("accuracy ", (percent(cell.accuracy, cell.std), "bold"))]
    extra = f"macro F1 {100 * cell.macro_f1:.1f} %" if cell.macro_f1 is not None else ""
    if cell.t is not None:
        extra += f"   t {cell.t:g}" + (" saturated" if cell.saturated else "")
    if extra:
        lines.append(Text(extra.strip()))
    return lines


def _other_protocols(cell: Cell) -> list[Text]:
    shown = cell.keys.get("probe", "")
    return [
        Text(f"{protocol.replace('_', '-')} {percent(one.accuracy, one.std)}")
        for protocol, one in cell.probes.items()
        if one.key != shown and one.accuracy is not None
    ]


def _model(model: ModelRow, compact: bool) -> list[Text]:
    access = "gated: ask for access" if model.gated else "open"
    facts = ", ".join(part for part in (f"{model.dim}-d" if model.dim else "", model.licence, access) if part)
    lines = _headed(Text.assemble((model.name, "bold"), ("  " + model.group, GREY)), facts, compact)
    if model.state == "weights_missing":
        lines.append(Text(f"weights missing: {_one_line(model.hint)}" if model.hint else "weights missing", style=GREY))
    return lines


def _dataset(dataset: DatasetRow, compact: bool) -> list[Text]:
    count = f"{dataset.images:,} images" if dataset.images else "cannot be read" if dataset.root else "not found here"
    if dataset.images == 0 and dataset.synthetic:
        count = "made when first used"
    if dataset.published_n and dataset.published_n != dataset.images:
        count += f" (study: {dataset.published_n:,})"
    classes = f"{len(dataset.classes)} classes" if dataset.classes else ""
    facts = ", ".join(part for part in (count, classes, dataset.licence) if part)
    head = Text.assemble((dataset.name, "bold"), ("  " + dataset.modality, GREY))
    if dataset.synthetic:
        head.append("  SYNTHETIC", style=f"bold {YELLOW}")
    lines = _headed(head, facts, compact)
    if dataset.root:
        lines.append(Text(dataset.root, style=GREY))
    if dataset.state == "data_missing" and dataset.root:
        lines.append(Text(_one_line(dataset.problem), style=YELLOW))
    if dataset.state == "data_missing" and dataset.hint:
        lines.append(Text(_one_line(dataset.hint), style=GREY))
    return lines + [Text(f"! {warning}", style=YELLOW) for warning in dataset.warnings[:3]]


def _headed(head: Text, facts: str, compact: bool) -> list[Text]:
    return [Text.assemble(head, "   ", facts)] if compact else [head, Text(facts)]


def _one_line(hint: str) -> str:
    return "; ".join(hint.splitlines())
