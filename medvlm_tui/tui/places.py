"""The places of the program: name, keys, and the screen that is imported when one first goes there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from textual.screen import Screen


@dataclass(frozen=True, slots=True)
class Place:
    """One screen."""

    name: str
    key: str
    digit: str
    letter: str
    """After `g`."""
    purpose: str
    screen: str
    """Class in the module `medvlm_tui.tui.NAME.screen`."""


PLACES = (
    Place("home", "f2", "1", "h", "models, datasets, and how they stand", "HomeScreen"),
    Place("run", "f3", "2", "r", "the run under way", "RunScreen"),
    Place("scores", "f4", "3", "s", "the results as a table", "ScoresScreen"),
    Place("map", "f5", "4", "m", "the images as the encoder sees them, by UMAP", "MapScreen"),
    Place("saliency", "f6", "5", "a", "what the classifier looks at", "SaliencyScreen"),
    Place("bias", "f7", "6", "b", "what burned-in words do to it", "BiasScreen"),
    Place("data", "f8", "7", "d", "counts, duplicates and leaks of a dataset, and how to get it", "DataScreen"),
    Place(
        "verdict",
        "f10",
        "8",
        "v",
        "which models are not separated from the best, and what that rests on",
        "VerdictScreen",
    ),
    Place("settings", "f9", "9", "e", "the options of every run, and what this machine has", "SettingsScreen"),
)


def screen_factory(place: Place) -> Callable[[], Screen[object]]:
    """Return a function that imports and makes the place's screen."""

    def make() -> Screen[object]:
        module = import_module(f"medvlm_tui.tui.{place.name}.screen")
        return cast("Screen[object]", getattr(module, place.screen)())

    return make
