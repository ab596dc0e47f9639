"""The models by their ranks over datasets: the critical difference diagram, and which pairs differ."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.critical_difference import RankedModels, diagram
from medvlm_tui.stages.comparison import RANKING
from medvlm_tui.stages.records.comparison import RankingsRecord, RankPairRecord, RanksRecord
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain, spread
from medvlm_tui.tui.shared.told import Told
from medvlm_tui.tui.states import GREEN, GREY

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp

_METRICS = {"accuracy": "accuracy", "f1": "F1"}
"""Metric of a ranking -> its name."""


class RanksScreen(PlaceScreen):
    """Which models differ over the datasets."""

    CSS_PATH = Path(__file__).with_name("scores.tcss")
    AUTO_FOCUS = "#rank-pairs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric", "metric"),
        Binding("a", "apart", "all pairs / told apart"),
        Binding("x", "export", "export"),
        Binding("escape,v", "leave", "back"),
    ]

    def __init__(self, record: RankingsRecord | None, protocol: str, printed: str) -> None:
        """`printed` is the metric that is shown first, `accuracy` or `f1`."""
        super().__init__()
        self.record, self.protocol, self.printed = record, protocol, printed
        self.only_apart = False
        """Only the pairs that are told apart are listed."""

    def body(self) -> ComposeResult:
        """The test in words, the diagram, the pairs."""
        yield Told("rank-test")
        yield Rows("", widget_id="rank-diagram")
        yield Rows("Pairs", widget_id="rank-pairs")

    def show(self) -> None:
        """Draw for this width."""
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        """The diagram has another width."""
        self.call_after_refresh(self.draw)

    @property
    def ranks(self) -> RanksRecord | None:
        """The ranks under the metric that is shown, None where there are none."""
        return None if self.record is None else self.record.rankings[self.printed].ranks

    def draw(self) -> None:
        """Draw the test, the diagram and the pairs."""
        ranks, figure = self.ranks, self.query_one("#rank-diagram", Rows)
        self.query_one("#rank-test", Told).tell(f"Ranks over datasets, by {_METRICS[self.printed]}", self._test())
        lines = [] if ranks is None else self._diagram(ranks, figure.content_size.width - 3)
        figure.set_rows([plain(line) for line in lines])
        figure.styles.height = min(len(lines) + 2, max(4, self.app.size.height // 2))
        figure.display = self.query_one("#rank-pairs").display = ranks is not None
        if ranks is not None:
            self._list(ranks)

    def _test(self) -> list[Text]:
        ranking = None if self.record is None else self.record.rankings[self.printed]
        if ranking is None:
            return [
                Text(f"No ranking under the {clean(self.protocol)} protocol is stored."),
                Text("A run of three or more models on two or more datasets, with the stage statistics, makes one."),
            ]
        ranks = ranking.ranks
        if ranks is None:
            return [Text(clean(ranking.reason))]
        head = (
            f"{_METRICS[self.printed]}, {clean(self.protocol)} protocol, {len(ranks.models)} models on "
            f"{ranks.datasets} datasets: Friedman chi2 {ranks.chi2:.1f}, p {ranks.p_value:.2g} "
            f"({clean(ranks.method)}); {len(ranks.separable)} of {len(ranks.pairs)} pairs told apart"
        )
        left_out = [self.medvlm.board.model_name(model) for model in ranking.left_out]
        tail = [Text(f"left out, not on every dataset: {', '.join(left_out)}")] if left_out else []
        return [Text(head), *tail, Text("bars join models that are not told apart", style=GREY)]

    def _diagram(self, ranks: RanksRecord, width: int) -> list[Text]:
        names = {model: self.medvlm.board.model_name(model) for model in ranks.models}
        means = dict(zip(ranks.models, ranks.mean_ranks, strict=True))
        found = RankedModels(names, means, ranks.critical_difference, ranks.cliques)
        return [Text(line, no_wrap=True) for line in diagram(found, max(20, width))]

    def _list(self, ranks: RanksRecord) -> None:
        apart = set(ranks.separable)
        shown = [pair for pair in ranks.pairs if not self.only_apart or (pair.first, pair.second) in apart]
        panel = self.query_one("#rank-pairs", Rows)
        panel.header = Row("", partial(_line, "better  –  worse", "ranks apart", "Nemenyi p", "Holm p", False))
        panel.set_title(f"Pairs, told apart by Nemenyi's test at {ranks.alpha:g} in green, with ✓")
        rows = [Row(f"{one.first} {one.second}", partial(self._pair, one, (one.first, one.second) in apart))
                for one in shown]  # fmt: skip
        panel.set_rows(rows or [plain(Text("no pair is told apart", style=GREY))])

    def _pair(self, one: RankPairRecord, apart: bool, width: int) -> Text:
        name = self.medvlm.board.model_name
        names = f"{name(one.first)}  –  {name(one.second)}"
        return _line(names, f"{one.difference:.2f}", f"{one.nemenyi:.3g}", f"{one.holm:.3g}", apart, width)

    # -- keys --------------------------------------------------------------------------------------

    def action_metric(self) -> None:
        """Rank by the other metric."""
        metrics = list(_METRICS)
        self.printed = metrics[(metrics.index(self.printed) + 1) % len(metrics)]
        self.draw()

    def action_apart(self) -> None:
        """List all pairs, or only those that are told apart."""
        self.only_apart = not self.only_apart
        self.draw()

    async def action_export(self) -> None:
        """Write the diagrams with the table of scores, as the scores screen does."""
        scores = self.app.get_screen("scores")
        await scores.run_action("export")

    def action_leave(self) -> None:
        """Go back to the table."""
        self.dismiss(None)


def _line(names: str, apart_by: str, nemenyi: str, holm: str, apart: bool, width: int) -> Text:
    numbers = Text(f"{apart_by:>12}{nemenyi:>11}{holm:>10} {'✓' if apart else ' '}")
    line = spread(Text(names), numbers, width)
    if apart:
        line.stylize(GREEN)
    return line


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
