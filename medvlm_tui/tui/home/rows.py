"""Rows of models and datasets in their panels and in the matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.text import Text

from medvlm_tui.tui.shared.matrix import Axis
from medvlm_tui.tui.shared.rows import Row, plain, spread
from medvlm_tui.tui.state.selection import Selection
from medvlm_tui.tui.state.survey_rows import Cell, DatasetRow, ModelRow
from medvlm_tui.tui.states import GREY, letter, look

MARK = "●"
# Below this width a model's line has room for the licence or the name, not for both.
LICENCE_FROM = 44


def marked(text: str, is_marked: bool) -> Text:
    """Return a name behind its mark, or behind the room for one."""
    return Text.assemble((MARK if is_marked else " ", "bold"), " ", (text, "bold" if is_marked else ""))


def headed(models: Iterable[ModelRow], hidden: Mapping[str, int]) -> list[tuple[Text, list[ModelRow]]]:
    """Return models below the headings of their groups, groups in the order they first appear; of a group that is
    folded its heading alone."""
    groups: dict[str, list[ModelRow]] = {}
    for model in models:
        groups.setdefault(model.group, []).append(model)
    folded = [group for group in hidden if group not in groups]
    return [(_heading(group, hidden.get(group, 0), groups), groups.get(group, [])) for group in (*groups, *folded)]


def _heading(group: str, hidden: int, groups: Mapping[str, list[ModelRow]]) -> Text:
    more = " more" if group in groups else ""
    return Text.assemble((group, f"bold {GREY}"), (f"  {hidden}{more} not here" if hidden else "", GREY))


def model_rows(models: Iterable[ModelRow], selection: Selection, hidden: Mapping[str, int]) -> list[Row]:
    """Return the lines of the panel of models; `hidden` counts those of each group that are left out."""
    rows: list[Row] = []
    for heading, members in headed(models, hidden):
        rows.append(plain(heading))
        rows += [Row(model.id, _model_line(model, model.id in selection.models)) for model in members]
    return rows


def _model_line(model: ModelRow, is_marked: bool) -> _Line:
    left = marked(model.name, is_marked)
    return _Line(left, model.licence, f"{model.dim or '':>5}", "gated" if model.gated else "", model.state)


def dataset_rows(datasets: Iterable[DatasetRow], selection: Selection) -> list[Row]:
    """Return the lines of the panel of datasets."""
    return [Row(dataset.id, _dataset_line(dataset, dataset.id in selection.datasets)) for dataset in datasets]


def _dataset_line(dataset: DatasetRow, is_marked: bool) -> _Line:
    left = marked(dataset.name, is_marked)
    count = dataset.images or dataset.published_n
    return _Line(left, dataset.licence, f"{count:>7,}" if count else " " * 7, "", dataset.state)


class _Line:
    """A name, then licence, size, access and state in columns at the right."""

    def __init__(self, left: Text, licence: str, size: str, access: str, state: str) -> None:
        self._parts = (left, licence, size, access, state)

    def __call__(self, width: int) -> Text:
        left, licence, size, access, state = self._parts
        missing = state.endswith("_missing")
        grey = GREY if missing else ""
        right = Text(size, style=grey)
        if width >= LICENCE_FROM:
            room = max(8, min(40, width - 39))
            shown = Text(licence, style=GREY)
            shown.truncate(room, overflow="ellipsis", pad=True)
            right = Text.assemble(right, "  ", shown)
        if access or width >= LICENCE_FROM:
            right = Text.assemble(right, (f" {access:<5}", GREY))
        left = left.copy()
        left.stylize_before(grey)
        return spread(left, Text.assemble(right, " ", letter(state)), width)


def axes(
    models: Iterable[ModelRow], datasets: Iterable[DatasetRow], selection: Selection, hidden: Mapping[str, int]
) -> tuple[list[Axis], list[Axis]]:
    """Return the matrix' rows (groups as headings) and columns."""
    rows: list[Axis] = []
    for heading, members in headed(models, hidden):
        rows.append(Axis("", heading))
        rows += [Axis(model.id, marked(model.name, model.id in selection.models)) for model in members]
    columns = [Axis(row.id, Text(f"{MARK if row.id in selection.datasets else ''}{row.name}")) for row in datasets]
    return rows, columns


def cell_text(cell: Cell, best: bool, included: bool) -> Text:
    """Return a cell of the matrix: percent and letter; bold for the best, dim where it belongs to other settings."""
    shown = look(cell.here if cell.state == "done" and cell.here != "ready" else cell.state)
    text = Text(shown.letter, style=shown.style)
    if cell.state == "running" and cell.percent is not None:
        text = Text(f"{cell.percent} % {shown.letter}", style=shown.style)
    elif cell.accuracy is not None:
        style = GREY if cell.differs else "bold" if best else ""
        text = Text.assemble((f"{100 * cell.accuracy:.1f} ", style), text)
    if included:
        text = Text.assemble((MARK, "bold"), text)
    return text
