"""The CSV writer: what a spreadsheet would run is text, what is a number stays one."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlm_tui.report.formats.csv_file import field, safe, write_csv
from medvlm_tui.report.formats.table import Heading, Printed, Table, texts


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\0x", "＝1"])
def test_a_formula_gets_a_quote(text: str) -> None:
    assert safe(text).startswith("'")


@pytest.mark.parametrize("text", ["glioma", "a=b", "x-y", " =late", "", "[/]"])
def test_other_text_is_left_alone(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize(
    ("value", "cell"),
    [(-1.5, "-1.5"), (0.1 + 0.2, "0.30000000000000004"), (7, "7"), (True, "true"), (None, ""), (math.nan, ""),
     (np.float64(-0.25), "-0.25"), (np.int16(3), "3"), (1e-7, "1e-07")],
)  # fmt: skip
def test_numbers_stay_numbers(value: object, cell: str) -> None:
    assert field(value) == cell  # type: ignore[arg-type]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_the_same(value: float) -> None:
    assert float(field(value)) == value


@given(st.text())
def test_no_text_begins_a_formula_or_holds_a_control_or_fails_to_encode(text: str) -> None:
    cell = safe(text)
    assert not cell.startswith(("=", "+", "-", "@"))
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in cell)
    cell.encode("utf-8")


def test_the_file_has_line_feeds_and_utf_8_and_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.csv"
    write_csv(path, Table("x", texts("a", "=b"), [("é,\n", 1.0), ('quote"', None)]))
    rows = [("é,\x1b[31m", Printed("1.0", 1.0, best=True)), Heading("none"), ('quote"', None), ("\udcff.png", 2)]
    write_csv(path, Table("x", texts("a", "=b"), rows))
    data = path.read_bytes()
    assert b"\r" not in data
    assert list(csv.reader(data.decode().splitlines())) == [
        ["a", "'=b"], ["é,\\x1b[31m", "1.0"], ['quote"', ""], ["\\udcff.png", "2"],
    ]  # fmt: skip
    assert [file.name for file in path.parent.iterdir()] == ["x.csv"]
