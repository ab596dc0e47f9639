"""results.parquet: the rows of results.csv with their types."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from medvlm_tui.core.events import FileWritten, Log
from medvlm_tui.report.formats import parquet_file
from medvlm_tui.report.formats.parquet_file import write_parquet
from medvlm_tui.report.formats.table import Printed, Table, numbers, texts
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores import files as score_files
from medvlm_tui.report.write import write_report
from tests.made.report_store import filled

TYPES = {"model": "string", "mean": "double", "t": "double", "n_train": "int64", "n_test": "int64", "saturated": "bool"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parquet")
    source = filled(folder)
    told = list(score_files.tables(Gathered(source), folder / "out"))
    source.store.close()
    assert FileWritten(str(folder / "out" / "results.parquet"), "table") in told
    return folder / "out"


def test_the_rows_are_those_of_the_csv_file(out: Path) -> None:
    rows = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    table = pyarrow.parquet.read_table(out / "results.parquet")
    assert table.column_names == list(rows[0])
    assert {name: str(table.schema.field(name).type) for name in TYPES} == TYPES
    assert len(rows) == table.num_rows > 10
    read = {"string": str, "double": float, "int64": int, "bool": lambda text: text == "true"}
    for row, ours in zip(rows, table.to_pylist(), strict=True):
        for name, text in row.items():
            value = None if text == "" else read[str(table.schema.field(name).type)](text)
            found = None if ours[name] == "" else ours[name]
            assert found == (value.removeprefix("'") if isinstance(value, str) else value), name
    assert str(pd.read_parquet(out / "results.parquet")["saturated"].dtype) in ("bool", "object", "boolean")


def test_a_value_of_another_type_is_refused_and_nothing_is_invented(tmp_path: Path) -> None:
    columns = (*texts("name", "flag"), *numbers("n", "x"))
    rows = (("=1+1\x1b", np.bool_(True), np.int16(3), Printed("0.3", 0.25)), (None, None, None, float("nan")))
    write_parquet(tmp_path / "a.parquet", Table("a", columns, rows), {"n": "int64", "flag": "bool"})
    first, second = pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert (first["flag"], first["n"], first["x"]) == (True, 3, 0.25)
    assert first["name"].startswith("=1+1")
    assert "\x1b" not in first["name"]
    assert set(second.values()) == {None}
    for value in (3.5, "3", True):
        with pytest.raises(ValueError, match="column n is of int64"):
            write_parquet(tmp_path / "b.parquet", Table("b", numbers("n"), ((value,),)), {"n": "int64"})
    assert not (tmp_path / "b.parquet").exists()


def test_without_pyarrow_the_run_and_its_manifest_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "find_spec", lambda name: None)
    monkeypatch.setattr("medvlm_tui.report.write.draw_figures", lambda *_: iter(()))
    source = filled(tmp_path)
    told = list(write_report(source, tmp_path / "out"))
    source.store.close()
    (log,) = [event for event in told if isinstance(event, Log)]
    assert "results.parquet is not written: pyarrow is not installed" in log.message
    assert "pyarrow" in json.loads((tmp_path / "out" / "manifest.json").read_text())["left_out"]["results.parquet"]
    assert not (tmp_path / "out" / "results.parquet").exists()
