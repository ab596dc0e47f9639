"""Folders of images as people keep them: parts, masks, copies, files that are passed over."""

import os
from pathlib import Path

import pytest
from PIL import Image, features

from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.folders.finding import IMAGE_SUFFIXES
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.images.raster import FORMATS
from medvlm_tui.errors import DatasetError, UsageError

FOLDER = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))
    return root


def classed(*prefixes: str, n: int = 3, classes: str = "ab") -> list[str]:
    return [f"{prefix}{c}/{i}.png" for prefix in prefixes for c in classes for i in range(n)]


def labels(dataset) -> dict[str, str]:
    return {sample.id: sample.label for sample in dataset.samples}


def parts(dataset) -> dict[str, int]:
    found: dict[str, int] = {}
    for sample in dataset.samples:
        found[sample.part] = found.get(sample.part, 0) + 1
    return found


# -- parts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("train/", "val/", "test/"),
        ("Training/", "Validation/", "Testing/"),
        ("01_train/", "02_valid/", "03_test/"),
        ("train_set/", "dev_set/", "test_set/"),
        ("imagesTr/", "images-val/", "imagesTs/"),
        ("train/images/", "val/images/", "test/images/"),
    ],
)
def test_parts_in_every_spelling(tmp_path, names):
    dataset = open_dataset(FOLDER, touch(tmp_path, *classed(*names)))
    assert dataset.classes == ("a", "b")
    assert parts(dataset) == {"train": 6, "val": 6, "test": 6}
    assert "its parts test (6), train (6), val (6) are pooled" in dataset.notes[0]
    assert len(open_dataset(FOLDER, tmp_path, part="Validation").samples) == 6
    with pytest.raises(UsageError) as caught:
        open_dataset(FOLDER, tmp_path, part="eval")
    assert caught.value.hint == "it has: test, train, val"


def test_parts_inside_of_classes(tmp_path):
    names = [f"{c}/{p}/{p}{i}.png" for c in ("benign", "malignant") for p in ("train", "test") for i in range(2)]
    dataset = open_dataset(FOLDER, touch(tmp_path, *names))
    assert dataset.classes == ("benign", "malignant")
    assert parts(dataset) == {"train": 4, "test": 4}


def test_parts_without_class_folders_are_refused_and_the_list_is_named(tmp_path):
    touch(tmp_path, *(f"{p}/{p}{i}.png" for p in ("train", "test") for i in range(4)))
    with pytest.raises(DatasetError) as caught:
        open_dataset(FOLDER, tmp_path)
    assert "the 8 images lie in folders of parts (test, train) without class folders" in caught.value.message
    assert "path,label" in caught.value.hint
    touch(tmp_path, "train/metadata.csv", "test/metadata.csv")
    with pytest.raises(DatasetError) as caught:
        open_dataset(FOLDER, tmp_path)
    assert f"give --data own={tmp_path}/train/metadata.csv" in caught.value.hint


def test_an_unlabelled_test_folder_is_left_out_and_named(tmp_path):
    touch(tmp_path, *classed("train/"), *(f"test/{i}.png" for i in range(5)))
    dataset = open_dataset(FOLDER, tmp_path)
    assert dataset.classes == ("a", "b")
    assert parts(dataset) == {"train": 6}
    assert dataset.warnings == (
        "own: test is a part without class folders: its 5 images have no labels and are left out",
    )


def test_an_unlabelled_test_folder_beside_classes_makes_no_class(tmp_path):
    dataset = open_dataset(FOLDER, touch(tmp_path, *classed(""), *(f"test_images/{i}.png" for i in range(5))))
    assert dataset.classes == ("a", "b")
    assert "its 5 images have no labels" in dataset.warnings[0]


def test_folders_beside_parts_make_no_class(tmp_path):
    touch(tmp_path, *classed("train/", "test/"), "examples/1.png", "examples/2.png", "train/cover.png")
    dataset = open_dataset(FOLDER, tmp_path)
    assert dataset.classes == ("a", "b")
    said = " ".join(dataset.warnings)
    assert "examples is no part and lies beside some: its 2 images are left out" in said
    assert "1 image lies beside the class folders in train" in said


def test_images_without_any_class_folder_have_no_labels(tmp_path):
    flat = open_dataset(FOLDER, touch(tmp_path / "flat", "1.png", "2.png"))
    assert labels(flat) == {"1.png": "", "2.png": ""}
    assert flat.classes == ()
    assert flat.warnings == ("own: the images lie in no class folders, so that they have no labels",)
    touch(tmp_path / "set", "images/1.png", "images/2.png", "masks/1.png", "labels.csv")
    dataset = open_dataset(FOLDER, tmp_path / "set")
    assert labels(dataset) == {"images/1.png": "", "images/2.png": ""}
    assert dataset.samples[0].mask == tmp_path / "set" / "masks" / "1.png"
    assert "the folder holds a list" in dataset.warnings[0]


# -- masks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "masks", "ending"),
    [("images", "masks", ""), ("Images", "Lung Masks", "_mask"), (".", "mask", "_seg"), ("img", "GroundTruth", "-gt")],
)
def test_masks_beside_images_are_masks(tmp_path, images, masks, ending):
    names = [f"{c}/{images}/{c}{i}.png" for c in ("covid", "normal") for i in range(4)]
    names += [f"{c}/{masks}/{c}{i}{ending}.png" for c in ("covid", "normal") for i in range(4)]
    dataset = open_dataset(FOLDER, touch(tmp_path, *names))
    assert len(dataset.samples) == 8
    assert dataset.classes == ("covid", "normal")
    for sample in dataset.samples:
        assert sample.mask == tmp_path / sample.label / masks / f"{sample.path.stem}{ending}.png"
    assert dataset.warnings == ()


def test_masks_of_patients_belong_to_their_own_images(tmp_path):
    names = [f"{c}/{p}/{k}/0.png" for c in "ab" for p in ("p1", "p2") for k in ("images", "masks")]
    dataset = open_dataset(FOLDER, touch(tmp_path, *names))
    assert {sample.mask for sample in dataset.samples} == {
        tmp_path / c / p / "masks" / "0.png" for c in "ab" for p in ("p1", "p2")
    }
    assert all(sample.mask.parent.parent == sample.path.parent.parent for sample in dataset.samples)


def test_masks_of_no_image_and_mirrored_folders_are_counted(tmp_path):
    names = [f"{c}/images/{c}{i}.png" for c in "ab" for i in range(4)]
    names += [f"a/heat maps/a{i}.png" for i in range(4)] + ["b/masks/other.png"]
    dataset = open_dataset(FOLDER, touch(tmp_path, *names))
    assert set(labels(dataset)) == {f"{c}/images/{c}{i}.png" for c in "ab" for i in range(4)}
    said = " ".join(dataset.warnings)
    assert "folder a/heat maps repeats the file names of the images beside it: its 4 images are left out" in said
    assert "1 mask of no image is left out, the first is b/masks/other.png" in said


def test_folders_of_masks_beside_class_folders_make_no_class(tmp_path):
    names = [*classed("images/"), *classed("masks/")]
    dataset = open_dataset(FOLDER, touch(tmp_path, *names))
    assert dataset.classes == ("a", "b")
    assert len(dataset.samples) == 6
    assert "masks holds masks: its 6 images are left out" in dataset.warnings[0]


def test_classes_about_masks_stay_classes(tmp_path):
    names = [f"{c}/{c}{i}.png" for c in ("with_mask", "without_mask") for i in range(2)]
    assert open_dataset(FOLDER, touch(tmp_path, *names)).classes == ("with_mask", "without_mask")


# -- folders in folders -----------------------------------------------------------------------------


def test_a_copy_of_the_folder_inside_of_itself_counts_once(tmp_path):
    names = classed("train/", "test/")
    for name in names:
        touch(tmp_path, name)
        (tmp_path / "chest" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chest" / name).write_bytes(os.fsencode(name))
    dataset = open_dataset(FOLDER, tmp_path)
    assert set(labels(dataset)) == set(names)
    assert "chest is a copy of the folder that it lies in: its 12 images are left out" in " ".join(dataset.warnings)


def test_a_folder_of_one_class_in_another_is_asked_about(tmp_path):
    dataset = open_dataset(FOLDER, touch(tmp_path, *classed(""), "a/B/9.png", "a/deep/8.png"))
    assert labels(dataset)["a/B/9.png"] == "a"
    assert dataset.warnings == (
        "own: folder a/B is called as the class b, and its 1 image counts as a: move it if that is wrong",
    )


def test_classes_that_look_the_same_are_named(tmp_path):
    names = [
        f"{p}/{c}/{i}.png"
        for p, c in (("train", "Covid"), ("test", "COVID"), ("train", "x"), ("test", "x"))
        for i in "12"
    ]
    dataset = open_dataset(FOLDER, touch(tmp_path, *names))
    assert dataset.classes == ("COVID", "Covid", "x")
    assert "the classes COVID (2) and Covid (2) differ only in capitals" in dataset.warnings[0]


# -- files ------------------------------------------------------------------------------------------


def test_every_suffix_of_the_decoder_is_walked():
    Image.init()
    assert features.check("jpg")
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert suffixes <= IMAGE_SUFFIXES


def test_files_that_are_passed_over_are_counted(tmp_path):
    others = ["a/Thumbs.db", "a/notes.txt", "README", "a/list.csv", "a/.DS_Store", "b/desktop.ini", "b/x.json"]
    unknown = ["a/1.heic", "b/2.nii.gz", "b/3.npy", "a/4"]
    dataset = open_dataset(FOLDER, touch(tmp_path, *classed(""), *others, *unknown))
    assert len(dataset.samples) == 6
    assert dataset.warnings == ("own: 4 files were passed over, the first is a/1.heic",)


@pytest.mark.parametrize(
    ("names", "said", "todo"),
    [
        (["set.zip"], "1 of .zip", "unpack"),
        (["a/1.svs", "b/2.svs"], "2 other files", "JPEG"),
        (["train-00000-of-00001.parquet"], "1 list", "--data own="),
        (["notes.txt"], "no images", "JPEG"),
    ],
)
def test_folders_without_images_say_what_they_hold(tmp_path, names, said, todo):
    with pytest.raises(DatasetError) as caught:
        open_dataset(FOLDER, touch(tmp_path, *names))
    assert said in caught.value.message
    assert todo in caught.value.hint


# -- two levels of folders that may be the classes ----------------------------------------------------


@pytest.mark.parametrize(
    "outer",
    [("fold1/", "fold2/", "fold3/"), ("Site A/", "Site B/"), ("patient_01/", "patient_02/"), ("cv-0/", "cv-1/")],
)
def test_folds_and_sites_are_no_classes(tmp_path, outer):
    with pytest.raises(DatasetError, match="holds the folders a, b: the outer ones are no classes") as caught:
        open_dataset(FOLDER, touch(tmp_path, *classed(*outer)))
    assert f"own={tmp_path / outer[0].rstrip('/')}" in caught.value.hint
    assert open_dataset(FOLDER, tmp_path / outer[0]).classes == ("a", "b")


def test_two_levels_of_which_the_outer_may_be_the_classes_are_told(tmp_path):
    dataset = open_dataset(FOLDER, touch(tmp_path, *classed("benign/", "malignant/", classes=("40X", "100X"))))
    assert dataset.classes == ("benign", "malignant")
    said = (
        "own: each of the folders benign, malignant holds the folders 100X, 40X: the outer ones are read as the classes"
    )
    assert said in dataset.warnings


@pytest.mark.parametrize("inner", [("images", "masks"), ("train", "test")])
def test_images_masks_and_parts_below_classes_are_not_asked_about(tmp_path, inner):
    names = [f"{c}/{p}/{p}{i}.png" for c in ("COVID", "Normal") for p in inner for i in range(2)]
    dataset = open_dataset(FOLDER, touch(tmp_path, *names))
    assert dataset.classes == ("COVID", "Normal")
    assert not any("holds the folders" in said for said in dataset.warnings)
