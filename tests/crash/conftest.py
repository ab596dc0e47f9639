"""What the crash tests share: stores of either kind, and the account after a crash."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.store.verify import scrub, verify
from medvlm_tui.errors import CorruptEntryError
from tests.crash.writer import ROWS, key_of, value_of
from tests.made.store import pretend


@dataclass
class Account:
    """What a store has after crashes, against what its writers were told."""

    lost: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    unsaid: int = 0
    """Whole entries whose writer died before it could say so."""


def make_store(directory: Path, kind: str) -> Path:
    """Make an empty store of a kind; its format file keeps the choice for the writers' processes."""
    with pytest.MonkeyPatch.context() as patch:
        pretend(patch, kind)
        Store(directory).close()
    assert json.loads((directory / "format.json").read_bytes())["journal"] == kind
    return directory


@pytest.fixture(params=["sqlite", "files"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of journal."""
    return request.param


@pytest.fixture
def store_path(kind: str, tmp_path: Path) -> Path:
    """An empty store of either kind."""
    return make_store(tmp_path / "store", kind)


def account(path: Path, told: set[int], rows: int = ROWS, read_only: bool = False) -> Account:
    """Open the store as the next run does and compare every entry with what was written."""
    found = Account()
    with Store(path, read_only=read_only) as store:
        stored = {int(key.rpartition("/")[2]) for key in store.keys("crash/")}
        found.unsaid = len(stored - told)
        for number in sorted(told | stored):
            try:
                value = store.get(key_of(number))
            except CorruptEntryError:
                value = None
            if value is None and number in told:
                found.lost.append(number)
            elif value is not None and value != value_of(number, rows):
                found.wrong.append(number)
    return found


def tidy(path: Path) -> int:
    """Scrub the store, check that nothing in it is damaged, and return how many leftovers there were."""
    with Store(path) as store:
        removed = len(scrub(store).removed)
        assert list(verify(store)) == []
    return removed


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]):
    """Print a figure past pytest's capture: docs/reliability.md keeps them."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", flush=True)

    return say
