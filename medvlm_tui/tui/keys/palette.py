"""The commands of the palette: places, the actions of the screen that is shown, and those of every other place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from pkgutil import walk_packages

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.screen import Screen

from medvlm_tui import tui
from medvlm_tui.tui.keys.actions import KeyAction, declared_actions, key_actions
from medvlm_tui.tui.keys.named_bindings import NamedBindings
from medvlm_tui.tui.places import PLACES, Place


def commands(app: App[int], screen: Screen[object], go: Callable[[str], object]) -> Iterator[SystemCommand]:
    """Yield the actions of this screen, then the places and the actions of the others, which go there first by `go`."""
    for action in key_actions(screen):
        yield SystemCommand(_named(action), f"{action.key_list}   {action.id}", _do(app, action))
    here = getattr(screen, "place", "")
    for place in PLACES:
        yield SystemCommand(f"Go to {place.name}", place.purpose, partial(go, place.name))
    for place in PLACES:
        if place.name != here:
            for action in actions_of(place):
                yield SystemCommand(
                    f"{place.name}: {action.what}",
                    f"{action.key_list}   on {place.name}",
                    partial(_there, app, go, place, action),
                    discover=False,
                )


def actions_of(place: Place) -> list[KeyAction]:
    """Return the actions that a place's screen declares."""
    screen = getattr(import_module(f"medvlm_tui.tui.{place.name}.screen"), place.screen)
    ours = [base for base in reversed(screen.__mro__) if base.__module__.startswith("medvlm_tui.")]
    return declared_actions(one for base in ours for one in _declared(base).values())


def problems_of(keymap: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with the keys of the settings file: ids that are none, actions that lose their only key."""
    owned = [_declared(kind) for kind in _all_kinds()]
    known = {name for bindings in owned for name in bindings}
    for name in keymap:
        if name not in known:
            near = get_close_matches(name, known, 3)
            yield f"no action is called {name}" + (f"; near: {', '.join(near)}" if near else "")
    for bindings in owned:
        taken = {key for name in bindings for key in keymap.get(name, "").split(",")}
        for name, one in bindings.items():
            if name not in keymap and taken.issuperset(one.key.split(",")):
                yield f"{name} has no key any more: {one.key} was given to another action"


def _all_kinds() -> Iterator[type]:
    """Yield every class with bindings, of screens that nobody has opened yet too."""
    for module in walk_packages(tui.__path__, f"{tui.__name__}."):
        import_module(module.name)
    yield from kinds(NamedBindings)


def _declared(kind: type) -> dict[str, Binding]:
    """Return the bindings that a class declares itself, by their ids."""
    own: list[Binding] = kind.__dict__.get("BINDINGS", [])
    return {one.id: one for one in own if one.id is not None}


def kinds(base: type) -> Iterator[type]:
    """Yield every class below `base` that is loaded."""
    below: list[type] = base.__subclasses__()
    for one in below:
        yield one
        yield from kinds(one)


def _named(action: KeyAction) -> str:
    return action.what[:1].upper() + action.what[1:]


def _do(app: App[int], action: KeyAction) -> Callable[[], object]:
    return lambda: app.call_later(app.run_action, action.action, action.node)


def _there(app: App[int], go: Callable[[str], object], place: Place, action: KeyAction) -> None:
    """Go to a place and do one of its actions once it is drawn."""
    go(place.name)
    app.call_after_refresh(lambda: app.run_action(action.action, app.screen))
