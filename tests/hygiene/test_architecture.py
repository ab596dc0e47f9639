"""The map of the code (docs/architecture.md) is the code's."""

import re
from pathlib import Path

from medvlm_tui.stages import STAGES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "medvlm_tui"
MAP = (ROOT / "docs" / "architecture.md").read_text()


def drawn_tree() -> set[str]:
    """Return every folder (with a slash at its end) and file at the head of a line of the drawn tree."""
    block = MAP.partition("## The rooms")[2].partition("## ")[0]
    above: dict[int, str] = {}
    found = set()
    for line in block.splitlines():
        head = re.match(r"( {4,})((?:\w+(?:/|\.py)(?: +|$))+)", line)
        if head and not head[2].startswith("medvlm_tui/"):
            depth = len(head[1])
            parent = next((above[d] for d in sorted(above, reverse=True) if d < depth), "")
            names = [parent + name for name in head[2].split()]
            above = {d: path for d, path in above.items() if d < depth} | {depth: names[0]}
            found.update(names)
    return found


def test_the_map_of_the_code_draws_every_room_and_none_that_is_gone() -> None:
    rooms = {f"{path.parent.relative_to(PACKAGE)}/" for path in PACKAGE.rglob("__init__.py")} - {"./"}
    drawn = drawn_tree()
    assert {name for name in drawn if name.endswith("/")} == rooms
    assert [name for name in drawn if not (PACKAGE / name).exists()] == []


def test_the_documents_name_no_module_that_is_gone() -> None:
    gone = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for name in re.findall(r"`((?:\w+/)+\w+\.(?:py|toml|csv|md))\b", page.read_text()):
            here = any((root / name).exists() for root in (ROOT, PACKAGE))
            if not here and "NAME" not in name and name != "stages/x.py":
                gone.append(f"{page.name}: {name}")
    assert not gone


def test_the_table_of_stored_results_has_a_row_for_every_stage_that_stores_one() -> None:
    table = MAP.partition("## Results in the store")[2]
    rows = re.findall(r"^\| ([a-z_]+) \| ", table, re.MULTILINE)
    assert sorted(rows) == sorted([stage.kind for stage in STAGES if stage.work] + ["kind"])
