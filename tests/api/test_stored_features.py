"""The features of a workspace as arrays and frames."""

import sys
from pathlib import Path

import numpy as np
import pytest

import medvlm_tui
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import MissingInputError, StoreError, UsageError
from tests.made.store import flip, table


def test_a_table_as_arrays_and_as_a_frame(here: Path) -> None:
    with medvlm_tui.open_store("study") as store:
        (listed,) = store.tables()
        stored = store.read("efficientnet_lite0", "phantom")
        assert store.read(key=listed.key).key == stored.key
    assert (listed.model, listed.dataset, listed.rows, listed.dim) == ("efficientnet_lite0", "phantom", 60, 1280)
    assert stored.features.shape == (60, 1280)
    assert sorted(set(stored.labels.tolist())) == ["none", "smooth", "spiculated"]
    frame = stored.to_pandas()
    assert list(frame.columns[:3]) == ["label", "group", "f0"]
    assert frame.index.name == "image"
    assert frame.index.tolist() == stored.ids.tolist()
    assert frame["label"].tolist() == stored.labels.tolist()
    assert np.array_equal(frame.iloc[:, 2:].to_numpy(), stored.features)
    with pytest.raises(ValueError, match="read-only"):
        stored.features[0, 0] = 1


def test_what_is_not_there_or_not_the_only_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no store"):
        medvlm_tui.open_store(tmp_path / "nowhere")
    with Store(tmp_path / "store") as store:
        store.seal("a" * 32, table())
        store.seal("b" * 32, table(4))
    with medvlm_tui.open_store(tmp_path) as store:
        with pytest.raises(UsageError, match="2 tables fit model m"):
            store.read("m")
        with pytest.raises(UsageError, match="no features of model other"):
            store.read("other")
        assert store.read(key="a" * 32).failed == {"x.png": "truncated"}


def test_damaged_features_are_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        store.seal("a" * 32, table())
    flip(tmp_path / "store" / "sealed" / f"{'a' * 32}.safetensors", -1)
    with medvlm_tui.open_store(tmp_path) as store, pytest.raises(StoreError, match="damaged"):
        store.read("m")


def test_without_pandas_the_error_says_what_to_install(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with medvlm_tui.open_store("study") as store:
        stored = store.read()
    with pytest.raises(MissingInputError, match="needs pandas") as refused:
        stored.to_pandas()
    assert "pip install pandas" in refused.value.hint
