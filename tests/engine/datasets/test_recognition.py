"""What is found below a folder: published layouts, folders of classes, parts, lists, and what is none of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.engine.datasets import recognition
from medvlm_tui.engine.datasets.recognition import Candidate, Found, look_below
from tests.made.shared import DATA

TUMORS = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(path)


def brain_mr(root: Path, training: int = 3, testing: int = 1) -> None:
    for part, n in (("Training", training), ("Testing", testing)):
        for name in TUMORS:
            for number in range(n):
                picture(root / part / name / f"image({number}).jpg")


def busi(root: Path) -> None:
    for name in ("benign", "malignant", "normal"):
        for number in (1, 2):
            picture(root / "Dataset_BUSI_with_GT" / name / f"{name} ({number}).png")
            picture(root / "Dataset_BUSI_with_GT" / name / f"{name} ({number})_mask.png")


def classes(root: Path, *names: str, n: int = 3) -> None:
    for name in names:
        for number in range(n):
            picture(root / name / f"{number}.png")


def by_name(found: Found) -> dict[str, Candidate]:
    assert found.problem == ""
    return {each.name: each for each in found.candidates}


def test_one_folder_of_datasets_is_not_one_dataset(tmp_path: Path) -> None:
    brain_mr(tmp_path / "brain_mri")
    busi(tmp_path / "busi")
    classes(tmp_path / "My scans", "a", "b")
    (tmp_path / "nifti").mkdir()
    (tmp_path / "nifti" / "x.nii").write_bytes(b"")
    found = look_below(tmp_path, 5)
    mine = by_name(found)
    assert mine.keys() == {"brain_mr", "breast_us", "my_scans"}
    brain = mine["brain_mr"]
    assert (brain.dataset, brain.root, brain.images) == ("brain_mr", str(tmp_path / "brain_mri"), 12)
    assert brain.published_n == load_datasets()["brain_mr"].published_n
    assert brain.note == "layout fits, testing (4) kept apart"
    breast = mine["breast_us"]
    assert (breast.root, breast.images) == (str(tmp_path / "busi" / "Dataset_BUSI_with_GT"), 6)
    assert "masks found" in breast.note
    scans = mine["my_scans"]
    assert (scans.dataset, scans.images, scans.classes) == ("", 6, 2)
    assert (brain.chosen, scans.chosen) == (True, False), "one's own beside the study's are asked for"
    assert found.others == ("nifti",)


def test_a_published_dataset_is_recognised_at_its_own_folder_and_below(tmp_path: Path) -> None:
    brain_mr(tmp_path / "deep" / "er")
    for place in (tmp_path, tmp_path / "deep", tmp_path / "deep" / "er"):
        (only,) = look_below(place, 5).candidates
        assert (only.name, only.root) == ("brain_mr", str(tmp_path / "deep" / "er"))


def test_parts_of_ones_own_are_kept_apart(tmp_path: Path) -> None:
    classes(tmp_path / "lungs" / "Training", "a", "b", n=4)
    classes(tmp_path / "lungs" / "Testing", "a", "b", n=2)
    found = look_below(tmp_path, 5)
    assert [(each.name, each.images, each.chosen) for each in found.candidates] == [
        ("lungs_train", 8, True),
        ("lungs_test", 4, False),
        ("lungs", 12, False),
    ]
    assert "pooled" in found.candidates[-1].note


def test_several_of_ones_own_and_a_list(tmp_path: Path) -> None:
    classes(tmp_path / "x", "a", "b")
    classes(tmp_path / "y", "a", "c")
    (tmp_path / "lists.csv").write_text("path,label\nx/a/0.png,a\nx/b/0.png,b\ny/c/1.png,c\n")
    (tmp_path / "notes.csv").write_text("1;2\n")
    mine = by_name(look_below(tmp_path, 5))
    assert {name: (each.images, each.classes) for name, each in mine.items()} == {
        "x": (6, 2),
        "y": (6, 2),
        "lists": (3, 3),
    }
    (only,) = look_below(tmp_path / "lists.csv", 5).candidates
    assert (only.name, only.root, only.images) == ("lists", str(tmp_path / "lists.csv"), 3)
    assert "no list of images" in look_below(tmp_path / "notes.csv", 5).problem


def test_a_name_never_takes_a_study_dataset_s_place(tmp_path: Path) -> None:
    classes(tmp_path / "Brain-MR", "a", "b")
    classes(tmp_path / "q" / "brain_mr", "a", "b")
    assert by_name(look_below(tmp_path, 5)).keys() == {"brain_mr_2", "brain_mr_3"}


def test_nothing_is_found_in_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert look_below(tmp_path, 5) == Found(others=("empty",))


def test_hostile_names_are_shown_safely(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31mred").mkdir()
    classes(tmp_path / "\x1b]52;c;x\x07", "a", "b")
    found = look_below(tmp_path, 5)
    assert found.others == ("\\x1b[31mred",)
    assert by_name(found).keys() == {"52_c_x"}


def test_the_search_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes(tmp_path, "a", "b")
    assert look_below(tmp_path, 5, lambda: True).problem
    assert look_below(tmp_path, 0).problem
    monkeypatch.setattr(recognition, "MOST_FOLDERS", 1)
    assert look_below(tmp_path, 5).problem == "there is too much below it: name a folder nearer to the images"


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")
def test_the_real_folder_of_datasets(tmp_path: Path) -> None:
    began = time.monotonic()
    found = look_below(DATA, 30)
    known = {each.dataset: each for each in found.candidates if each.dataset}
    assert {"brain_mr", "breast_us", "pneumoniamnist", "breakhis", "isic2019"} <= known.keys()
    assert known["brain_mr"].root == os.fspath(DATA / "brain_mri")
    assert known["brain_mr"].images == 600
    assert "nifti" in found.others
    assert time.monotonic() - began < 30
