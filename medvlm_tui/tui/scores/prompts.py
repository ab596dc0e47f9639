"""The prompts of a cell, edited in place, with the zero-shot scores of the edited ones beside the stored ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean, error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service.line_client import LineClient
from medvlm_tui.stages.records.language import ZeroShotRecord
from medvlm_tui.tui.shared.place import PlaceScreen
from medvlm_tui.tui.shared.rows import Row, Rows, plain
from medvlm_tui.tui.shared.static import Static
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREEN, GREY, RED, YELLOW

if TYPE_CHECKING:
    from medvlm_tui.tui.shared.copying import Copyable

_SCORES = ("balanced_accuracy", "accuracy", "macro_f1", "auroc")
_NAME, _COLUMN = 18, 10
Score = tuple[float | None, float | None, float | None]
"""Value, lower and upper end."""


class PromptsScreen(PlaceScreen):
    """Prompts at the left, scores at the right; nothing is stored."""

    CSS_PATH = Path(__file__).with_name("scores.tcss")
    AUTO_FOCUS = "#prompt-list"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "edit"),
        Binding("a", "add", "add one"),
        Binding("delete,d", "drop", "take out", key_display="del"),
        Binding("u", "undo", "stored ones again"),
        Binding("escape", "leave", "back"),
    ]

    def __init__(self, cell: Cell, title: str, record: ZeroShotRecord, client: LineClient | None = None) -> None:
        """`client` answers for the process that scores (tests)."""
        super().__init__()
        self.cell, self.cell_title, self.record = cell, title, record
        self.prompts = self._stored()
        self.editing = -1
        """Place of the prompt in its class that is edited, -1 for a new one."""
        self.edited_class = 0
        self._client = client
        self._scores: Mapping[str, Score] | None = None
        self._said = Text("enter edits a prompt: its score comes at once, after the text tower was loaded", style=GREY)

    def _stored(self) -> list[list[str]]:
        words = self.record.headline.words
        return [[one.prompt for one in words if one.class_name == name] for name in self.record.classes]

    def body(self) -> ComposeResult:
        """The list with a line to type in, and the scores."""
        with Container(id="prompts-body"):
            with Container(id="prompts-left"):
                yield Rows("", widget_id="prompt-list")
                yield Input(id="prompt-line", placeholder="a prompt of this class", select_on_focus=False)
            yield Static(id="prompt-scores")

    def on_mount(self) -> None:
        """Show the stored prompts."""
        self.query_one("#prompt-line").display = False
        self._draw()

    async def on_unmount(self) -> None:
        """End the process that scores."""
        if self._client is not None:
            await self._client.stop()

    # -- drawing -----------------------------------------------------------------------------------

    def _draw(self, keep: str = "") -> None:
        rows: list[Row] = []
        for number, (name, prompts) in enumerate(zip(self.record.classes, self.prompts, strict=True)):
            rows.append(plain(Text(clean(name), style="bold")))
            rows += [Row(f"{number}/{at}", partial(_prompt, text)) for at, text in enumerate(prompts)]
        panel = self.query_one("#prompt-list", Rows)
        panel.set_title(f"{self.cell_title}: prompts ({clean(self.record.headline.name)})")
        panel.set_rows(rows, keep=keep or panel.row)
        self._draw_scores()

    def _draw_scores(self) -> None:
        head = Text(f"{'':<{_NAME}}{'stored':>{_COLUMN}}{'edited':>{_COLUMN}}{'less':>{_COLUMN}}", style="bold")
        lines = [head, *(self._score(name) for name in _SCORES)]
        caution = "prompts that are chosen by their score on these images have an optimistic score"
        images = f"{self.record.n_test:,} held-out images"
        self.query_one("#prompt-scores", Static).update(
            Text("\n").join([*lines, Text(), Text(images, style=GREY), self._said, Text(), Text(caution, style=YELLOW)])
        )

    def _score(self, name: str) -> Text:
        stored = self.record.headline.hold_out.get(name)
        before = None if stored is None else stored.value
        now = None if self._scores is None else self._scores.get(name, (None, None, None))[0]
        line = Text.assemble((f"{name.replace('_', ' '):<{_NAME}}", GREY), f"{_number(name, before):>{_COLUMN}}",
                             (f"{_number(name, now):>{_COLUMN}}", "bold"))  # fmt: skip
        if before is not None and now is not None:
            less = now - before
            shown = f"{less:+.3f}" if name == "auroc" else f"{100 * less:+.1f}"
            line.append(f"{shown:>{_COLUMN}}", GREEN if less > 0 else RED if less < 0 else "")
        return line

    # -- scoring -----------------------------------------------------------------------------------

    @work(exclusive=True, group="prompts")
    async def _rescore(self) -> None:
        """Score the prompts as they are now; an older question is not waited for."""
        if self._client is None:
            self._client = LineClient(self.medvlm.workspace, "prompts", "the process that scores prompts")
            self._say(Text("loading the text tower ...", style=GREY))
        keys, request = self.cell.keys, self.medvlm.request.to_record()
        asked = {"model": self.cell.model, "zero_shot": keys["zero_shot"], "table": keys["table"]}
        try:
            answer = await self._client.ask({**asked, "request": request, "prompts": self.prompts})
        except MedvlmError as error:
            self._scores = None
            self._say(Text(error_text(error), style=RED))
            return
        self._scores = {name: tuple(values) for name, values in answer["scores"].items()}
        self._say(Text(f"scored in {answer['seconds']:.2f} s", style=GREY))

    def _say(self, words: Text) -> None:
        self._said = words
        self._draw_scores()

    # -- keys --------------------------------------------------------------------------------------

    def _place(self) -> tuple[int, int]:
        number, _, at = self.query_one("#prompt-list", Rows).row.partition("/")
        return (int(number), int(at)) if at else (0, -1)

    def action_edit(self) -> None:
        """Type another text for the prompt under the cursor."""
        self.edited_class, self.editing = self._place()
        if self.editing >= 0:
            self._type(self.prompts[self.edited_class][self.editing])

    def action_add(self) -> None:
        """Type one more prompt for the class under the cursor."""
        self.edited_class, self.editing = self._place()[0], -1
        self._type("")

    def _type(self, text: str) -> None:
        line = self.query_one("#prompt-line", Input)
        line.value, line.display = text, True
        line.cursor_position = len(text)
        line.border_title = Content(clean(self.record.classes[self.edited_class]))
        line.focus()

    @on(Input.Submitted, "#prompt-line")
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        of, text = self.prompts[self.edited_class], event.value.strip()
        self._close_line()
        if not text:
            return
        if self.editing < 0:
            of.append(text)
            self.editing = len(of) - 1
        else:
            of[self.editing] = text
        self._draw(f"{self.edited_class}/{self.editing}")
        self._rescore()

    def _close_line(self) -> None:
        self.query_one("#prompt-line", Input).display = False
        self.query_one("#prompt-list").focus()

    def action_drop(self) -> None:
        """Take the prompt under the cursor out; a class keeps one."""
        number, at = self._place()
        if at >= 0 and len(self.prompts[number]) > 1:
            del self.prompts[number][at]
            self._draw(f"{number}/{max(0, at - 1)}")
            self._rescore()

    def action_undo(self) -> None:
        """Go back to the prompts that were run."""
        self.prompts, self._scores = self._stored(), None
        self._said = Text()
        self._draw()

    def action_leave(self) -> None:
        """Close the line, or go back."""
        if self.query_one("#prompt-line").display:
            self._close_line()
        else:
            self.dismiss(None)

    def copies(self) -> list[Copyable]:
        """Return the command line, and the prompts as they are now as a file for `--prompts`."""
        from medvlm_tui.tui.shared.copying import Copyable

        return [*super().copies(), Copyable("prompts as TOML", self.as_toml())]

    def as_toml(self) -> str:
        """Return the prompts as a file for `--prompts`; each is a whole sentence."""
        dataset = json.dumps(self.cell.dataset)
        lines = [f"[datasets.{dataset}]", 'source = "edited on the screens"', 'templates = ["{}"]', ""]
        lines.append(f"[datasets.{dataset}.classes]")
        pairs = zip(self.record.classes, self.prompts, strict=True)
        lines += [f"{json.dumps(name)} = {json.dumps(prompts)}" for name, prompts in pairs]
        return "\n".join(lines) + "\n"


def _prompt(text: str, width: int) -> Text:
    line = Text(f"  {clean(text)}")
    line.truncate(width, overflow="ellipsis")
    return line


def _number(name: str, value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if name == "auroc" else f"{100 * value:.1f}"
