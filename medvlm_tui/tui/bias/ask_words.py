"""Asking for the bias lab's words and where they stand."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.widgets import Input

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.typed_lists import join_list, split_list
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.params.bias import POSITIONS
from medvlm_tui.tui.shared.ask_line import AskLine

MOST_WORD = 24


class WordsScreen(AskLine[tuple[tuple[str, ...], str]]):
    """`WORD,WORD,... POSITION`; answers the words and the position."""

    def __init__(self, words: tuple[str, ...], position: str) -> None:
        text = Text.assemble(
            "Words, then where they stand. The first two are told apart from features, and the next two;\n",
            "the first is drawn for the shift. Places: ", (", ".join(POSITIONS), "bold"),
        )  # fmt: skip
        super().__init__(
            "The lab's words", text, "enter run the lab   esc close", value=f"{join_list(words)} {position}"
        )

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        words, position, problem = words_and_position(event.value)
        if problem:
            self.say(problem)
            return
        self.dismiss((words, position))


def words_and_position(typed: str) -> tuple[tuple[str, ...], str, str]:
    """Return (words, position, problem) of what was typed; the problem is empty when it can be used."""
    listed, _, position = typed.strip().rpartition(" ")
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
