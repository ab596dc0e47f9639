"""Docstrings name a thing or say what is returned, in the rooms whose wording was read for it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "medvlm_tui"
ROOMS = (
    "api", "core", "engine", "service", "batch", "catalog", "commands", "measures", "render", "report", "stages",
    "tui", "settings", "cli.py", "errors.py", "plugin.py", "streams.py", "version.py",
)  # fmt: skip
OPENING = re.compile(r"(Say|Be|Give|Let|Whether|What|Who|Where|How)\b")
DROPPED_PER = re.compile(
    r"\b(one|images?|rows?|cells?|masks?|maps?|blocks?|bytes?|points?|events?|records?|times) an? "
    r"(model|cell|class|worker|side|step|second|row|image|dataset|line|run|group|fold|map|mask|word|message|panel)\b"
)


def faults(source: str) -> Iterator[str]:
    """Yield each docstring (of a field too) that begins with one of the words, or drops the word "per"."""
    for node in ast.walk(ast.parse(source)):
        for statement in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))) if OPENING.match(text) or DROPPED_PER.search(text):
                    yield f"line {statement.lineno}: {text}"


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_begin_with_the_thing_or_the_verb(room: str) -> None:
    place = PACKAGE / room
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert files
    assert [f"{file.relative_to(PACKAGE)} {fault}" for file in files for fault in faults(file.read_text())] == []


def test_the_check_finds_what_it_forbids() -> None:
    source = '"""What it is."""\nclass A:\n    """Say it."""\n    b: int\n    """Images a class."""\n'
    assert len(list(faults(source))) == 2
    assert len(list(faults(source.replace("Images", "images")))) == 3
    assert not list(faults('"""Return images per class; whatever they are."""\n'))
