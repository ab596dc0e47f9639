"""The critical difference diagram as text, over the table of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.critical_difference import RankedModels, diagram
from medvlm_tui.stages.comparison import RANKING
from medvlm_tui.stages.records.comparison import RankingsRecord
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.board import Board
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp

# The dialog takes 90 % of the screen, at most 110 cells, with its frame.
_FRAME, _WIDEST = 6, 110


class RanksScreen(Dialog[None]):
    """Which models differ over the datasets."""

    def __init__(self, board: Board, record: RankingsRecord | None, protocol: str, printed: str) -> None:
        super().__init__("Ranks over datasets", Text())
        self._board, self._record, self._protocol, self._printed = board, record, protocol, printed

    def extra(self) -> ComposeResult:
        """Yield the diagram, drawn for the dialog's width."""
        width = min(_WIDEST, self.app.size.width * 9 // 10) - _FRAME
        yield Static(Text("\n").join(self._lines(width)))

    def _lines(self, width: int) -> list[Text]:
        ranking = None if self._record is None else self._record.rankings[self._printed]
        if ranking is None:
            return [
                Text(f"No ranking under the {clean(self._protocol)} protocol is stored."),
                Text("A run of three or more models on two or more datasets, with the stage statistics, makes one."),
            ]
        ranks = ranking.ranks
        if ranks is None:
            return [Text(clean(ranking.reason))]
        names = {model: self._board.model_name(model) for model in ranks.models}
        found = RankedModels(
            names,
            dict(zip(ranks.models, ranks.mean_ranks, strict=True)),
            ranks.critical_difference,
            ranks.cliques,
        )
        shown = {"accuracy": "accuracy", "f1": "F1"}[self._printed]
        head = (
            f"{shown}, {clean(self._protocol)} protocol, {len(names)} models on {ranks.datasets} datasets: Friedman "
            f"chi2 {ranks.chi2:.1f}, p {ranks.p_value:.2g} ({clean(ranks.method)}); "
            f"{len(ranks.separable)} of {len(ranks.pairs)} pairs told apart"
        )
        left_out = [clean(self._board.model_name(model)) for model in ranking.left_out]
        tail = [Text(f"left out, not on every dataset: {', '.join(left_out)}")] if left_out else []
        lines = [Text(line, no_wrap=True) for line in diagram(found, width)]
        return [Text(head), Text(), *lines, Text("bars join models that are not told apart", style=GREY), *tail]


async def newest_ranking(app: MedvlmApp, protocol: str) -> RankingsRecord | None:
    """Return the record of the newest ranking under a protocol, None when there is none."""
    cells = app.board.cells.values()
    keys = dict.fromkeys(key for cell in cells for key in cell.rankings)
    found: RankingsRecord | None = None
    for key in keys:
        try:
            record = await app.results.read_record(key, RANKING.record)
        except MedvlmError:
            continue
        if record is not None and record.protocol == protocol:
            found = record if found is None or _larger(record, found) else found
    return found


def _larger(one: RankingsRecord, other: RankingsRecord) -> bool:
    """Return whether a ranking has at least as many models: the newest of the largest rankings is shown."""
    return len(one.rankings["accuracy"].models) >= len(other.rankings["accuracy"].models)
