"""The tag CSV: what it may say, and what it is told when it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from medvlm_tui.core.specs import Dataset, DatasetSpec, Sample
from medvlm_tui.core.tags import read_tags, tags_of, unmatched
from medvlm_tui.errors import UsageError


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "tags.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


@pytest.fixture
def dataset() -> Dataset:
    samples = (
        Sample("a/1.png", Path("/d/a/1.png"), "a", tags={"side": "LEFT"}),
        Sample("b/2.png", Path("/d/b/2.png"), "b", tags={"side": "RIGHT"}),
    )
    return Dataset(DatasetSpec("mine", "Mine", "", "class_folders"), Path("/d"), "", samples, ("a", "b"))


def test_a_file_gives_values_by_tag_and_path(tmp_path: Path) -> None:
    file = written(tmp_path, "\ufeffvalue,path,tag,note\naxial,a/1.png,plane,x\n[red]=1,a/1.png,lines,\n")
    assert read_tags(file) == {"plane": {"a/1.png": "axial"}, "lines": {"a/1.png": "[red]=1"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,value\na,b\n", "lacks one of the columns"),
        ("", "lacks one of the columns"),
        ("path,tag,value\na,plane,\n", "line 2: path, tag or value is empty"),
        ("path,tag,value\na,plane\n", "line 2: path, tag or value is empty"),
        ("path,tag,value\na,plane,x\na,plane,y\n", "line 3: a has two values of plane"),
        (b"path,tag,value\na,plane,\xff\xfe\n", "no CSV in UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_tags(written(tmp_path, text))
    with pytest.raises(UsageError, match="No such file"):
        read_tags(tmp_path / "absent.csv")


def test_given_tags_win_over_the_readers_and_name_images_by_id_or_place(dataset: Dataset) -> None:
    given = {"side": {"a/1.png": "top"}, "plane": {"/d/b/2.png": "axial", "other.png": "axial"}}
    assert tags_of(dataset, given) == {
        "side": {"a/1.png": "top", "b/2.png": "RIGHT"},
        "plane": {"b/2.png": "axial"},
    }
    assert tags_of(dataset, {}) == {"side": {"a/1.png": "LEFT", "b/2.png": "RIGHT"}}
    assert tags_of(dataset, {"plane": {"other.png": "axial"}}).keys() == {"side"}
    assert unmatched(dataset, given) == 1
