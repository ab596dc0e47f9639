"""What the documents say is what the code does."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from textual.binding import Binding, BindingType
from textual.keys import _character_to_key

from medvlm_tui.cli import batch_parser, command_parser
from medvlm_tui.settings.flags import values_of
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.places import PLACES

ROOT = Path(__file__).parents[2]


def test_generated_tables_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_line_of_the_readme_parses() -> None:
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^    (?:\.venv/bin/)?medvlm-tui(.*)$", text, re.MULTILINE)
    assert len(lines) >= 8
    for line in lines:
        arguments = line.split()
        if "--batch" in arguments:
            values_of(batch_parser().parse_args(arguments))
        else:
            values_of(command_parser(arguments).parse_args(arguments), ("data", "weights", "offline", "window"))


def test_the_readme_names_the_key_of_every_screen() -> None:
    rows = re.findall(r"^\| `F(\d+)`, `g (\w)` \| (\w+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [(place.key.removeprefix("f"), place.letter, place.name) for place in PLACES]


def test_every_key_in_the_walk_through_the_screens_is_bound() -> None:
    text = (ROOT / "README.md").read_text().split("## A walk through the screens")[1].split("\n## ")[0]
    steps = re.findall(r"^\d\. \*\*[^*]*, on (\w+)\.\*\*((?:.|\n   )*)", text, re.MULTILINE)
    assert [name for name, _ in steps] == [place.name for place in PLACES if place.name in dict(steps)]
    assert len(steps) == len(PLACES)
    for name, step in steps:
        place = next(place for place in PLACES if place.name == name)
        screen = getattr(import_module(f"medvlm_tui.tui.{name}.screen"), place.screen)
        bound = _keys([binding for kind in screen.__mro__ for binding in kind.__dict__.get("BINDINGS", ())])
        named = [key for keys in re.findall(r"`([^`]+)`", step) for key in keys.split()]
        assert named
        assert {key: key for key in named if _key(key) not in bound} == {}, name


def test_the_keys_of_every_screen_in_the_readme_are_bound() -> None:
    text = (ROOT / "README.md").read_text()
    sentence = text[text.index("On every screen") : text.index("A run goes on after you leave.")]
    named = set(re.findall(r"`([^`]+)`", sentence)) - {"--batch"}
    assert named == {".", "?", "F1", ":", "escape", "y", "q"}
    assert {_key(key) for key in named} <= _keys(MedvlmApp.BINDINGS)


def _keys(bindings: list[BindingType]) -> set[str]:
    """Return the names of the keys of bindings."""
    return {key.strip() for binding in bindings for key in _names(binding).split(",")}


def _names(binding: BindingType) -> str:
    return binding.key if isinstance(binding, Binding) else binding[0]


def _key(shown: str) -> str:
    """Return Textual's name of a key that is written as a reader knows it."""
    return {"-": "minus", "+": "plus"}.get(shown) or (_character_to_key(shown) if len(shown) == 1 else shown.lower())
