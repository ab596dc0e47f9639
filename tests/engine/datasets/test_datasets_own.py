"""Datasets of the user: class folders, CSV lists, and the names that lead to them."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.label_files.listed_paths import inside
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.datasets.resolve import resolve_dataset
from medvlm_tui.errors import DatasetError, MissingInputError, UsageError

FOLDER = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")
LIST = DatasetSpec(id="own", name="own", modality="unknown", reader="csv_list")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return root


def listing(root: Path, text: str, encoding: str = "utf-8") -> Path:
    path = root / "list.csv"
    path.write_bytes(text.encode(encoding))
    return path


def labels(dataset):
    return {sample.id: sample.label for sample in dataset.samples}


# -- folders of class folders ---------------------------------------------------------------------


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    touch(tmp_path, "a/1.PNG", "a/2.jpeg", "a/._1.png", "a/Thumbs.db", "b/x/3.tif", "b/4.webp", ".git/a/5.png")
    assert labels(open_dataset(FOLDER, tmp_path)) == {
        "a/1.PNG": "a",
        "a/2.jpeg": "a",
        "b/x/3.tif": "b",
        "b/4.webp": "b",
    }


def test_single_nested_folders_are_stepped_through(tmp_path):
    touch(tmp_path, "set/set/a/1.png", "set/set/a/2.png", "set/set/b/1.png", "set/set/b/2.png")
    assert open_dataset(FOLDER, tmp_path).classes == ("a", "b")


def test_train_and_test_are_parts_not_classes(tmp_path):
    touch(tmp_path, *(f"{p}/{c}/{i}.png" for p in ("train", "Test") for c in "ab" for i in "12"))
    dataset = open_dataset(FOLDER, tmp_path)
    assert dataset.classes == ("a", "b")
    assert {s.part for s in dataset.samples} == {"train", "test"}
    assert {s.id for s in open_dataset(FOLDER, tmp_path, part="test").samples} == {
        f"Test/{c}/{i}.png" for c in "ab" for i in "12"
    }


def test_masks_beside_images_are_no_images(tmp_path):
    touch(tmp_path, "a/1.png", "a/1_mask.png", "a/1_mask_1.png", "a/2.png", "a/lone_mask.png", "b/1.png", "b/2.png")
    dataset = open_dataset(FOLDER, tmp_path)
    assert set(labels(dataset)) == {"a/1.png", "a/2.png", "a/lone_mask.png", "b/1.png", "b/2.png"}
    assert {s.id: s.mask for s in dataset.samples}["a/1.png"] == tmp_path / "a" / "1_mask.png"


def test_an_empty_class_folder_is_said(tmp_path):
    touch(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png", "c/notes.txt")
    assert open_dataset(FOLDER, tmp_path).warnings == ("own: folder c has no images and makes no class",)


def test_link_loops_end_and_links_out_are_refused(tmp_path):
    root = touch(tmp_path / "root", "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    (root / "a" / "again").symlink_to(root)
    (root / "b" / "self").symlink_to(".")
    assert len(open_dataset(FOLDER, root).samples) == 4
    (root / "c").symlink_to("/")
    assert len(open_dataset(FOLDER, root).samples) == 4
    touch(tmp_path, "elsewhere/1.png")
    (root / "d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="leads out"):
        open_dataset(FOLDER, root)


def test_names_that_are_not_text(tmp_path):
    touch(tmp_path, *(os.fsdecode(name) for name in (b"a/\xff\x1b[2J.png", b"a/[/].png", b"b/x\ny.png", b"b/2.png")))
    dataset = open_dataset(FOLDER, tmp_path)
    assert len({s.id for s in dataset.samples}) == 4
    assert dataset.digest == open_dataset(FOLDER, tmp_path).digest


# -- lists ----------------------------------------------------------------------------------------


def test_a_list_with_all_columns(tmp_path):
    touch(tmp_path, "x/1.png", "x/2.png", "3.png", "4.png", "m.png")
    rows = ["x/1.png,a,p1,train,m.png", "x/2.png, a ,p1,test,", "3.png,b,p2,train,", "4.png,b,,train,"]
    text = "\n".join(["path,label,group,split,mask", *rows])
    dataset = open_dataset(LIST, listing(tmp_path, text, "utf-8-sig"))
    assert labels(dataset) == {"3.png": "b", "4.png": "b", "x/1.png": "a", "x/2.png": "a"}
    sample = next(s for s in dataset.samples if s.id == "x/1.png")
    assert (sample.group, sample.part, sample.mask) == ("p1", "train", tmp_path / "m.png")


def test_the_split_column_selects_parts(tmp_path):
    touch(tmp_path, *(f"{i}.png" for i in range(6)))
    rows = "".join(f"{i}.png,{'ab'[i % 2]},{'train' if i < 4 else 'test'}\n" for i in range(6))
    path = listing(tmp_path, "path,label,split\n" + rows)
    assert set(labels(open_dataset(LIST, path, part="train"))) == {"0.png", "1.png", "2.png", "3.png"}
    with pytest.raises(UsageError, match="no line has the split 'val'"):
        open_dataset(LIST, path, part="val")


def test_a_partial_download_is_one_sentence(tmp_path):
    touch(tmp_path, "0.png", "1.png", "2.png", "3.png")
    rows = "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(1000))
    dataset = open_dataset(LIST, listing(tmp_path, "path,label\n" + rows))
    assert len(dataset.samples) == 4
    assert dataset.warnings == (
        "own: 996 of 1,000 listed images are not there, the first is 4.png (line 6), looked for in the list's folder",
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("where,label\nx.png,a\n", "no column path; it has: where, label"),
        ("", "no column path"),
        ("path,label\n,a\n", "line 2: no path"),
        ("path,label\n0.png,a\n0.png,b\n", r"two labels, a \(line 2\) and b"),
        ("path,label\n../x.png,a\n", "leads out"),
        ("path,label\na/../../x.png,a\n", "leads out"),
        ("path,label\n/etc/passwd,a\n", "leads out"),
        ("path,label\nout/x.png,a\n", "leads out"),
        ("path,label,mask\n0.png,a,../x.png\n", "leads out"),
        ("path,label\n\0.png,a\n", "leads out|NUL"),
        ("path,label\nloop/x.png,a\n", "none of the 1 listed images is there"),
    ],
)
def test_bad_lists_are_refused(tmp_path, text, named):
    root = touch(tmp_path / "root", "0.png")
    touch(tmp_path, "x.png")
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")
    with pytest.raises(DatasetError, match=named) as caught:
        open_dataset(LIST, listing(root, text))
    assert caught.value.hint


def test_a_path_from_the_root_of_the_disk_may_stay_inside(tmp_path):
    touch(tmp_path, "0.png", "1.png")
    path = listing(tmp_path, f"path,label\n{tmp_path}/0.png,a\n1.png,a\n")
    assert set(labels(open_dataset(LIST, path))) == {"0.png", "1.png"}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "a", "link", "", "x y", "~", "a\\..", "...", "/", "\u202e"]), max_size=6))
def test_no_path_leads_out(tmp_path_factory, parts):
    base = tmp_path_factory.getbasetemp() / "containment"
    (base / "root" / "a").mkdir(parents=True, exist_ok=True)
    link = base / "root" / "link"
    if not link.is_symlink():
        link.symlink_to("..")
    try:
        path = inside(base / "root", "/".join(parts), "line 1")
    except DatasetError:
        return
    assert Path(os.path.realpath(path)).is_relative_to(os.path.realpath(base / "root"))


def test_a_parquet_list_reads_like_a_csv(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    touch(tmp_path, *(f"{i}.png" for i in range(4)))
    columns = {"path": [f"{i}.png" for i in range(4)], "label": [0, 0, 1, 1], "group": ["p", None, "q", "q"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
    dataset = open_dataset(LIST, tmp_path / "list.parquet")
    assert labels(dataset) == {"0.png": "0", "1.png": "0", "2.png": "1", "3.png": "1"}
    assert [s.group for s in dataset.samples] == ["p", "", "q", "q"]
    (tmp_path / "list.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DatasetError, match="cannot be read"):
        open_dataset(LIST, tmp_path / "list.parquet")


@pytest.mark.parametrize(("name", "text"), [("l.txt", "0.png\n\n1.png\n"), ("l.csv", "path,kind\n0.png,a\n1.png,b\n")])
def test_a_list_without_labels_says_so(tmp_path, name, text):
    touch(tmp_path, "0.png", "1.png")
    (tmp_path / name).write_text(text)
    dataset = open_dataset(LIST, tmp_path / name)
    assert labels(dataset) == {"0.png": "", "1.png": ""}
    assert dataset.classes == ()
    (warning,) = dataset.warnings
    assert warning.startswith("own: the list has no labels")
    assert ("(path, kind)" in warning) == (name == "l.csv")


# -- names ----------------------------------------------------------------------------------------


def test_names_resolve_to_the_catalog_folders_and_lists(tmp_path):
    catalog = load_datasets()
    touch(tmp_path, "folder/a/1.png", "list.csv", "made/phantom.json")
    roots = {"brain_mr": str(tmp_path), "mine": f"{tmp_path}/folder", "listed": f"{tmp_path}/list.csv"}
    assert resolve_dataset("brain_mr", roots, catalog).root == tmp_path
    assert resolve_dataset("brain_mr", {}, catalog).root is None
    assert resolve_dataset("mine", roots, catalog).reader == "class_folders"
    assert resolve_dataset("listed", roots, catalog).reader == "csv_list"
    made = resolve_dataset("made", {"made": f"{tmp_path}/made"}, catalog)
    assert made.synthetic
    assert "SYNTHETIC" in made.name


def test_unknown_names_get_suggestions(tmp_path):
    with pytest.raises(UsageError) as caught:
        resolve_dataset("brain_mri", {}, load_datasets())
    assert "did you mean brain_mr?" in caught.value.hint
    with pytest.raises(MissingInputError):
        resolve_dataset("mine", {"mine": f"{tmp_path}/nowhere"}, load_datasets())
    touch(tmp_path, "notes.docx")
    with pytest.raises(UsageError, match="neither a folder nor a list"):
        resolve_dataset("mine", {"mine": f"{tmp_path}/notes.docx"}, load_datasets())


@pytest.mark.parametrize(
    ("name", "todo"),
    [
        ("list.csv.gz", "unpack it into the folder of the images and give list.csv"),
        ("list.tsv.XZ", "give list.tsv"),
        ("images.tar.gz", "unpack the archive"),
        ("list.json", "write it as CSV with the columns path,label"),
        ("list.jsonl", "write it as CSV with the columns path,label"),
        ("images.npy", "PNG files in one folder per class"),
        ("images.h5", "files in one folder per class"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_the_fix(tmp_path, name, todo):
    touch(tmp_path, name)
    with pytest.raises(UsageError, match="neither a folder nor a list") as caught:
        resolve_dataset("mine", {"mine": f"{tmp_path}/{name}"}, load_datasets())
    assert todo in caught.value.hint
