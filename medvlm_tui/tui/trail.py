"""The trail of screens that one came along: going somewhere lengthens it, `esc` goes back, home begins anew."""

from __future__ import annotations

from textual.app import App
from textual.screen import Screen

MOST = 20
"""Screens that are kept; the oldest above home goes first."""


def go(app: App[int], name: str) -> None:
    """Show a place above those that one came from; open dialogs close without an answer.

    A place that lies further down the trail moves to its end: no screen is on it twice.
    """
    while app.screen.is_modal:
        app.screen.dismiss(None)
    if name == "home":
        while len(app.screen_stack) > 1:
            app.pop_screen()
        return
    place = app.get_screen(name)
    if place is app.screen:
        return
    stack = app._screen_stack
    if place in stack:
        _take_out(stack, stack.index(place))
    elif len(stack) > MOST:
        oldest = _take_out(stack, 1)
        if not app.is_screen_installed(oldest):
            oldest.remove()
    app.push_screen(place)


def back(app: App[int]) -> None:
    """Leave the screen that is shown for the one before it."""
    if len(app.screen_stack) > 1:
        app.pop_screen()


def _take_out(stack: list[Screen[object]], index: int) -> Screen[object]:
    """Remove a suspended screen from the stack, as popping it would have."""
    screen = stack.pop(index)
    screen._pop_result_callback()
    return screen
