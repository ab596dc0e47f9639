"""Bias: the same image with and without a burned-in word, and the models ranked by what the word does to them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.render.framed_image import closer, framed
from medvlm_tui.stages.bias import BIAS, BIAS_GROUPS
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.records.bias import BiasGroupsRecord, BiasRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.bias import detail as biasdetail
from medvlm_tui.tui.bias import ranking
from medvlm_tui.tui.bias.data import SORTS, ModelBias, flips, group_gap, model_bias, ranked
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain
from medvlm_tui.tui.states import GREY

if TYPE_CHECKING:
    from medvlm_tui.core.store.store import Stored

STAGES = ("extract", "probe", "bias", "report")


class BiasScreen(PlaceScreen):
    """Screen that shows whether a classifier reads the words in the image."""

    place = "bias"
    CSS_PATH = Path(__file__).with_name("bias.tcss")
    AUTO_FOCUS = "#ranking"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "flipped", "flipped images"),
        Binding("left_square_bracket,left", "image(-1)", "image", key_display="[ ]"),
        Binding("right_square_bracket,right", "image(1)", "next image", show=False),
        Binding("o", "overlay", "overlay"),
        Binding("z", "zoom", "zoom"),
        Binding("less_than_sign", "dataset(-1)", "dataset", key_display="< >"),
        Binding("greater_than_sign", "dataset(1)", "next dataset", show=False),
        Binding("s", "sort", "sort"),
        Binding("tab", "pane", "measures"),
        Binding("e", "edit", "edit words, run"),
        Binding("escape", "app.back", "back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Stored[BiasRecord]] = {}
        """Model -> the lab's result on this dataset."""
        self.models: list[ModelBias] = []
        self.dataset = ""
        self.sort = SORTS[0]
        self.groups: BiasGroupsRecord | None = None
        """The comparison of groups of models with this dataset in it that has the most models."""
        self.index = 0
        self.kind = 0
        self.zoomed = True

    def body(self) -> ComposeResult:
        """Pictures left, numbers right."""
        with Container(id="bias-body"):
            with Container(id="pictures"):
                yield Picture("without", widget_id="without", takes_keys=False)
                yield Picture("with", widget_id="with", takes_keys=False)
            with Container(id="numbers"):
                yield Rows("Models", widget_id="ranking")
                yield Rows("", widget_id="measures")

    def request_here(self) -> RunRequest:
        """Return the run of the lab on the model under the cursor."""
        model = self.query_one("#ranking", Rows).row
        return replace(self.medvlm.request, models=(model,) if model else (), datasets=(self.dataset,), stages=STAGES)

    @property
    def datasets(self) -> list[str]:
        """Datasets that the lab has measured a model on."""
        return list(dict.fromkeys(cell.dataset for cell in self.medvlm.board.with_result("bias")))

    def show(self) -> None:
        """Show the current dataset's models."""
        there, selection = self.datasets, self.medvlm.selection
        if self.dataset not in there:
            self.dataset = selection.dataset if selection.dataset in there else next(iter(there), "")
        if self.dataset:
            self.load()
        else:
            self.found, self.models = {}, []
            self._say("no model was in the bias lab yet: e chooses words and runs it on the cell that home stands on")

    def _say(self, words: str) -> None:
        self.query_one("#without", Picture).say(Text(words, style=GREY))
        self.query_one("#with", Picture).say(Text())
        self.query_one("#measures", Rows).set_rows([])
        self.query_one("#ranking", Rows).set_rows([plain(Text("nothing measured", style=GREY))])

    @work(exclusive=True, group="load")
    async def load(self) -> None:
        """Read the dataset's results."""
        board, dataset = self.medvlm.board, self.dataset
        found: dict[str, Stored[BiasRecord]] = {}
        cells = [cell for cell in board.with_result("bias") if cell.dataset == dataset]
        compared = dict.fromkeys(cell.bias_groups[-1] for cell in cells if cell.bias_groups)
        try:
            for cell in cells:
                if (one := await self.medvlm.results.read(cell.keys["bias"], BIAS.record)) is not None:
                    found[cell.model] = one
            read = [await self.medvlm.results.read_record(key, BIAS_GROUPS.record) for key in compared]
        except MedvlmError as error:
            self._say(error_text(error))
            return
        self.found = found
        groups = [record for record in read if record is not None]
        self.groups = max(groups, key=lambda record: len(record.models), default=None)
        self.models = [
            model_bias(model, board.model_name(model), board.models[model].group if model in board.models else "",
                       one.record)
            for model, one in found.items()
        ]  # fmt: skip
        self._draw_ranking()

    def _draw_ranking(self) -> None:
        table = self.query_one("#ranking", Rows)
        pairs = list(dict.fromkeys(pair for one in self.models for pair, _ in one.decodability))
        table.header = Row("", partial(ranking.header, pairs))
        table.note = "M medical  S modality-specific  G general"
        table.set_title(f"{self.medvlm.board.dataset_name(self.dataset)}, by {self.sort}")
        gap = None if self.groups is None else group_gap(self.groups, self.sort)
        lines = ranking.rows(ranked(self.models, self.sort), pairs) + ranking.gap_rows(gap)
        table.set_rows(lines, keep=table.row)
        self._moved()

    @on(Rows.Moved, "#ranking")
    def _moved(self) -> None:
        model = self.query_one("#ranking", Rows).row
        one = next((one for one in self.models if one.model == model), None)
        panel = self.query_one("#measures", Rows)
        if one is None:
            panel.set_rows([])
            return
        self.medvlm.selection.model, self.medvlm.selection.dataset = model, self.dataset
        panel.set_title(f"{one.name}: value and 95 % interval over images")
        panel.set_rows(biasdetail.detail(one))
        self._draw_pictures()

    def _draw_pictures(self) -> None:
        found = self.found.get(self.query_one("#ranking", Rows).row)
        if found is None or not len(found.arrays["pictures"]):
            return
        record, pictures = found.record, found.arrays["pictures"]
        self.index %= len(pictures)
        self.kind %= len(record.kinds)
        position = record.shown[self.index]
        flipped = position in record.flipped[record.kinds[self.kind]]
        shift = float(found.arrays["shifts"][self.kind, position])
        kind, image = clean(record.kinds[self.kind]), clean(record.images[position])
        box = found.arrays["boxes"][self.index].tolist()
        draw = closer if self.zoomed else framed
        for name, row in (("#without", 0), ("#with", 1 + self.kind)):
            self.query_one(name, Picture).show_drawing(partial(draw, pictures[self.index, row], box))
        count = f"image {self.index + 1} of {len(pictures)}"
        self.query_one("#without", Picture).set_title(count, image)
        says = f"shift {shift:.3f}, {'the class flips' if flipped else 'same class'}"
        word = clean(record.words[0]) if kind == "text" and record.words else ""
        self.query_one("#with", Picture).set_title(f"with {kind}: {word}" if word else f"with {kind}", says)

    # -- keys --------------------------------------------------------------------------------------

    def action_image(self, step: int) -> None:
        """Go to another image."""
        self.index += step
        self._draw_pictures()

    def action_overlay(self) -> None:
        """Show the next overlay: the word, then each control of the same ink."""
        self.kind += 1
        self._draw_pictures()

    def action_zoom(self) -> None:
        """Show the overlay's place alone, or the whole images with a frame around it."""
        self.zoomed = not self.zoomed
        self._draw_pictures()

    def action_dataset(self, step: int) -> None:
        """Go to another dataset."""
        there = self.datasets
        if self.dataset in there:
            self.dataset = there[(there.index(self.dataset) + step) % len(there)]
            self.load()

    def action_pane(self) -> None:
        """Go to the measures and back; on a narrow terminal one of the two is shown."""
        measures = not self.has_class("-measures")
        self.set_class(measures, "-measures")
        self.set_focus(self.query_one("#measures" if measures else "#ranking"))

    def action_sort(self) -> None:
        """Rank by the next measure."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self._draw_ranking()

    def action_flipped(self) -> None:
        """Show the images whose class the overlay flips."""
        from medvlm_tui.tui.bias.flipped import FlippedScreen

        model = self.query_one("#ranking", Rows).row
        found = self.found.get(model)
        if found is None:
            return
        kind = found.record.kinds[self.kind % len(found.record.kinds)]
        title = f"{self.medvlm.board.model_name(model)}: flipped by {clean(kind)}"
        self.medvlm.push_screen(FlippedScreen(self.dataset, title, flips(found, kind)))

    def action_edit(self) -> None:
        """Choose words and place, and run the lab with them on what is marked."""
        from medvlm_tui.tui.bias.ask_words import WordsScreen

        params = self.medvlm.request.of(BiasParams)
        self.medvlm.push_screen(WordsScreen(params.words, params.position), self._run)

    async def _run(self, chosen: tuple[tuple[str, ...], str] | None) -> None:
        if chosen is None:
            return
        selection, base = self.medvlm.selection, self.medvlm.request
        self.medvlm.request = base.having(replace(base.of(BiasParams), words=chosen[0], position=chosen[1]))
        models, datasets = selection.run_models(), selection.run_datasets()
        if not models or not datasets:
            self.medvlm.tell("choose a model and a dataset first (F2)", "warning")
            return
        request: RunRequest = replace(
            self.medvlm.request, models=tuple(sorted(models)), datasets=tuple(sorted(datasets)), stages=STAGES
        )
        await self.medvlm.ask_run(request)
