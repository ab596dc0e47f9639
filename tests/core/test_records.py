"""The store's door for records: what fits its class comes back, everything else is refused or forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.core.store import keys
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import CorruptEntryError


@dataclass(frozen=True, slots=True)
class Bounds:
    low: float
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    name: str
    bounds: Mapping[str, Bounds]
    levels: tuple[float, ...] = (0.5,)


MEASURED = Measured(name="shift", bounds={"text": Bounds(0.25, None)}, levels=(0.0, 1.0))
JSON = {"name": "shift", "bounds": {"text": {"low": 0.25, "high": None}}, "levels": [0.0, 1.0]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_record_comes_back_as_its_class_and_lies_in_the_store_as_plain_json(store: Store) -> None:
    store.put_result("r", {"a": np.arange(3)}, MEASURED)
    found = store.read("r", Measured)
    assert found is not None
    assert (found.record, found.arrays["a"].tolist()) == (MEASURED, [0, 1, 2])
    assert store.read_record("r", Measured) == MEASURED
    assert store.record("r") == JSON


def test_what_another_release_adds_is_passed_over_and_what_an_earlier_one_lacks_has_its_default(store: Store) -> None:
    store.put_result("r", {}, {"name": "shift", "bounds": {}, "new": [1]})
    assert store.read_record("r", Measured) == Measured(name="shift", bounds={}, levels=(0.5,))


@pytest.mark.parametrize(
    "other",
    [
        {},
        {**JSON, "name": 3},
        {**JSON, "name": None},
        {**JSON, "bounds": {"text": {"low": "0.25", "high": None}}},
        {**JSON, "bounds": {"text": {"high": None}}},
        {**JSON, "levels": 1.0},
    ],
)
def test_a_record_of_another_shape_is_forgotten_and_computed_again(store: Store, other: dict[str, object]) -> None:
    store.put_result("r", {}, other)
    assert store.read_record("r", Measured) is None
    assert not store.has_result("r")
    store.put_result("r", {}, MEASURED)
    assert store.read_record("r", Measured) == MEASURED


def test_a_store_for_reading_only_says_what_does_not_fit_and_keeps_it(store: Store) -> None:
    store.put_result("r", {}, {**JSON, "bounds": {"text": {"high": None}}})
    store.close()
    with Store(store.directory, read_only=True) as reader:
        with pytest.raises(CorruptEntryError, match=r"no Measured .*`low`"):
            reader.read("r", Measured)
        assert keys.result("r") in reader


def test_a_record_that_could_not_be_read_back_is_not_stored(store: Store) -> None:
    with pytest.raises(TypeError, match="Measured does not hold what it declares"):
        store.put_result("r", {}, Measured(name="shift", bounds={}, levels=("high",)))  # type: ignore[arg-type]
    assert not store.has_result("r")
