"""The ranking of models by what burned-in words do to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rich.text import Text

from medvlm_tui.tui.bias.data import GroupGap, ModelBias, Value
from medvlm_tui.tui.shared.rows import Row, plain
from medvlm_tui.tui.states import GREY

# Letters of the groups, for a column of one cell.
GROUP_LETTERS = {"Medical": "M", "Modality-specific": "S", "General": "G"}
_LEAST_NAME = 14
_HEADS = ("shift", "over ctrl", "flips %")
_LEAST_PAIR = 9


def header(pairs: Sequence[str], width: int) -> Text:
    """Return the names of the columns; word pairs in full where there is room."""
    return _columns(Text("  model"), _heads(pairs, width), _heads(pairs, width), width, "bold")


def rows(found: Sequence[ModelBias], pairs: Sequence[str]) -> list[Row]:
    """Return one line per model."""
    return [Row(one.model, partial(_line, one, pairs)) for one in found]


def _line(one: ModelBias, pairs: Sequence[str], width: int) -> Text:
    read = dict(one.decodability)
    flips = one.get("flip_rate", "text")
    cells = [
        number(one.get("shift", "text")),
        number(one.over_control, "+.3f"),
        "" if flips is None else f"{100 * flips.value:.0f}",
        *(number(read.get(pair), ".2f") for pair in pairs),
    ]
    name = Text.assemble((f"{GROUP_LETTERS.get(one.group, ' ')} ", GREY), one.name)
    return _columns(name, cells, _heads(pairs, width), width, "")


def _columns(name: Text, cells: Sequence[str], heads: Sequence[str], width: int, style: str) -> Text:
    numbers = "".join(f"{cell:>{len(head) + 2}}" for cell, head in zip(cells, heads, strict=True))
    name = name.copy()
    name.truncate(max(_LEAST_NAME, width - len(numbers)), overflow="ellipsis", pad=True)
    return Text.assemble((name.plain, style) if style else name, (numbers, style))


def number(value: Value | None, form: str = ".3f") -> str:
    """Return a measure without its interval, nothing for what was not measured."""
    return "" if value is None else format(value.value, form)


def _heads(pairs: Sequence[str], width: int) -> list[str]:
    """Return the heads of the columns; the words of a pair are cut evenly, with a sign, where they do not fit."""
    room = width - _LEAST_NAME - sum(len(head) + 2 for head in _HEADS)
    each = max(_LEAST_PAIR, room // max(1, len(pairs)) - 2)
    return [*_HEADS, *(pair if len(pair) <= each else _cut_pair(pair, each) for pair in pairs)]


def _cut_pair(pair: str, cells: int) -> str:
    """Return `BREA…/LEFT` of `BREAST/LEFT`: the longer word gives way."""
    first, _, second = pair.partition("/")
    most = (cells - 1) // 2
    left = max(most, cells - 1 - len(second))
    right = cells - 1 - min(left, len(first))
    return "/".join(word if len(word) <= to else f"{word[: to - 1]}…" for word, to in ((first, left), (second, right)))


def gap_rows(gap: GroupGap | None) -> list[Row]:
    """Return what stands under the ranking: medical models less general ones, and whether chance would do it."""
    if gap is None:
        return []
    sets = f" over {gap.datasets} datasets" if gap.datasets > 1 else ""
    said = f"{gap.what}: medical {gap.inside} less general {gap.outside}{sets} {gap.difference:+.3f}"
    how = "the test named in advance" if gap.primary else "adjusted for all other tests"
    lines = ("", said, f"permutation p {gap.p_value:.3g}, {how}")
    return [plain(Text(line, style=GREY)) for line in lines]
