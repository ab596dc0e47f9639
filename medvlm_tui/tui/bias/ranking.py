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


def header(pairs: Sequence[str], width: int) -> Text:
    """Return the names of the columns; word pairs by their initials."""
    cells = ["shift", "over ctrl", "flips %", *(_initials(pair) for pair in pairs)]
    return _columns(Text("  model"), cells, width, "bold")


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
    return _columns(name, cells, width, "")


def _columns(name: Text, cells: Sequence[str], width: int, style: str) -> Text:
    numbers = "".join(f"{cell:>10}" for cell in cells)
    name = name.copy()
    name.truncate(max(_LEAST_NAME, width - len(numbers)), overflow="ellipsis", pad=True)
    return Text.assemble((name.plain, style) if style else name, (numbers, style))


def number(value: Value | None, form: str = ".3f") -> str:
    """Return a measure without its interval, nothing for what was not measured."""
    return "" if value is None else format(value.value, form)


def _initials(pair: str) -> str:
    """Return `BRE/AXI` of `BREAST/AXILLA`: nine cells at most."""
    return "/".join(word[:4] for word in pair.split("/"))[:9]


def gap_rows(gap: GroupGap | None) -> list[Row]:
    """Return what stands under the ranking: medical models less general ones, and whether chance would do it."""
    if gap is None:
        return []
    sets = f" over {gap.datasets} datasets" if gap.datasets > 1 else ""
    said = f"{gap.what}: medical {gap.inside} less general {gap.outside}{sets} {gap.difference:+.3f}"
    how = "the test named in advance" if gap.primary else "adjusted for all other tests"
    lines = ("", said, f"permutation p {gap.p_value:.3g}, {how}")
    return [plain(Text(line, style=GREY)) for line in lines]
