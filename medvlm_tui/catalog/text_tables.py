"""The text towers of models.toml: the table `text` of an entry, read into a `TextSpec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from medvlm_tui.core.text_specs import CLEANINGS, PROBABILITIES, TOKENIZER_KINDS, TextSpec, TokenizerSpec
from medvlm_tui.errors import UsageError

_SOURCES = ("hub:", "https:")


def text_spec(table: Any, place: str) -> TextSpec:
    """Return the text tower of a table; raises UsageError that names the field that is wrong."""
    values = _table(table, TextSpec, place, ("family", "dim", "context", "tokenizer", "joins"))
    for name in ("dim", "context", "tensors"):
        if type(values.get(name, 1)) is not int or values.get(name, 1) < 1:
            raise UsageError(f"{place}: {name} = {values[name]!r} is no whole number from 1 on")
    _choice(values, "probability", PROBABILITIES, place)
    joins = values["joins"]
    if not isinstance(joins, Mapping) or not joins or not all(isinstance(value, str) for value in joins.values()):
        raise UsageError(
            f"{place}: joins is a table of image features and the tensors that lead from them to the texts"
        )
    if not isinstance(values.get("options", {}), Mapping):
        raise UsageError(f"{place}: options is not a table")
    return TextSpec(**{**values, "tokenizer": _tokenizer(values["tokenizer"], f"{place}.tokenizer")})


def _tokenizer(table: Any, place: str) -> TokenizerSpec:
    values = _table(table, TokenizerSpec, place, ("kind",))
    _choice(values, "kind", TOKENIZER_KINDS, place)
    _choice(values, "cleaning", CLEANINGS, place)
    source = values.get("source", "")
    if source and not str(source).startswith(_SOURCES):
        raise UsageError(f"{place}: source {source!r} begins with none of {', '.join(_SOURCES)}")
    return TokenizerSpec(**{**values, "files": tuple(values.get("files", ()))})


def _table(table: Any, record: type, place: str, needed: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise UsageError(f"{place} is not a table")
    known = {field.name for field in fields(record)}
    if unknown := [name for name in table if name not in known]:
        raise UsageError(f"{place}: unknown field {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
    if missing := [name for name in needed if name not in table]:
        raise UsageError(f"{place}: {missing[0]} is missing")
    return dict(table)


def _choice(values: Mapping[str, Any], name: str, choices: tuple[str, ...], place: str) -> None:
    if name in values and values[name] not in choices:
        raise UsageError(f"{place}: {name} = {values[name]!r} is none of {', '.join(filter(None, choices))}")
