"""The actions of the moment: bindings of the focused widget, its screen and the program, as one list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import Screen

from medvlm_tui.tui.keys.named_bindings import action_name

# Textual's names of keys -> how they are shown; other names are shown as they are.
_GLYPHS = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "full_stop": ".",
    "comma": ",",
    "colon": ":",
    "plus": "+",
    "minus": "-",
    "underscore": "_",
    "equals_sign": "=",
    "escape": "esc",
    "upper_h": "H",
}


@dataclass(frozen=True, slots=True)
class KeyAction:
    """One action with all its keys."""

    id: str
    keys: tuple[str, ...]
    """As people write them."""
    raw: tuple[str, ...]
    """As Textual names them."""
    what: str
    """Description for people."""
    action: str
    node: DOMNode | None = field(repr=False, compare=False)
    """The node that has the action; None for one of a place that is not shown."""
    shown: bool = True
    """Stands in the footer where there is room."""
    everywhere: bool = False
    """The same on every screen."""
    label: str = ""
    """The keys as the footer writes them, empty for the first of them."""

    @property
    def key_list(self) -> str:
        """All keys, separated by blanks."""
        return " ".join(self.keys)


def key_name(key: str) -> str:
    """Return a key as people write it."""
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _GLYPHS.get(key, key)


def key_actions(screen: Screen[object]) -> list[KeyAction]:
    """Return what can be done here now, the focused widget's first, each action once with all its keys."""
    found: dict[tuple[int, str], tuple[list[str], Binding, DOMNode]] = {}
    for active in screen.active_bindings.values():
        if active.enabled and not active.binding.system:
            keys, _, _ = found.setdefault((id(active.node), active.binding.action), ([], active.binding, active.node))
            keys.append(active.binding.key)
    return [
        _key_action(keys, binding, node, everywhere=node is screen.app or (binding.id or "place.").startswith("place."))
        for keys, binding, node in found.values()
        if binding.description
    ]


def declared_actions(bindings: Iterable[Binding]) -> list[KeyAction]:
    """Return the actions of bindings of a class that nobody looks at."""
    found: dict[str, tuple[list[str], Binding]] = {}
    for binding in Binding.make_bindings(bindings):
        if binding.description:
            found.setdefault(binding.action, ([], binding))[0].append(binding.key)
    return [_key_action(keys, binding, None, everywhere=False) for keys, binding in found.values()]


def _key_action(keys: list[str], binding: Binding, node: DOMNode | None, everywhere: bool) -> KeyAction:
    return KeyAction(
        id=binding.id or action_name(binding.action),
        keys=tuple(dict.fromkeys(map(key_name, keys))),
        raw=tuple(keys),
        what=binding.description,
        action=binding.action,
        node=node,
        shown=binding.show,
        everywhere=everywhere,
        label=binding.key_display or "",
    )
