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
from medvlm_tui.service.picture_client import BurnedIn
from medvlm_tui.stages.bias import BIAS, BIAS_GROUPS
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.records.bias import BiasGroupsRecord, BiasRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.bias import detail as biasdetail
from medvlm_tui.tui.bias import ranking
from medvlm_tui.tui.bias.data import (
    SORTS,
    ModelBias,
    ShownImage,
    flips,
    group_gap,
    model_bias,
    ranked,
    shown_image,
)
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
        Binding("b", "beside", "beside"),
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
        self.other = ""
        """Model whose pictures and measures stand beside, empty for none."""

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
        other = next((each for each in self.models if each.model == self.other != model), None)
        self.other = "" if other is None else self.other
        if other is None:
            panel.set_title(f"{one.name}: value and 95 % interval over images")
            panel.set_rows(biasdetail.detail(one))
        else:
            panel.set_title(f"{one.name} beside {other.name}")
            panel.set_rows(biasdetail.beside(one, other))
        self._draw_pictures()

    def _draw_pictures(self) -> None:
        found = self.found.get(self.query_one("#ranking", Rows).row)
        if found is None or not len(found.arrays["pictures"]):
            return
        record = found.record
        self.index %= len(found.arrays["pictures"])
        self.kind %= len(record.kinds)
        kind, image = record.kinds[self.kind], record.images[record.shown[self.index]]
        ours = shown_image(found, image, kind)
        if (other := self.found.get(self.other)) is not None:
            self._beside_each_other(ours, shown_image(other, image, kind), clean(image))
            return
        self._draw("#without", ours, with_overlay=False)
        self._draw("#with", ours)
        count = f"image {self.index + 1} of {len(found.arrays['pictures'])}"
        self.query_one("#without", Picture).set_title(count, clean(image))
        word = clean(record.words[0]) if kind == "text" and record.words else ""
        title = f"with {clean(kind)}: {word}" if word else f"with {clean(kind)}"
        self.query_one("#with", Picture).set_title(title, "" if ours is None else ours.said)

    def _beside_each_other(self, ours: ShownImage | None, theirs: ShownImage | None, image: str) -> None:
        """Show the overlay as each of two models sees it, and what it does to each."""
        board, mine = self.medvlm.board, self.query_one("#ranking", Rows).row
        for name, model, one in (("#without", mine, ours), ("#with", self.other, theirs)):
            self._draw(name, one)
            said = "" if one is None else one.said
            self.query_one(name, Picture).set_title(f"{board.model_name(model)}: {image}", said)

    def _draw(self, name: str, one: ShownImage | None, with_overlay: bool = True) -> None:
        panel = self.query_one(name, Picture)
        if one is None:
            panel.say(Text("the lab of this model shows no such picture", style=GREY))
            return
        draw = closer if self.zoomed else framed
        panel.show_drawing(partial(draw, one.after if with_overlay else one.before, one.box))

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

    def action_beside(self) -> None:
        """Show another model's pictures and measures beside this one's, then the next one's, then none."""
        row = self.query_one("#ranking", Rows).row
        others = ["", *(one.model for one in self.models if one.model != row)]
        if len(others) == 1:
            self.medvlm.tell("no other model was in the lab with this dataset")
            return
        self.other = others[(others.index(self.other) + 1) % len(others)] if self.other in others else ""
        self._moved()

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
        record = found.record
        drawn = BurnedIn(record.words[0], kind, record.position, record.height, record.contrast, record.seed)
        stored = partial(shown_image, found, kind=kind)
        self.medvlm.push_screen(FlippedScreen(self.dataset, title, flips(found, kind), drawn, stored))

    def action_edit(self) -> None:
        """Choose words and place, and run the lab with them on what is marked."""
        from medvlm_tui.tui.bias.ask_words import Sample, WordsScreen

        found = self.found.get(self.query_one("#ranking", Rows).row)
        sample = None if found is None else Sample(self.dataset, found.record.images[found.record.shown[0]])
        self.medvlm.push_screen(WordsScreen(self.medvlm.request.of(BiasParams), sample), self._run)

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
