"""Asking for the bias lab's words and where they stand, with a picture of what will be drawn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.suggester import SuggestFromList
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean, clean_lines, error_text
from medvlm_tui.core.typed_lists import join_list, split_list
from medvlm_tui.errors import MedvlmError, UsageError
from medvlm_tui.render.thumbnail import thumbnail
from medvlm_tui.service.picture_client import BurnedIn
from medvlm_tui.stages.params.bias import POSITIONS, BiasParams
from medvlm_tui.tui.shared.dialog import Dialog
from medvlm_tui.tui.shared.picture import Picture
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.states import GREY, look

if TYPE_CHECKING:
    from medvlm_tui.tui.app import MedvlmApp

MOST_WORD = 24
_SIDE_PX = 160
_REST_S = 0.3
"""Seconds without a key after which the picture is drawn."""
Answer = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Sample:
    """The image that shows what will be drawn."""

    dataset: str
    image: str


class WordsScreen(Dialog[Answer]):
    """Two lines, the words and their place; answers both."""

    AUTO_FOCUS = "#bias-words"
    DEFAULT_CSS = """
    WordsScreen Input, WordsScreen Input:focus {
        border: none; height: 1; padding: 0 1; margin-top: 1; background: $panel;
    }
    WordsScreen Input:focus { background: $panel-lighten-1; }
    WordsScreen #bias-problem { height: auto; min-height: 1; margin-top: 1; }
    WordsScreen #bias-preview { height: 8; padding: 0; }
    WordsScreen.-medium #bias-preview, WordsScreen.-wide #bias-preview { height: 18; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "place(1)", "next place", show=False),
        Binding("up", "place(-1)", "place before", show=False),
    ]

    def __init__(self, params: BiasParams, sample: Sample | None) -> None:
        text = Text.assemble(
            "Words, separated by commas. The first two are told apart from features, and the next two; ",
            "the first is drawn for the shift. Places: ", (", ".join(POSITIONS), "bold"),
        )  # fmt: skip
        super().__init__(
            "The lab's words", text, "enter run the lab, asking first   tab other line   ↑ ↓ place   esc close"
        )
        self._params, self._sample = params, sample

    def extra(self) -> ComposeResult:
        """Two lines to type in, what is wrong with them, the picture."""
        yield Input(join_list(self._params.words), id="bias-words", placeholder="words")
        yield Input(self._params.position, id="bias-place", placeholder="place", suggester=SuggestFromList(POSITIONS))
        yield Static(id="bias-problem")
        yield Picture("", widget_id="bias-preview", takes_keys=False)

    @property
    def typed(self) -> tuple[str, str]:
        """The words and the place as they are typed."""
        return self.query_one("#bias-words", Input).value, self.query_one("#bias-place", Input).value

    def on_mount(self) -> None:
        """Draw what stands there."""
        self._preview()

    @on(Input.Changed)
    def _changed(self) -> None:
        self._preview()

    @on(Input.Submitted)
    def _given(self) -> None:
        words, position, problem = words_and_position(*self.typed)
        if problem:
            self._say(problem, look("failed").style)
        else:
            self.dismiss((words, position))

    def action_place(self, step: int) -> None:
        """Take the next place."""
        line = self.query_one("#bias-place", Input)
        now = POSITIONS.index(line.value) if line.value in POSITIONS else -step
        line.value = POSITIONS[(now + step) % len(POSITIONS)]

    def _say(self, words: str, style: str) -> None:
        self.query_one("#bias-problem", Static).update(Text(clean_lines(words), style=style))

    @work(exclusive=True, group="preview")
    async def _preview(self) -> None:
        """Show in words what will be drawn, and as a picture once no key was pressed for a moment."""
        words, position, problem = words_and_position(*self.typed)
        panel = self.query_one("#bias-preview", Picture)
        if problem:
            self._say(problem, look("failed").style)
            return
        params = replace(self._params, words=words, position=position)
        pairs = [f"{one} against {other}" for one, other in zip(words[::2], words[1::2], strict=False)][:2]
        self._say(f"drawn for the shift: {words[0]}, {position}; told apart: {', '.join(pairs)}", GREY)
        if self._sample is None:
            panel.say(Text("no image of the lab is known yet: it is shown once the lab has run", style=GREY))
            return
        await asyncio.sleep(_REST_S)
        app = cast("MedvlmApp", self.app)
        burned_in = BurnedIn(words[0], "text", position, params.height, params.contrast, params.seed)
        try:
            pixels = await app.pictures.picture(
                app.request, self._sample.dataset, self._sample.image, _SIDE_PX, burned_in
            )
        except MedvlmError as error:
            panel.say(Text(error_text(error)))
            return
        panel.set_title(f"{clean(words[0])}, {position}", clean(self._sample.image))
        panel.show_drawing(partial(thumbnail, pixels))


def words_and_position(listed: str, position: str) -> tuple[tuple[str, ...], str, str]:
    """Return (words, position, problem) of what was typed; the problem is empty when it can be used."""
    position = position.strip()
    try:
        words = split_list(listed)
    except UsageError as error:
        return (), "", error.message
    if position not in POSITIONS:
        return (), "", clean(f"{position or 'nothing'} is no place: {', '.join(POSITIONS)}")
    if len(words) < 2 or len(set(words)) < len(words):
        return (), "", "give two different words or more, separated by commas"
    long = next((word for word in words if len(word) > MOST_WORD or not word.isprintable()), "")
    if long:
        return (), "", clean(f"{long[:40]}: a word has at most {MOST_WORD} printable characters")
    return words, position, ""
