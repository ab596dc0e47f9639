"""The features in a workspace's store, for notebooks: read only, as numpy arrays and data frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.api.frames import pandas
from medvlm_tui.core.specs import EncoderKey
from medvlm_tui.core.store.contents import read_origins
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import MissingInputError, StoreError, UsageError
from medvlm_tui.settings import sources

if TYPE_CHECKING:
    import pandas as pd

_AGAIN = "run the same study again"


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """Features of one model on one dataset, rows in the dataset's order."""

    key: str
    """The table's key in the store."""
    model: str
    dataset: str
    """Empty for a table that was imported, whose dataset no run of this workspace names."""
    feature: str
    precision: str
    features: NDArray[np.float32]
    """(n, d), not normalised, memory-mapped: read only."""
    ids: NDArray[np.str_]
    """(n,) each image's path below the dataset's folder."""
    labels: NDArray[np.str_]
    """(n,)"""
    groups: NDArray[np.str_]
    """(n,) patient, slide or lesion; empty where the dataset names none."""
    failed: Mapping[str, str]
    """Image -> why it could not be read; it has no row."""

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame with a row per image: index `image`, columns `label`, `group`, `f0`, `f1`, ...

        Raises MissingInputError where pandas is not installed.
        """
        frames = pandas()
        names = [f"f{number}" for number in range(self.features.shape[1])]
        frame = frames.DataFrame(np.asarray(self.features), index=frames.Index(self.ids, name="image"), columns=names)
        head = frames.DataFrame({"label": self.labels, "group": self.groups}, index=frame.index)
        joined: pd.DataFrame = frames.concat([head, frame], axis=1)
        return joined


@dataclass(frozen=True, slots=True)
class StoredTable:
    """One table of the store, as `FeatureStore.tables` lists it."""

    key: str
    model: str
    dataset: str
    feature: str
    precision: str
    rows: int
    dim: int


class FeatureStore:
    """A workspace's store, open for reading. Made by `open_store`; a run may write to it at the same time."""

    def __init__(self, workspace: Workspace) -> None:
        """Open the store; raises MissingInputError where there is none, StoreError where it cannot be read."""
        if not workspace.store.exists():
            raise MissingInputError(
                f"there is no store at {workspace.store}", "run a study first, or name its workspace"
            )
        self._store = Store(workspace.store, read_only=True)
        self._runs = workspace.runs

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; features that were read stay usable."""
        self._store.close()

    def tables(self) -> tuple[StoredTable, ...]:
        """Return what the store has, sorted by model and dataset."""
        origins, found = read_origins(self._runs), []
        for key in self._store.tables.listed():
            manifest = self._store.tables.manifest(key)
            if manifest is not None:
                encoder, (rows, dim) = EncoderKey(**manifest["encoder"]), manifest["shape"]
                dataset = origins[key].dataset if key in origins else ""
                found.append(StoredTable(key, encoder.model, dataset, encoder.feature, encoder.precision, rows, dim))
        return tuple(sorted(found, key=lambda table: (table.model, table.dataset, table.key)))

    def read(self, model: str = "", dataset: str = "", *, key: str = "") -> StoredFeatures:
        """Return the one table of a model and a dataset, or of a key of `tables`.

        Raises UsageError where the store has none or several that fit, StoreError where its bytes are damaged.
        """
        wanted = {"model": model, "dataset": dataset, "key": key}
        fit = [each for each in self.tables() if all(not v or getattr(each, n) == v for n, v in wanted.items())]
        if len(fit) != 1:
            raise _not_one(fit, {name: value for name, value in wanted.items() if value})
        table = self._store.tables.read(fit[0].key)
        if table is None:
            raise StoreError(f"the stored features {fit[0].key} are damaged", _AGAIN)
        return StoredFeatures(
            key=fit[0].key,
            model=fit[0].model,
            dataset=fit[0].dataset,
            feature=fit[0].feature,
            precision=fit[0].precision,
            features=table.matrix,
            ids=np.array(table.ids, dtype=np.str_),
            labels=np.array(table.labels, dtype=np.str_),
            groups=np.array(table.groups, dtype=np.str_),
            failed=dict(table.failed),
        )


def open_store(workspace: str | Path = "") -> FeatureStore:
    """Return the store of a workspace, of the default one where none is named; use it in a `with` statement.

    Raises MissingInputError where no run has stored anything there, StoreError where it cannot be read.
    """
    return FeatureStore(Workspace(sources.load(str(workspace) or None).workspace))


def _not_one(fit: list[StoredTable], wanted: Mapping[str, str]) -> UsageError:
    asked = ", ".join(f"{name} {value}" for name, value in wanted.items()) or "anything"
    if not fit:
        return UsageError(f"the store has no features of {asked}", "see FeatureStore.tables() for what it has")
    return UsageError(f"{len(fit)} tables fit {asked}", "name one by key=..., see FeatureStore.tables()")
