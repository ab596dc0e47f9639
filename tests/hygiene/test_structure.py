"""The shape of the house: rooms of a readable size, no import circle, imports for types included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "medvlm_tui").rglob("*.py"))
}
ROOMS = sorted({path.parent for path in MODULES.values()})


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a module imports anywhere, for types alone too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in names)


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: {other for other in imported(path) if other in MODULES} - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("room", ROOMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_has_at_most_twenty_modules_and_says_what_it_is_for(room: Path) -> None:
    modules = [path for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 20
    if len(modules) > 1:
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
