"""The table of scores written to files: what the store holds, in the forms of a run's report."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medvlm_tui.core.specs import Dataset, EncoderKey
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.comparison import STATISTICS
from medvlm_tui.stages.probe import PROBE
from medvlm_tui.stages.records.comparison import IntervalsRecord, RankingsRecord
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.tui.scores.ranks import newest_ranking
from medvlm_tui.tui.scores.table import probe_of
from medvlm_tui.tui.shared.exports import export_folder
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.state.report_specs import dataset_spec, model_spec

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored
    from medvlm_tui.report.results.cells import Cell
    from medvlm_tui.report.scores.verdicts import Verdicts
    from medvlm_tui.tui.app import MedvlmApp


PARQUET = "results.parquet"


@dataclass(frozen=True, slots=True)
class Exported:
    """The table of scores as it is written."""

    protocol: str
    cells: tuple[Cell, ...]
    verdicts: Mapping[tuple[str, str], Verdicts]
    ranking: RankingsRecord | None


async def export(app: MedvlmApp, protocol: str, verdicts: Mapping[tuple[str, str], Sequence[Verdicts]]) -> Path:
    """Write every score under a protocol into a new folder of the workspace; raises MedvlmError or OSError."""
    cells = []
    for cell in app.board.cells.values():
        probe = probe_of(cell, protocol)
        result = await app.results.read(probe.key, PROBE.record) if probe is not None and probe.key else None
        if probe is not None and result is not None:
            statistics, key = await app.results.read(probe.statistics, STATISTICS.record), cell.keys.get("table", "")
            features = await app.results.table(key) if key else None
            made = report_cell(app.board, cell.model, cell.dataset, key, result, statistics)
            cells.append(made if features is None else with_encoder(made, features.encoder))
    if not cells:
        raise MedvlmError(f"there is no score under the {protocol} protocol", "run it first")
    newest = {key: known[-1] for key, known in verdicts.items() if known and key[1] == protocol}
    table = Exported(protocol, tuple(cells), newest, await newest_ranking(app, protocol))
    folder = export_folder(app.workspace, "scores")
    await asyncio.get_running_loop().run_in_executor(None, write, table, folder)
    return folder


def write(table: Exported, folder: Path) -> None:
    """Write results.csv, published.csv, table.tex, table.md and the critical difference diagrams; where pyarrow is
    installed, results.parquet too."""
    from medvlm_tui.core.atomic_files import write_export
    from medvlm_tui.report.formats import latex, markdown, parquet_file
    from medvlm_tui.report.formats.csv_file import write_all
    from medvlm_tui.report.scores.layout import printed
    from medvlm_tui.report.scores.results_csv import TYPES, results_table
    from medvlm_tui.report.scores.score_table import score_tables
    from medvlm_tui.report.scores.side_tables import published_table

    scores = results_table(table.cells)
    list(write_all(folder, (scores, published_table(table.cells))))
    if parquet_file.can_write():
        parquet_file.write_parquet(folder / PARQUET, scores, TYPES)
    tables = printed(score_tables(table.cells, table.verdicts))
    write_export(folder / "table.tex", latex.render(tables).encode())
    write_export(folder / "table.md", markdown.render(tables).encode())
    if table.ranking is not None:
        for metric, ranking in table.ranking.rankings.items():
            if ranking.ranks is not None:
                _draw(table, table.ranking, metric, folder)


def _draw(table: Exported, record: RankingsRecord, metric: str, folder: Path) -> None:
    from medvlm_tui.report.comparison.critical_difference import draw_critical_difference
    from medvlm_tui.report.results.naming import model_title
    from medvlm_tui.report.results.run_results import Compared

    ranks = record.rankings[metric].ranks
    assert ranks is not None
    models = {cell.model.id: cell.model for cell in table.cells}
    names = {model: model_title(models[model]) if model in models else model for model in ranks.models}
    groups = {model.id: model.group for model in models.values()}
    name = "critical_difference" + ("" if metric == "accuracy" else f"_{metric}")
    draw_critical_difference(
        folder / f"{name}.png", Compared(table.protocol, "", "", "", record), metric, names, groups
    )


def report_cell(
    board: Board,
    model: str,
    dataset: str,
    table_key: str,
    probe: Stored[ProbeRecord],
    statistics: Stored[IntervalsRecord] | None,
) -> Cell:
    """Return a score as the report's tables take it; images and files play no part in them."""
    from medvlm_tui.report.results.cells import cell_of, held_out_counts

    record = probe.record
    spec = dataset_spec(board, dataset)
    found = Dataset(spec, Path(), record.label_view, (), record.classes, board.datasets[dataset].warnings)
    cell = cell_of(
        model_spec(board, model), found, ("", table_key), (probe.key, record),
        ("", None) if statistics is None else (statistics.key, statistics.record),
    )  # fmt: skip
    return replace(cell, held_out=held_out_counts(probe.arrays, len(cell.classes)))


def with_encoder(cell: Cell, encoder: EncoderKey) -> Cell:
    """Return a score with the feature and the precision of the table that it was computed from."""
    return replace(cell, feature=encoder.feature, precision=encoder.precision)
