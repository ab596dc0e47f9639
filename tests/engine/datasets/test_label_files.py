"""Parsers of label files: encodings, separators, quotes, heads, labels that are none or the same twice."""

import csv
import io
import subprocess
import sys
import time
import unicodedata
from contextlib import suppress
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvlm_tui.engine.datasets.folders.part_names import holds_images, holds_masks, part_of, stem_of_mask
from medvlm_tui.engine.datasets.label_files import label_text, parquet_file, parquet_trial, spreadsheet
from medvlm_tui.engine.datasets.label_files.columns import AmbiguousColumnsError, count_known, find_columns
from medvlm_tui.engine.datasets.label_files.delimited import read_delimited
from medvlm_tui.engine.datasets.label_files.label_table import open_table
from medvlm_tui.engine.datasets.label_files.text_file import read_text
from medvlm_tui.errors import DatasetError

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=12)


def written(rows, separator, quoting, ending="\n"):
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, quoting=quoting, lineterminator=ending).writerows(rows)
    return buffer.getvalue()


# -- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"], ids=str
)
def test_unicode_is_read_with_and_without_its_mark(tmp_path, encoding):
    text = "path,label\nimages/0.png,Läsion 病変\n" * 3
    path = tmp_path / "l.csv"
    mark = "\ufeff" if encoding == "utf-32-be" else ""
    path.write_bytes((mark + text).encode(encoding))
    found, note = read_text(path)
    assert found.removeprefix("\ufeff") == text
    assert not note


@pytest.mark.parametrize(
    ("encoding", "text", "named"),
    [
        ("cp1252", "path,label\n0.png,Läsion\n1.png,gutartig – groß\n", "Windows-1252"),
        ("latin-1", "path,label\n0.png,bénin\n1.png,malin\n", "Windows-1252"),
        ("cp932", "path,label\n0.png,良性\n1.png,悪性\n2.png,テスト\n", "Shift JIS"),
    ],
)
def test_older_encodings_are_read_and_named(tmp_path, encoding, text, named):
    path = tmp_path / "l.csv"
    path.write_bytes(text.encode(encoding))
    found, note = read_text(path)
    assert found == text
    assert named in note
    assert "UTF-8" in note


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_text_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    with suppress(DatasetError):
        table = open_table("own", path)
        for _, cells in table.rows(table.columns):
            assert set(cells) == set(table.columns)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel 97"),
        (b"<!DOCTYPE html><html>sign in</html>", "web page"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
    ],
)
def test_other_files_are_named(tmp_path, data, said):
    (tmp_path / "l.csv").write_bytes(data)
    with pytest.raises(DatasetError, match=said):
        open_table("own", tmp_path / "l.csv")


# -- separators, quotes, cells ----------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
)
def test_what_a_csv_writer_writes_is_read_again(rows, separator, quoting, ending, said):
    expected = [tuple(cell.strip() for cell in row) for row in rows]
    text = written([("path", "label"), *rows], separator, quoting, ending)
    text = f"sep={separator}{ending if ending != chr(13) else chr(10)}{text}" if said else text
    table = read_delimited(text, count_known)
    assert table.head == ("path", "label")
    assert [row.cells for row in table.rows] == [row for row in expected if any(row)]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_rows_or_refused(text):
    try:
        table = read_delimited(text, count_known)
    except ValueError:
        return
    assert all(len(row.cells) == len(table.head) for row in table.rows)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_head_chooses_the_separator(separator):
    other = ";" if separator == "," else ","
    text = f'path{separator}label\n0.png{separator}"a{other} b"\n1.png{separator}"c{separator} d"\n'
    assert [row.cells for row in read_delimited(text, count_known).rows] == [
        ("0.png", f"a{other} b"),
        ("1.png", f"c{separator} d"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\n0.png,ductal, left\n", "line 2 has 3 cells, the head names 2"),
        ("path,label,\n0.png,ductal, left\n", "line 2 has 3 cells, the head names 2"),
        ("path;label\n\n0.png;a;b\n", "line 3 has 3 cells.*semicolon"),
        ('path,label\n0.png,"a\n1.png,b\n', "quote is not closed"),
        ('path,label\n0.png,"a"b\n', "quote"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_line(text, said):
    with pytest.raises(ValueError, match=said):
        read_delimited(text, count_known)


def test_empty_cells_and_rows_of_a_spreadsheet_pass():
    text = ',path,label,,\n0,0.png,a,,\n,,,,\n\n1,1.png,"b, c",,\n2,2.png\n,,,,\n'
    table = read_delimited(text, count_known)
    assert table.head == ("", "path", "label")
    assert [row.cells for row in table.rows] == [("0", "0.png", "a"), ("1", "1.png", "b, c"), ("2", "2.png", "")]
    assert [row.line for row in table.rows] == [2, 5, 6]


# -- heads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "path", "label", "others"),
    [
        ("path,label,group,split,mask", "path", "label", {"group": "group", "split": "split", "mask": "mask"}),
        ("PATH, Label", "PATH", "Label", {}),
        ("Image Index,Finding Labels,Patient ID", "Image Index", "Finding Labels", {"group": "Patient ID"}),
        ("lesion_id,image_id,dx,dx_type,age", "image_id", "dx", {"group": "lesion_id"}),
        ("id_code,diagnosis", "id_code", "diagnosis", {}),
        ("file_name,label", "file_name", "label", {}),
        ("Filename;Class".replace(";", ","), "Filename", "Class", {}),
        ("img,target,subset", "img", "target", {"split": "subset"}),
        ("image,level", "image", "level", {}),
        ("label,Label,path", "path", "label", {}),
        ("ImagePath,ClassName,PatientID,Split", "ImagePath", "ClassName", {"group": "PatientID", "split": "Split"}),
        ("image_path,mask_path,category", "image_path", "category", {"mask": "mask_path"}),
    ],
)
def test_columns_as_people_call_them(head, path, label, others):
    names = [name.strip() for name in head.split(",")]
    found = find_columns(names)
    assert names[found.path] == path
    assert [names[i] for i in found.labels] == [label]
    for role in ("group", "split", "mask"):
        position = getattr(found, role)
        assert (names[position] if position >= 0 else None) == others.get(role)


def test_columns_that_may_be_the_label_are_all_told():
    found = find_columns(["image", "target", "diagnosis"])
    assert [("image", "target", "diagnosis")[i] for i in found.labels] == ["target", "diagnosis"]
    assert find_columns(["image", "target", "diagnosis"], "diagnosis").labels == (2,)
    with pytest.raises(AmbiguousColumnsError, match="two columns"):
        find_columns(["path", "Class", "class "])
    with pytest.raises(KeyError):
        find_columns(["path", "label"], "grade")


# -- labels -----------------------------------------------------------------------------------------


@given(st.text(max_size=20))
def test_tidying_is_done_once_and_composed(text):
    tidy = label_text.tidy(text)
    assert label_text.tidy(tidy) == tidy
    assert tidy == label_text.tidy(f"  {text}\u200b ")
    assert label_text.tidy(unicodedata.normalize("NFD", text)) == tidy or not unicodedata.is_normalized("NFC", text)


@given(st.lists(st.text(max_size=8), max_size=8))
def test_alike_labels_are_told_once_each(labels):
    told = [name for names, _ in label_text.alike(labels) for name in names]
    assert len(told) == len(set(told))
    assert set(told) <= set(labels)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("COVID", "Covid"),
        ("no tumor", "no_tumor"),
        ("no-tumor", "no tumor"),
        ("Läsion", "La\u0308sion"),
        ("Carcinoma", "\u0421arcinoma"),
        ("\uff21", "A"),
        ("Stage 2", "stage2"),
        ("1", "01"),
        ("1", "1.0"),
        ("a\u200bb", "ab"),
        ("Straße", "STRASSE"),
    ],
)
def test_labels_that_look_alike(first, second):
    assert label_text.alike([first, second])


@pytest.mark.parametrize(
    ("first", "second"),
    [("ER+", "ER-"), ("1", "-1"), ("4-5", "45"), ("1.5", "15"), ("COVID", "non-COVID"), ("か", "が"), ("<5", ">5")],
)
def test_labels_that_differ_are_left_alone(first, second):
    assert not label_text.alike([first, second])


def test_whole_numbers_in_two_ways_are_one():
    assert label_text.whole_numbers(["0", "0.0", "1.00", "1", "2.0", "2.5", "x"]) == {"0.0": "0", "1.00": "1"}


@pytest.mark.parametrize("text", ["", "nan", "NaN", "N/A", "#N/A", "NULL", "-", "?", "<NA>", "#REF!"])
def test_labels_that_are_none(text):
    assert label_text.is_none(label_text.tidy(f" {text} "))


@pytest.mark.parametrize("text", ["0", "none", "unknown", "normal", "NAD", "negative", "False"])
def test_labels_that_are_some(text):
    assert not label_text.is_none(text)


# -- parts and folders ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "names"),
    [
        (
            "train",
            "train Training TRAIN 01_train training-set Train_images imagesTr train2017 trainset TrainingData trn",
        ),
        ("val", "val valid Validation dev 2.validation val_split validation_images VALID development"),
        ("test", "test Testing test_set 3-test TestImages imagesTs holdout hold-out test_split test2 unlabeled_test"),
    ],
)
def test_parts_in_their_spellings(part, names):
    assert {name: part_of(name) for name in names.split()} == dict.fromkeys(names.split(), part)


NO_PARTS = "benign testis contest trained_nurse valve devices normal images 0 fold1 latest"


def test_names_that_are_no_parts():
    assert {name: part_of(name) for name in NO_PARTS.split()} == dict.fromkeys(NO_PARTS.split(), "")


def test_folders_of_images_and_of_masks():
    assert all(map(holds_images, ("images", "Image", "imgs", "raw_images", "image_data")))
    assert not any(map(holds_images, ("benign", "imaging_artifact", "0", "covid images")))
    assert all(map(holds_masks, ("masks", "Mask", "lung_masks", "GroundTruth", "segmentations", "lung masks", "gt")))
    assert not any(map(holds_masks, ("with_mask", "without_mask", "no mask", "benign", "masked")))
    assert [stem_of_mask(stem) for stem in ("a", "a_mask", "a_mask_1", "a-seg", "a_b_segmentation")] == [
        "a",
        "a",
        "a",
        "a",
        "a_b",
    ]


# -- workbooks and Parquet --------------------------------------------------------------------------

NAMESPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def workbook(path, sheet, strings=""):
    with ZipFile(path, "w") as archive:
        body = f'<worksheet xmlns="{NAMESPACE}"><sheetData>{sheet}</sheetData></worksheet>'
        archive.writestr("xl/worksheets/sheet1.xml", body)
        if strings:
            archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{NAMESPACE}">{strings}</sst>')
    return path


def test_a_sheet_is_read_by_its_letters(tmp_path):
    strings = "<si><t>path</t></si><si><t>label</t></si><si><r><t>be</t></r><r><t>nign</t></r><rPh><t>x</t></rPh></si>"
    sheet = (
        '<row r="1"><c r="B1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'
        '<row r="2"><c r="A2"/><c r="C2"/></row>'
        '<row r="4"><c r="B4" t="inlineStr"><is><t>0.png</t></is></c><c r="C4" t="s"><v>2</v></c></row>'
        '<row r="5"><c r="B5" t="inlineStr"><is><t>1.png</t></is></c><c r="C5" t="b"><v>1</v></c></row>'
    )
    table = open_table("own", workbook(tmp_path / "l.xlsx", sheet, strings))
    assert table.columns == ("", "path", "label")
    assert list(table.rows(("path", "label"))) == [
        (4, {"path": "0.png", "label": "benign"}),
        (5, {"path": "1.png", "label": "TRUE"}),
    ]


def test_a_sheet_of_many_empty_cells_costs_little(tmp_path, monkeypatch):
    monkeypatch.setattr(spreadsheet, "_MAX_HELD", 60_000)
    with pytest.raises(DatasetError, match="holds more than"):
        open_table("own", workbook(tmp_path / "l.xlsx", "<row>" + "<c/>" * 70_000 + "</row>"))


def test_damaged_workbooks_are_refused(tmp_path):
    whole = workbook(tmp_path / "whole.xlsx", '<row><c t="s"><v>7</v></c></row>').read_bytes()
    for data in (b"PK\x03\x04", whole, whole[:-30], whole[:60] + b"\0" * 40 + whole[100:]):
        (tmp_path / "l.xlsx").write_bytes(data)
        with pytest.raises(DatasetError):
            open_table("own", tmp_path / "l.xlsx")


@pytest.fixture
def parquet():
    return pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")


def test_rows_beyond_the_cap_are_refused_by_the_foot(tmp_path, parquet):
    import pyarrow

    one = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 1_000_000, pyarrow.int32()), ["a.png"])
    with parquet.ParquetWriter(tmp_path / "l.parquet", pyarrow.schema([("path", one.type)])) as writer:
        for _ in range(3):
            writer.write_table(pyarrow.table({"path": one}))
    assert (tmp_path / "l.parquet").stat().st_size < 50_000
    begun = time.monotonic()
    with pytest.raises(DatasetError, match="3,000,000 rows"):
        open_table("own", tmp_path / "l.parquet")
    assert time.monotonic() - begun < 2


def test_one_long_text_in_many_rows_is_one_object(tmp_path, parquet):
    import pyarrow

    long = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 20_000, pyarrow.int32()), ["x" * 500_000])
    names = pyarrow.array([f"{i}.png" for i in range(20_000)])
    parquet.write_table(pyarrow.table({"path": names, "label": long}), tmp_path / "l.parquet")
    rows = list(open_table("own", tmp_path / "l.parquet").rows(("path", "label")))
    assert len(rows) == 20_000
    assert len({id(cells["label"]) for _, cells in rows}) <= 1 + 20_000 // 65_536
    assert rows[-1][1]["path"] == "19999.png"


def test_columns_that_unpack_to_too_much_are_refused(tmp_path, parquet, monkeypatch):
    monkeypatch.setattr(parquet_file, "MAX_BYTES", 16 << 20)
    import pyarrow

    table = pyarrow.table({"path": ["x" * (1 << 20)] * 30})
    parquet.write_table(table, tmp_path / "l.parquet", use_dictionary=False, compression="zstd")
    assert (tmp_path / "l.parquet").stat().st_size < 1 << 20
    with pytest.raises(DatasetError, match="unpack to 30 MiB"):
        list(open_table("own", tmp_path / "l.parquet").rows(("path",)))


def test_a_parquet_file_that_ends_its_reader_is_refused(tmp_path, monkeypatch):
    """pyarrow ends the process at some damaged files; a process that does so stands in for one."""
    path = tmp_path / "list.parquet"
    path.write_bytes(b"PAR1 and nothing else PAR1")
    ends = [sys.executable, "-c", "import os; os.abort()"]
    run = subprocess.run
    monkeypatch.setattr(parquet_trial.subprocess, "run", lambda line, **rest: run(ends, **rest))
    with pytest.raises(DatasetError, match=r"list\.parquet cannot be read: .*SIGABRT"):
        open_table("own", path)


def test_a_sound_parquet_file_survives_its_trial(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "list.parquet"
    parquet.write_table(pyarrow.table({"path": ["a.png", "b.png"], "label": ["x", "y"]}), path)
    parquet_trial.refuse_deadly(path)


def test_a_parquet_file_is_tried_again_once_it_changes(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(
        parquet_trial.subprocess,
        "run",
        lambda line, **rest: tried.append(line[-1]) or subprocess.CompletedProcess(line, 0),
    )
    path = tmp_path / "list.parquet"
    for content in (b"one", b"one", b"another"):
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
        parquet_trial.refuse_deadly(path)
    assert tried == [str(path)] * 2
