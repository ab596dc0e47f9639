"""Everything the bias lab says of one model, as lines: measures with intervals, accuracy by correlation as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from rich.text import Text

from medvlm_tui.tui.bias.data import ModelBias, Value
from medvlm_tui.tui.bias.ranking import number
from medvlm_tui.tui.shared.rows import Row
from medvlm_tui.tui.states import GREY

_SCORED = ("accuracy_matching", "accuracy_random", "accuracy_reversed")
"""Hold-out images whose words match their class, are drawn at random, are another class's."""
_MEASURE, _CONDITION, _NUMBER, _INTERVAL = 24, 15, 7, 17
_LEVEL, _SCORE, _SCORE_AND_INTERVAL = 28, 10, 19
_WITH_INTERVAL = 21


def detail(one: ModelBias) -> list[Row]:
    """Return the lines of one model: measures in the lab's order, the conditions of each below one another."""
    by_measure: dict[str, dict[str, Value]] = {}
    for (measure, condition), value in one.values.items():
        by_measure.setdefault(measure, {})[condition] = value
    rows: list[Row] = []
    for measure, values in by_measure.items():
        if measure not in _SCORED:
            rows += _measure(measure, values)
        elif measure == next(name for name in by_measure if name in _SCORED):
            rows += _correlation({name: by_measure[name] for name in _SCORED if name in by_measure})
    return rows


def beside(one: ModelBias, other: ModelBias) -> list[Row]:
    """Return the lines of two models: every measure of the first with the other's value, in one order."""
    rows = [Row("", partial(_two_names, one.name, other.name))]
    before = ""
    order = list(dict.fromkeys(measure for measure, _ in one.values))
    listed = sorted(one.values.items(), key=lambda found: order.index(found[0][0]))
    for (measure, condition), value in listed:
        name = "" if measure == before else measure.replace("_", " ")
        level = measure in ("mass_text", "mass_over_area_text", *_SCORED)
        said = _percent(condition) if level else condition
        rows.append(Row("", partial(_two, name, said, value, other.get(measure, condition))))
        before = measure
    return rows


def _two_names(first: str, second: str, width: int) -> Text:
    column = _beside_column(width)
    names = [_cut(name, column - 1) for name in (first, second)]
    return Text.assemble(" " * (_MEASURE + _CONDITION), names[0], " ", names[1], style="bold")


def _two(name: str, condition: str, first: Value, second: Value | None, width: int) -> Text:
    column = _beside_column(width)
    form = (lambda value: f"{value.value:.3f} {_interval(value, 2)}") if column >= _WITH_INTERVAL else number
    cells = [form(value) if value is not None else "–" for value in (first, second)]
    return Text.assemble(
        (f"{name:<{_MEASURE}}", GREY), _cut(condition, _CONDITION - 1), " ",
        (f"{cells[0]:<{column}}{cells[1]:<{column}}", "bold"),
    )  # fmt: skip


def _beside_column(width: int) -> int:
    return max(10, (width - _MEASURE - _CONDITION) // 2)


def _measure(measure: str, values: Mapping[str, Value]) -> Iterator[Row]:
    for index, (condition, value) in enumerate(values.items()):
        name = "" if index else measure.replace("_", " ")
        said = _percent(condition) if measure in ("mass_text", "mass_over_area_text") else condition
        yield Row("", partial(_value, name, said, value))


def _value(name: str, condition: str, value: Value, width: int) -> Text:
    """Return one line; chance only where there is room for it."""
    interval = _interval(value, 3) or "too few images"
    line = Text.assemble(
        (f"{name:<{_MEASURE}}", GREY), _cut(condition, _CONDITION), (f"{value.value:>{_NUMBER}.3f}", "bold"),
        (f"{interval:>{_INTERVAL}}", GREY),
    )  # fmt: skip
    chance = "" if value.chance is None else f"  chance {value.chance:.2g}"
    return line.append(chance, GREY) if line.cell_len + len(chance) <= width else line


def _correlation(scores: Mapping[str, Mapping[str, Value]]) -> list[Row]:
    """Return the table of accuracies: a line a level of correlation in training."""
    levels = dict.fromkeys(level for values in scores.values() for level in values)
    names = [name.removeprefix("accuracy_") for name in scores]
    rows = [Row("", partial(_names, "accuracy, trained on words", names))]
    for level in levels:
        found = [values.get(level) for values in scores.values()]
        rows.append(Row("", partial(_scores, f"{_percent(level):>7} bear their own", found)))
    return rows


def _names(first: str, names: Sequence[str], width: int) -> Text:
    column = _column(len(names), width)
    return Text.assemble((f"{first:<{_LEVEL}}", GREY), ("".join(f"{name:<{column}}" for name in names), "bold"))


def _scores(first: str, values: Sequence[Value | None], width: int) -> Text:
    column = _column(len(values), width)
    form = _short if column == _SCORE_AND_INTERVAL else number
    return Text.assemble((f"{first:<{_LEVEL}}", GREY), *(f"{form(value):<{column}}" for value in values))


def _column(columns: int, width: int) -> int:
    """Return the width of a column of scores: with their intervals where there is room."""
    return _SCORE_AND_INTERVAL if width >= _LEVEL + columns * _SCORE_AND_INTERVAL else _SCORE


def _short(value: Value | None) -> str:
    return "" if value is None else f"{value.value:.2f} {_interval(value, 2)}".rstrip()


def _interval(value: Value, digits: int) -> str:
    """Return `[low, high]`, empty where there is no interval."""
    if value.low is None or value.high is None:
        return ""
    return f"[{value.low:.{digits}f}, {value.high:.{digits}f}]"


def _percent(level: str) -> str:
    """Return a level of correlation in percent: `0.25` is `25 %`."""
    return f"{100 * float(level):g} %"


def _cut(text: str, width: int) -> Text:
    found = Text(text)
    found.truncate(width, overflow="ellipsis", pad=True)
    return found
