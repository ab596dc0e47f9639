"""Every key binding has an id (`map.zoom_in`), by which the settings file gives its action other keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from textual.binding import Binding, BindingType

_SIGNS = {"-": "minus_", "+": "plus_"}


class NamedBindings:
    """Base of classes that declare BINDINGS: those without an id get `OWNER.ACTION`, the action's arguments in it.

    It stands first among the bases: Textual merges the bindings of a class when the class is made.
    """

    bindings_owner = ""
    """First half of the ids; empty for the class's name."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "BINDINGS" in cls.__dict__:
            owner = cls.__dict__.get("bindings_owner") or getattr(cls, "place", "") or _words(cls.__name__)
            setattr(cls, "BINDINGS", list(named(owner, cls.__dict__["BINDINGS"])))  # noqa: B010 (no name of this class)
        super().__init_subclass__(**options)


def named(owner: str, bindings: list[BindingType]) -> Iterator[Binding]:
    """Yield bindings with ids; several keys of one action in one binding stay one."""
    for binding in bindings:
        one = binding if isinstance(binding, Binding) else Binding(*binding)
        yield one if one.id else replace(one, id=f"{owner}.{action_name(one.action)}")


def action_name(action: str) -> str:
    """Return an action as a word: `walk(-1)` is `walk_minus_1`, `app.go('map')` is `go_map`."""
    name = re.sub(r"(?<=\()[-+]|(?<=[ ,])[-+](?=\d)", lambda sign: _SIGNS[sign[0]], action.removeprefix("app."))
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Screen")).lower()
