"""Values of options as a person writes them, checked and in the type of the option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medvlm_tui.core.typed_lists import split_list
from medvlm_tui.errors import UsageError
from medvlm_tui.settings.options import OPTIONS
from medvlm_tui.stages.option import Declared

# A file may name an option as its flag does: protocol = "knn".
_FLAGS = {each.option.flag: name for name, each in OPTIONS.items() if each.option.flag}


def checked(table: Mapping[str, Any], where: Path | str) -> dict[str, Any]:
    """Return `table` as values of options, each of the right type; raises UsageError otherwise."""
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = _FLAGS.get(key, key)
        if name not in OPTIONS:
            raise UsageError(
                f"{where}: unknown key {key!r}", f"use one of the known keys: {', '.join(sorted(OPTIONS))}"
            )
        values[name] = _converted(OPTIONS[name], value, where)
    return values


def parsed(each: Declared, text: str) -> Any:
    """Return the value of an option that is typed as text; raises ValueError where its type is another one."""
    if text in each.option.words:
        return each.option.words[text]
    return [each.item(part) for part in split_list(text)] if each.kind is tuple else each.item(text)


def typed(name: str, text: str) -> Any:
    """Return the value of an option that a person typed, checked; raises UsageError."""
    each = OPTIONS[name]
    try:
        value = parsed(each, text.strip())
    except ValueError:
        kind = {int: "a whole number", float: "a number"}.get(each.item, each.item.__name__)
        raise UsageError(f"{text!r} is not {kind}", each.option.help) from None
    return in_range(checked({name: value}, "settings"))[name]


def in_range(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of the right types in their one spelling; raises UsageError for one that is out of its range."""
    for name, value in values.items():
        option = OPTIONS[name].option
        if option.check and not option.check.accepts(value):
            raise UsageError(f"{OPTIONS[name].flag[2:]} {option.check.words}", "see `medvlm-tui --batch --help`")
    return {name: _normal(OPTIONS[name], value) for name, value in values.items()}


def _normal(each: Declared, value: Any) -> Any:
    return each.option.normal(value) if each.option.normal else value


def _converted(each: Declared, value: Any, where: Path | str) -> Any:
    given = value if isinstance(value, list | tuple) else (value,)
    if len(given) == 1 and isinstance(given[0], str) and given[0] in each.option.words:
        return each.option.words[given[0]]
    if each.kind is dict:
        return _table(each.name, value, where)
    items = tuple(_scalar(each, item, where) for item in (given if each.kind is tuple else (value,)))
    _check_choice(each, items, where)
    return items if each.kind is tuple else items[0]


def _table(name: str, value: Any, where: Path | str) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise UsageError(
            f"{where}: {name} must be a table of NAME = 'PATH'",
            f"write for example\n[{name}]\nbrain_mr = '/data/brain'",
        )
    return dict(value)


def _scalar(each: Declared, value: Any, where: Path | str) -> Any:
    kind = each.item
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(
            f"{where}: {each.name} = {value!r} is not of type {kind.__name__}", "see `medvlm-tui --batch --help`"
        )
    return value


def _check_choice(each: Declared, items: tuple[Any, ...], where: Path | str) -> None:
    allowed = each.option.choices
    for item in items:
        if allowed and item not in allowed:
            raise UsageError(f"{where}: {each.name}: {item!r} is not one of {', '.join(allowed)}", "check the spelling")
