"""Lists as people and programs write them: what is read, what is left out and named, what is refused and how."""

import io
import json
import os
import subprocess
import sys
import time
import unicodedata
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.images import parquet_images
from medvlm_tui.engine.images.decoders import decoded
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.errors import DatasetError, ImageError, UsageError

LIST = DatasetSpec(id="own", name="own", modality="unknown", reader="csv_list")


@pytest.fixture
def root(tmp_path):
    """Return a folder `set` with images/0.png to images/7.png."""
    (tmp_path / "set" / "images").mkdir(parents=True)
    for i in range(8):
        (tmp_path / "set" / "images" / f"{i}.png").write_bytes(bytes([i]))
    return tmp_path / "set"


def opened(root, text, name="list.csv", encoding="utf-8", **options):
    (root / name).write_bytes(text.encode(encoding))
    return open_dataset(LIST, root / name, **options)


def lines(template, n=8, labels=("benign", "malignant")):
    return "".join(template.format(i=i, label=labels[i % len(labels)]) + "\n" for i in range(n))


def found(dataset):
    return {sample.id: sample.label for sample in dataset.samples}


EXPECTED = {f"images/{i}.png": ("benign", "malignant")[i % 2] for i in range(8)}


# -- the same list in many forms --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("path,label\n", "images/{i}.png,{label}"),
        ("\ufeffpath;label;\r\n", "images/{i}.png;{label};\r"),
        ("sep=;\npath;label\n", "images/{i}.png;{label}"),
        ('"sep=\t"\npath\tlabel\n', "images/{i}.png\t{label}"),
        ("path\tLabel\n", "images/{i}.png\t{label}"),
        ("Path , Class\n", " images/{i}.png , {label} "),
        ("file_name|diagnosis\n", "images/{i}.png|{label}"),
        ("Image;Finding Labels\n", '"images/{i}.png";"{label}"'),
        ("path,label,note\n", "images/{i}.png,{label}"),
        ("path,label\n,,\n\n", "images/{i}.png,{label},,"),
        ("path,label\n", "images\\{i}.png,{label}"),
        ("path,label\n", "./images/{i}.png,{label}"),
        ("path,label\n", "Images/{i}.PNG,{label}"),
        ("id,dx\n", "images/{i},{label}"),
        ("Image Index,label\n", "{i}.png,{label}"),
        ("path,label\n", "C:\\Users\\me\\set\\images\\{i}.png,{label}"),
        ("path,label\n", "\\\\server\\share\\set\\images\\{i}.png,{label}"),
        ("path,label\n", "/home/somebody/set/images/{i}.png,{label}"),
        ("path,label\n", "file:///data/my%20set/images/{i}.png,{label}"),
    ],
)
def test_one_list_in_many_forms(root, head, row):
    dataset = opened(root, head + lines(row))
    assert found(dataset) == EXPECTED
    assert dataset.warnings == dataset.notes, "nothing is wrong with it"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_lists_of_other_encodings(root, encoding):
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,{label}"), encoding=encoding)
    assert found(dataset) == EXPECTED


def test_paths_in_the_other_unicode_form(root):
    for i in range(4):
        (root / unicodedata.normalize("NFD", f"é{i}.png")).write_bytes(bytes([i]))
    dataset = opened(root, "path,label\n" + lines("é{i}.png,{label}", 4))
    assert len(dataset.samples) == 4
    assert all(sample.path.is_file() for sample in dataset.samples)


def test_a_text_with_a_head_is_a_table(root):
    assert (
        found(opened(root, "path label\n".replace(" ", "\t") + lines("images/{i}.png\t{label}"), "l.txt")) == EXPECTED
    )


# -- paths ------------------------------------------------------------------------------------------


def test_links_to_files_are_followed_and_linked_folders_are_not(root, tmp_path):
    (tmp_path / "blobs").mkdir()
    (root / "linked").mkdir()
    for i in range(4):
        (tmp_path / "blobs" / str(i)).write_bytes(bytes([100 + i]))
        (root / "linked" / f"{i}.png").symlink_to(f"../../blobs/{i}")
    assert len(opened(root, "path,label\n" + lines("linked/{i}.png,{label}", 4)).samples) == 4
    (root / "out").symlink_to("../blobs")
    with pytest.raises(DatasetError, match="leads out"):
        opened(root, "path,label\nout/0,a\nout/1,a\n")


def test_links_to_nothing_are_missing(root):
    (root / "gone.png").symlink_to("/nowhere/at/all.png")
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,{label}") + "gone.png,benign\n")
    assert found(dataset) == EXPECTED
    assert dataset.warnings == ("own: 1 of 9 listed images are not there, the first is gone.png (line 10)",)
    with pytest.raises(DatasetError, match="a link that leads to nothing"):
        opened(root, "path,label\ngone.png,benign\n")


def test_where_everything_is_missing_the_first_is_shown(root):
    with pytest.raises(DatasetError) as caught:
        opened(root, "path,label\n" + lines("pictures/{i}.jpg,{label}"))
    assert "none of the 8 listed images is there; list.csv line 2 names pictures/0.jpg" in caught.value.message
    assert f"looked for at {root}/pictures/0.jpg" in caught.value.message
    assert "list's folder" in caught.value.hint


def test_names_that_fit_several_files_are_not_guessed(root):
    (root / "thumbs").mkdir()
    for i in range(8):
        (root / "thumbs" / f"{i}.png").write_bytes(b"small")
    with pytest.raises(DatasetError, match="none of the 8 listed images is there"):
        opened(root, "path,label\n" + lines("{i}.png,{label}"))


def test_a_partial_download_is_not_completed_from_elsewhere(root):
    (root / "0.png").write_bytes(b"a")
    (root / "1.png").write_bytes(b"b")
    dataset = opened(root, "path\n" + lines("{i}.png"))
    assert set(found(dataset)) == {"0.png", "1.png"}
    assert "6 of 8 listed images are not there, the first is 2.png (line 4)" in " ".join(dataset.warnings)


@pytest.mark.parametrize("address", ["https://example.org/0.png", "s3://bucket/0.png"])
def test_addresses_are_refused(root, address):
    with pytest.raises(DatasetError, match=r"line 2.*is an address"):
        opened(root, f"path,label\n{address},a\n")


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "C:\\Windows\\win.ini", "file:///etc/hostname", "..\\set\\images\\0.png"]
)
def test_paths_from_elsewhere_that_fit_nothing_are_refused(root, path):
    with pytest.raises(DatasetError, match="leads out"):
        opened(root, f"path,label\n{path},a\n")


# -- labels -----------------------------------------------------------------------------------------


def test_lines_without_a_label_are_left_out_and_counted(root):
    rows = lines("images/{i}.png,{label}", 6) + "images/6.png,nan\nimages/7.png,\n"
    dataset = opened(root, "path,label\n" + rows)
    assert set(found(dataset)) == {f"images/{i}.png" for i in range(6)}
    assert dataset.classes == ("benign", "malignant")
    (warning,) = dataset.warnings
    assert warning == "own: 2 of 8 lines have no label and are left out, the first is line 8, where it reads 'nan'"


def test_a_label_column_without_labels_is_named(root):
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,N/A"))
    assert set(found(dataset).values()) == {""}
    assert dataset.warnings == ("own: the list has no labels: its column label is empty",)


def test_a_class_that_may_mean_no_label_is_asked_about(root):
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,{label}", labels=("unknown", "benign")))
    assert dataset.classes == ("benign", "unknown")
    assert "4 images of the class 'unknown'" in dataset.warnings[0]


def test_whole_numbers_written_in_two_ways_are_one_class(root):
    rows = lines("images/{i}.png,{label},00{i}", labels=("0", "1", "0.0", "1.0"))
    dataset = opened(root, "path,label,group\n" + rows)
    assert dataset.classes == ("0", "1")
    assert [sample.group for sample in dataset.samples][:2] == ["000", "001"], "groups stay as they are written"
    assert "0.0 as 0, 1.0 as 1" in dataset.notes[0]


def test_the_same_label_in_two_unicode_forms_is_one(root):
    forms = ("Läsion ", unicodedata.normalize("NFD", "Läsion"), "gut\u00a0artig", "gut  artig")
    assert opened(root, "path,label\n" + lines("images/{i}.png,{label}", labels=forms)).classes == (
        "Läsion",
        "gut artig",
    )


def test_labels_that_differ_in_capitals_are_named(root):
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,{label}", labels=("Benign", "benign")))
    assert dataset.classes == ("Benign", "benign")
    assert dataset.warnings == (
        "own: the classes Benign (4) and benign (4) differ only in capitals: give them one name if they are one class",
    )


def test_several_columns_that_may_be_the_label(root):
    head, rows = "path,target,diagnosis\n", lines("images/{i}.png,{label},x{i}")
    with pytest.raises(DatasetError) as caught:
        opened(root, head + rows)
    assert "several columns may be the label: target, diagnosis" in caught.value.message
    assert "--label column:target" in caught.value.hint
    assert found(opened(root, head + rows, view="column:target")) == EXPECTED
    with pytest.raises(UsageError, match="has no column 'grade'"):
        opened(root, head + rows, view="column:grade")


def test_name_and_number_of_the_same_classes_are_one_label(root):
    rows = "".join(f"images/{i}.png,{i % 2},{'ab'[i % 2]}\n" for i in range(8))
    assert opened(root, "path,class_id,class_name\n" + rows).classes == ("a", "b")


def test_a_list_without_a_label_column_names_its_columns(root):
    dataset = opened(root, "path,kind\n" + lines("images/{i}.png,{label}"))
    assert "none of its columns (path, kind) is called label; --label column:NAME takes one" in dataset.warnings[0]
    assert found(opened(root, "path,kind\n" + lines("images/{i}.png,{label}"), view="column:kind")) == EXPECTED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\nimages/0.png,carcinoma, ductal\n", "line 2 has 3 cells, the head names 2.*double quotes"),
        ("path,label,path\nimages/0.png,a,images/1.png\n", "two columns are called path"),
        ("images/0.png,benign\nimages/1.png,malignant\n", "its first line names an image, not the columns"),
        ("path,label\nimages/0.png,a\nimages/0.png,b\n", "line 3: images/0.png has two labels, a .line 2. and b"),
        ("path,label\nimages/0.png,a\n./images\\0.png,b\n", "has two labels"),
        ("path,label,split\nimages/0.png,a,train\nimages/0.png,a,test\n", "two parts, train .line 2. and test"),
        ("path,label,group\nimages/0.png,a,p1\nimages/0.png,a,p2\n", "two groups"),
    ],
)
def test_contradictions_are_refused_with_their_line(root, text, said):
    with pytest.raises(DatasetError, match=said) as caught:
        opened(root, text)
    assert caught.value.hint or "quotes" in said


def test_lines_that_repeat_an_image_are_counted(root):
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,{label}") + "images/0.png,benign\n")
    assert found(dataset) == EXPECTED
    assert dataset.notes == ("own: 1 line names an image again",)


def test_lines_without_a_path_are_counted(root):
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,{label}") + ",12 in all\n")
    assert found(dataset) == EXPECTED
    assert dataset.warnings == ("own: 1 line of the list without a path was passed over, the first is line 10",)


# -- parts ------------------------------------------------------------------------------------------


def test_parts_of_a_list_are_named_where_they_are_pooled(root):
    rows = "".join(
        f"images/{i}.png,{'ab'[i % 2]},{('Training', 'TEST', 'valid')[i // 4 if i < 6 else 2]}\n" for i in range(8)
    )
    dataset = opened(root, "path,label,Split\n" + rows)
    assert "own: its parts test (2), train (4), val (2) are pooled" in dataset.notes[0]
    assert "--part takes one alone" in dataset.notes[0]
    assert len(opened(root, "path,label,Split\n" + rows, part="train").samples) == 4
    assert opened(root, "path,label,Split\n" + rows, part="train").notes == ()
    with pytest.raises(UsageError) as caught:
        opened(root, "path,label,Split\n" + rows, part="eval")
    assert "train, test, val" in caught.value.hint


def test_a_column_called_set_that_names_no_parts_is_none(root):
    rows = "".join(f"images/{i}.png,{'ab'[i % 2]},scanner {i % 3}\n" for i in range(8))
    assert {sample.part for sample in opened(root, "path,label,set\n" + rows).samples} == {""}


# -- Parquet ----------------------------------------------------------------------------------------


def encoded(value, mode="L", kind="PNG"):
    content = io.BytesIO()
    Image.new(mode, (6, 4), value).save(content, kind)
    return content.getvalue()


def test_images_inside_parquet_are_read_row_by_row(root):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    values = [10, 40, 70, 100, 130, 160, 190]
    image = [{"bytes": encoded(value), "path": f"{value}.png"} for value in values]
    image[5]["bytes"] = None
    table = pyarrow.table(
        {
            "image": image,
            "label": [0, 1, 0, 1, 0, 1, -1],
            "patient": list("aabbccd"),
            "split": ["train", "test"] * 3 + [""],
        }
    )
    features = {"image": {"_type": "Image"}, "label": {"names": ["benign", "malignant"], "_type": "ClassLabel"}}
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, root / "train.parquet", row_group_size=2)
    dataset = open_dataset(LIST, root / "train.parquet")
    assert dataset.classes == ("benign", "malignant")
    assert [(s.id, s.label, s.group, s.part) for s in dataset.samples][:2] == [
        ("000000", "benign", "a", "train"), ("000001", "malignant", "a", "test"),
    ]  # fmt: skip
    assert len(dataset.samples) == 6, "-1 is no label"
    assert any("have no label" in warning or "has no label" in warning for warning in dataset.warnings)
    assert any("names the classes of its column label: benign, malignant" in note for note in dataset.notes)
    assert len({s.digest for s in dataset.samples}) == 6
    # In any order: each row is found in its own group.
    for number in (4, 0, 3):
        pixels = np.asarray(read_sample(dataset.samples[number]))
        assert (pixels == values[number]).all()
        assert pixels.shape == (4, 6, 3)
    with pytest.raises(ImageError, match=r"row 5 of train\.parquet holds no bytes"):
        read_sample(dataset.samples[5])


def test_images_inside_parquet_come_through_the_decoding_processes(root):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    deep = io.BytesIO()
    Image.fromarray(np.array([[0, 1000], [2000, 4000]], dtype=np.uint16)).save(deep, "PNG")
    cells = [encoded((9, 8, 7), "RGB"), b"not an image", deep.getvalue(), encoded(200, kind="JPEG")]
    parquet.write_table(pyarrow.table({"img": pyarrow.array(cells, pyarrow.binary())}), root / "all.parquet")
    samples = open_dataset(LIST, root / "all.parquet").samples
    assert [s.label for s in samples] == ["", "", "", ""]
    found = list(decoded(samples, partial(read_sample, window="2000/4000"), workers=1))
    assert (np.asarray(found[0]) == (9, 8, 7)).all()
    assert "all.parquet" in str(found[1])
    assert np.asarray(found[2])[..., 0].tolist() == [[0, 64], [128, 255]]
    assert (np.asarray(found[3]) == 200).all()


def test_a_group_of_rows_that_unpacks_to_too_much_is_refused(root, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    monkeypatch.setattr(parquet_images, "MAX_GROUP_BYTES", 1 << 20)
    cells = [{"bytes": bytes(800_000), "path": ""} for _ in range(4)]
    parquet.write_table(pyarrow.table({"image": cells}), root / "all.parquet", compression="zstd", use_dictionary=False)
    assert (root / "all.parquet").stat().st_size < 20_000
    (first, *_) = open_dataset(LIST, root / "all.parquet").samples
    with pytest.raises(ImageError, match="row_group_size=100"):
        read_sample(first)


def test_two_columns_of_images_are_asked_about(root):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    cells = [{"bytes": encoded(1), "path": "a.png"}] * 2
    parquet.write_table(pyarrow.table({"left": cells, "right": cells, "label": ["a", "b"]}), root / "two.parquet")
    with pytest.raises(DatasetError, match="several columns hold images: left, right"):
        open_dataset(LIST, root / "two.parquet")


def test_the_program_of_the_docs_joins_files_of_images(root):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    docs = Path(__file__).parents[3] / "docs" / "datasets.md"
    program = docs.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    for shard in (0, 1):
        image = [{"bytes": encoded(100 * shard + i), "path": f"{i}.jpg"} for i in range(4)]
        parquet.write_table(pyarrow.table({"image": image, "label": [0, 0, 1, 1]}), root / f"train-{shard}.parquet")
    line = [sys.executable, "-c", program, "all.parquet", "train-0.parquet", "train-1.parquet"]
    subprocess.run(line, cwd=root, check=True)
    dataset = open_dataset(LIST, root / "all.parquet")
    assert dataset.classes == ("0", "1")
    found = [int(np.asarray(read_sample(sample))[0, 0, 0]) for sample in dataset.samples]
    assert found == [0, 1, 2, 3, 100, 101, 102, 103]


def test_a_parquet_list_of_lists_is_refused(root):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    names = [f"images/{i}.png" for i in range(4)]
    parquet.write_table(pyarrow.table({"path": names, "label": [["a"], ["b"], ["a"], ["b"]]}), root / "l.parquet")
    with pytest.raises(DatasetError, match="column label are no single values"):
        open_dataset(LIST, root / "l.parquet")


def test_hostile_names_stay_safe_to_show(root):
    text = "path,label\n" + lines("images/{i}.png,{label}") + os.fsdecode(b"\x1b[2J") + ".png,benign\n"
    assert not set("".join(opened(root, text).warnings)) & {"\x1b"}


def test_a_small_file_of_many_rows_is_read_in_little_time(root):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    import pyarrow

    codes = pyarrow.array([0] * 150_000 + [1] * 150_000, pyarrow.int8())
    names = pyarrow.DictionaryArray.from_arrays(codes, ["images/0.png", "images/1.png"])
    table = pyarrow.table({"path": names, "label": pyarrow.DictionaryArray.from_arrays(codes, ["a", "a"])})
    parquet.write_table(table, root / "l.parquet")
    begun = time.process_time()
    dataset = open_dataset(LIST, root / "l.parquet")
    assert time.process_time() - begun < 5
    assert found(dataset) == {"images/0.png": "a", "images/1.png": "a"}
    assert dataset.notes == ("own: 299,998 lines name an image again",)


def test_masks_of_a_list_that_are_not_there_are_counted(root):
    dataset = opened(root, "path,label,mask\n" + lines("images/{i}.png,{label},masks/{i}.png"))
    assert "8 of 8 listed masks are not there" in " ".join(dataset.warnings)


# -- comments, one column per class, several findings, measurements -----------------------------------


@pytest.mark.parametrize(
    "head",
    ["# made by a tool, version 2\n# seed: 7\npath,label\n", "# from a script\n#path,label\n", "#\n# path,label\n"],
)
def test_lines_of_comments_before_the_head_are_counted_and_passed_over(root, head):
    dataset = opened(root, head + lines("images/{i}.png,{label}"))
    assert found(dataset) == EXPECTED
    comments = 2 if head.endswith("\npath,label\n") else 1
    plural = "s" if comments > 1 else ""
    assert f"own: {comments} line{plural} before its head, beginning with #, passed over" in dataset.warnings


def test_a_wrong_line_below_comments_is_named_by_its_number(root):
    with pytest.raises(DatasetError, match="line 4 has 3 cells"):
        opened(root, "# a\n# b\npath,label\nimages/0.png,a,b\n")


@pytest.mark.parametrize("flags", [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_one_column_per_class_is_read(root, flags):
    one, none = flags
    text = "image,age,mel,nev,bcc\n" + "".join(
        f"images/{i}.png,{30 + i},{','.join(one if i % 3 == c else none for c in range(3))}\n" for i in range(8)
    )
    dataset = opened(root, text)
    assert found(dataset) == {f"images/{i}.png": ("mel", "nev", "bcc")[i % 3] for i in range(8)}
    assert "own: the classes are its columns mel, nev, bcc, one of which is 1 on each line" in dataset.warnings


@pytest.mark.parametrize("cells", ["1,1", "0,0", "1,2", "1,"])
def test_columns_that_are_not_one_per_class_are_no_labels(root, cells):
    rows = "".join(f"images/{i}.png,{'0,1' if i % 2 else '1,0'}\n" for i in range(7))
    dataset = opened(root, f"image,effusion,mass\n{rows}images/7.png,{cells}\n")
    assert set(found(dataset).values()) == {""}
    assert "none of its columns (image, effusion, mass) is called label" in dataset.warnings[0]


def test_other_columns_of_a_list_without_labels_change_nothing(root):
    text = "path,age,sex\n" + lines("images/{i}.png,4{i},f") + "images/0.png,77,m\n"
    dataset = opened(root, text)
    assert len(dataset.samples) == 8
    assert any("1 line names an image again" in said or "names an image again" in said for said in dataset.warnings)


def test_labels_of_several_findings_are_asked_about(root):
    dataset = opened(root, "path,label\n" + lines("images/{i}.png,{label}", labels=("Mass", "Effusion|Mass")))
    assert dataset.classes == ("Effusion|Mass", "Mass")
    assert "1 label joins several findings by |, such as 'Effusion|Mass'" in dataset.warnings[0]
    plain = opened(root, "path,label\n" + lines("images/{i}.png,{label}", labels=("a|b", "c")))
    assert not any("joins" in said for said in plain.warnings)


def test_a_measurement_is_no_class(root):
    (root / "images" / "8.png").write_bytes(b"8")
    with pytest.raises(DatasetError, match="9 images have 9 different labels") as caught:
        opened(root, "path,label\n" + "".join(f"images/{i}.png,{0.25 + i}\n" for i in range(9)))
    assert "--label column:NAME" in caught.value.hint
