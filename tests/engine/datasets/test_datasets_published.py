"""The study's published layouts: on the real parts where they are at hand, on made trees under the real names else."""

import csv
import hashlib
import re
from collections import Counter
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.engine.datasets.opening import open_dataset, reader_of
from medvlm_tui.engine.datasets.resolve import resolve_dataset
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.errors import DatasetError, ImageError
from tests.made.shared import DATA

CATALOG = load_datasets()


def real(name: str) -> Path:
    root = DATA / name
    if not root.exists():
        pytest.skip(f"no real data at {root} (MEDVLM_TEST_DATA)")
    return root


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def classes_of(dataset):
    return Counter(sample.label for sample in dataset.samples)


# -- SARS-CoV-2 CT --------------------------------------------------------------------------------


def sars_tree(root: Path, covid: int, other: int) -> Path:
    touch(root, *(f"COVID/Covid ({i}).png" for i in range(1, covid + 1)))
    return touch(root, *(f"non-COVID/Non-Covid ({i}).png" for i in range(1, other + 1)))


def test_sars_cov_2_accepts_both_totals_of_its_sources(tmp_path):
    spec = CATALOG["sars_cov_2_ct"]
    root = sars_tree(tmp_path / "data" / "sarscov2", 1252, 1229)
    dataset = open_dataset(spec, tmp_path, strict=True)
    assert classes_of(dataset) == {"COVID": 1252, "non-COVID": 1229}
    assert dataset.warnings == ()
    touch(root, "non-COVID/Non-Covid (1230).png")
    assert open_dataset(spec, tmp_path, strict=True).warnings == ()
    touch(root, "non-COVID/Non-Covid (1231).png")
    with pytest.raises(DatasetError, match=r"2,483 images found, .* \(non-COVID 1,231 of 1,229\)"):
        open_dataset(spec, tmp_path, strict=True)


# -- PneumoniaMNIST -------------------------------------------------------------------------------


def test_pneumoniamnist_as_published():
    root = real("pneumoniamnist")
    spec = CATALOG["pneumoniamnist"]
    dataset = open_dataset(spec, root)
    assert classes_of(dataset) == {"normal": 1214, "pneumonia": 3494}
    assert classes_of(open_dataset(spec, root, part="val")) == {"normal": 135, "pneumonia": 389}
    assert classes_of(open_dataset(spec, root, part="test")) == {"normal": 234, "pneumonia": 390}
    assert len(open_dataset(spec, root, part="all").samples) == 5856
    assert [w for w in dataset.warnings if "MD5" in w], "this copy's train order is not the official one"
    pixels = np.load(root / "pneumoniamnist.npz")["train_images"]
    for row in (0, 4707):
        sample = dataset.samples[row]
        assert sample.frame == f"train_images/{row}"
        np.testing.assert_array_equal(np.asarray(read_sample(sample))[..., 1], pixels[row])
    assert len({s.digest for s in dataset.samples}) == 4708


def medmnist(path: Path, px: int, labels=None, **more) -> Path:
    arrays = {}
    for part, n in (("train", 8), ("val", 4), ("test", 4)):
        arrays[f"{part}_images"] = np.arange(n * px * px, dtype=np.uint8).reshape(n, px, px)
        arrays[f"{part}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None] if labels is None else labels
    np.savez_compressed(path, **{**arrays, **more})
    return path


def test_the_largest_pneumoniamnist_is_taken_or_the_named_one(tmp_path):
    spec = CATALOG["pneumoniamnist"]
    small = medmnist(tmp_path / "pneumoniamnist_64.npz", 64)
    medmnist(tmp_path / "pneumoniamnist_128.npz", 128)
    assert read_sample(open_dataset(spec, tmp_path).samples[0]).size == (128, 128)
    assert read_sample(open_dataset(spec, small).samples[0]).size == (64, 64)


def test_the_official_checksum_is_silent(tmp_path, monkeypatch):
    path = medmnist(tmp_path / "pneumoniamnist.npz", 28)
    monkeypatch.setitem(
        reader_of(CATALOG["pneumoniamnist"])._MD5_BY_NAME,
        path.name,
        hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
    )
    assert not [w for w in open_dataset(CATALOG["pneumoniamnist"], path).warnings if "MD5" in w]


def test_wrong_archives_are_refused(tmp_path):
    spec = CATALOG["pneumoniamnist"]
    path = tmp_path / "pneumoniamnist.npz"
    for broken in (b"", b"not a zip", medmnist(tmp_path / "whole.npz", 28).read_bytes()[:300]):
        path.write_bytes(broken)
        with pytest.raises(DatasetError, match="not a MedMNIST file"):
            open_dataset(spec, path)
    medmnist(path, 28, labels=np.full((8, 1), 7, np.uint8))
    with pytest.raises(DatasetError, match="labels are not those"):
        open_dataset(spec, path)
    medmnist(path, 28, labels=np.array([{"a": 1}] * 8))
    with pytest.raises(DatasetError, match="not a MedMNIST file"):
        open_dataset(spec, path)


def test_a_row_that_is_not_there_costs_itself(tmp_path):
    path = medmnist(tmp_path / "pneumoniamnist.npz", 28, train_images=np.zeros((3, 28, 28), np.uint8))
    samples = open_dataset(CATALOG["pneumoniamnist"], path).samples
    assert read_sample(samples[2]).size == (28, 28)
    with pytest.raises(ImageError):
        read_sample(samples[5])


# -- BUSI -----------------------------------------------------------------------------------------


def test_busi_as_published():
    dataset = open_dataset(CATALOG["breast_us"], real("busi"))
    assert classes_of(dataset) == {"benign": 24, "malignant": 24, "normal": 24}
    assert not [s.id for s in dataset.samples if "_mask" in s.id]
    assert all(s.mask and s.mask.name == f"{s.path.stem}_mask.png" for s in dataset.samples)
    doubled = {s.id: [m.name for m in s.more_masks] for s in dataset.samples if s.more_masks}
    assert doubled == {
        "benign/benign (25).png": ["benign (25)_mask_1.png"],
        "benign/benign (4).png": ["benign (4)_mask_1.png"],
    }


def test_busi_in_a_folder_with_mask_in_its_name(tmp_path):
    root = tmp_path / "busi_with_mask_(1)" / "busi_mask"
    for name in ("benign", "malignant", "normal"):
        touch(root, *(f"{name}/{name} ({i}){suffix}.png" for i in (1, 2) for suffix in ("", "_mask")))
    touch(root, "benign/benign (1)_mask_2.png", "benign/benign (1)_mask_10.png", "benign/benign (1)_mask_1.png")
    touch(root, "benign/montage.png", "benign/benign (3) copy.png")
    dataset = open_dataset(CATALOG["breast_us"], tmp_path)
    assert len(dataset.samples) == 6
    assert [m.name[12:] for m in dataset.samples[0].more_masks] == ["ask_1.png", "ask_2.png", "ask_10.png"]


# -- BreakHis -------------------------------------------------------------------------------------


def test_breakhis_as_published():
    spec = CATALOG["breakhis"]
    root = real("breakhis")
    dataset = open_dataset(spec, root)
    assert dataset.classes == ("benign", "malignant")
    assert classes_of(dataset) == {"benign": 24, "malignant": 24}
    assert classes_of(open_dataset(spec, root, view="subtype")) == dict.fromkeys(spec.classes, 6)
    assert len(dataset.samples) == len(list(root.rglob("*.png"))), "the grammar matches every real name"
    for sample in dataset.samples:
        folder = sample.path.parents[1].name
        assert re.fullmatch(rf"SOB_[BM]_[A-Z]+_{sample.group}", folder), "the patient agrees with the folder's"
        assert sample.part == sample.path.parent.name
    assert len(open_dataset(spec, root, part="100X").samples) == 48
    with pytest.raises(DatasetError):
        open_dataset(spec, root, part="400X")


def test_breakhis_counts_are_those_of_its_paper():
    counts = CATALOG["breakhis"].counts
    benign = [name for name, label in CATALOG["breakhis"].views["default"].items() if label == "benign"]
    assert sum(counts[name] for name in benign) == 2480
    assert sum(counts.values()) - 2480 == 5429


def test_breakhis_nested_twice_with_strangers(tmp_path):
    base = "BreaKHis_v1/BreaKHis_v1/histology_slides/breast"
    files = [f"{base}/benign/SOB/adenosis/SOB_B_A_14-1/40X/SOB_B_A-14-1A-40-00{i}.png" for i in (1, 2)]
    files += [
        f"{base}/malignant/SOB/papillary_carcinoma/SOB_M_PC_14-2/400X/SOB_M_PC-14-2-400-00{i}.png" for i in (1, 2)
    ]
    touch(tmp_path, *files, f"{base}/benign/SOB/adenosis/thumbnail.png")
    dataset = open_dataset(CATALOG["breakhis"], tmp_path)
    assert {(s.label, s.group, s.part) for s in dataset.samples} == {
        ("benign", "14-1A", "40X"),
        ("malignant", "14-2", "400X"),
    }
    assert "1 file not named as in the release, the first is benign/SOB/adenosis/thumbnail.png" in dataset.warnings[1]


# -- HiCervix -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hicervix(tmp_path_factory):
    """The official label files and an empty file under each name of train."""
    labels = real("hicervix_labels")
    root = tmp_path_factory.mktemp("hicervix")
    for part in ("train", "val", "test"):
        (root / f"{part}.csv").write_bytes((labels / f"{part}.csv").read_bytes())
        (root / part).mkdir()
    with open(root / "train.csv", newline="") as file:
        for row in csv.DictReader(file):
            (root / "train" / row["image_name"]).touch()
    return root


def test_hicervix_has_the_study_s_counts(hicervix):
    dataset = open_dataset(CATALOG["hicervix"], hicervix, strict=True)
    assert len(dataset.samples) == 28160
    assert len(dataset.classes) == 26
    assert dataset.warnings == ()


@pytest.mark.parametrize("part", ["val", "test"])
def test_hicervix_other_parts_have_the_catalog_s_counts(part):
    with open(real("hicervix_labels") / f"{part}.csv", newline="") as file:
        counted = Counter(row["class_name"] for row in csv.DictReader(file))
    assert counted == CATALOG["hicervix"].part_counts[part]


def test_hicervix_views_are_the_columns_of_its_label_file(hicervix):
    views = CATALOG["hicervix"].views
    with open(hicervix / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for level in ("level_1", "level_2"):
        assert views[level] == {row["class_name"]: row[level] for row in rows if row[level]}
    microbes = {row["class_name"] for row in rows if row["level_1"] == "microbe"}
    assert views["microbe"] == {name: name for name in microbes}


def test_hicervix_without_pixels_is_one_error(hicervix):
    with pytest.raises(DatasetError, match="no images"):
        open_dataset(CATALOG["hicervix"], hicervix, part="val")
    with open(hicervix / "val.csv", newline="") as file:
        for row in list(csv.DictReader(file))[:2000]:
            (hicervix / "val" / row["image_name"]).touch()
    (note,) = open_dataset(CATALOG["hicervix"], hicervix, part="val").warnings
    assert note.startswith("hicervix: 2,018 of 4,018 listed images are not there, the first is val/")


def test_hicervix_names_stay_inside(tmp_path):
    text = "image_name,class_name,class_id,level_1,level_2,level_3\n../../x.jpg,MPC,3,negative,MPC,\n"
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(DatasetError, match=r"line 2: \.\./\.\./x\.jpg is no file name"):
        open_dataset(CATALOG["hicervix"], tmp_path)


# -- DeepDRiD -------------------------------------------------------------------------------------


def test_deepdrid_grades_come_from_the_filled_eye(tmp_path):
    sample_file = real("deepdrid_labels") / "sample_regular-fundus-training.csv"
    base = tmp_path / "DeepDRiD-master" / "regular_fundus_images" / "regular-fundus-training"
    base.mkdir(parents=True)
    (base / "regular-fundus-training.csv").write_bytes(sample_file.read_bytes())
    touch(base / "Images", *(f"1/1_{n}.jpg" for n in ("l1", "l2", "r1", "r2")))
    touch(base / "Images", *(f"56/56_{n}.jpg" for n in ("l1", "r3", "l3", "r2")))
    dataset = open_dataset(CATALOG["deepdrid"], tmp_path)
    grades = {s.path.stem: s.label for s in dataset.samples}
    assert grades["56_r3"] == "Mild NPDR", "the left column holds the eye of a file called r3"
    assert grades["56_l3"] == "No apparent retinopathy"
    assert {s.group for s in dataset.samples} == {"1", "56"}
    assert dataset.samples[0].id == "regular-fundus-training/Images/1/1_l1.jpg"
    (base / "Images/56/56_r2.jpg").unlink()
    assert "1 of 8 listed images are not there" in open_dataset(CATALOG["deepdrid"], tmp_path).warnings[-1]


def deepdrid_rows(grades, patients):
    head = "patient_id,image_id,image_path,Overall quality,left_eye_DR_Level,right_eye_DR_Level,patient_DR_Level"
    return "\n".join(
        [head, *(f"{p},{p}_l1,x,0,{left},{right},0" for p, (left, right) in zip(patients, grades, strict=True))]
    )


def test_deepdrid_has_the_study_s_counts_and_its_parts(tmp_path):
    base = tmp_path / "regular_fundus_images"
    for part, counts, first in (("training", (540, 140, 234, 214, 72), 1), ("validation", (174, 46, 92, 68, 20), 2001)):
        folder = base / f"regular-fundus-{part}"
        grades = [(str(g), "") if i % 2 else ("", f"{g}.0") for g, n in enumerate(counts) for i in range(n)]
        patients = range(first, first + len(grades))
        folder.mkdir(parents=True)
        (folder / f"{folder.name}.csv").write_text(deepdrid_rows(grades, patients))
        touch(folder / "Images", *(f"{p}/{p}_l1.jpg" for p in patients))
    spec = CATALOG["deepdrid"]
    assert open_dataset(spec, tmp_path, strict=True).warnings == ()
    assert list(classes_of(open_dataset(spec, tmp_path, part="validation")).values()) == [174, 46, 92, 68, 20]
    assert len(open_dataset(spec, tmp_path, part="all").samples) == 1600


def test_deepdrid_ultra_widefield_is_a_part_of_its_own(tmp_path):
    base = tmp_path / "ultra-widefield_images"
    folder = base / "ultra-widefield-training"
    rows = [
        ("10", "10_r20", "1"),
        ("10", "10_l3", "1"),
        ("11", "11_l1", "4"),
        ("11", "11_r1", "4"),
        ("12", "12_l1", "5"),
    ]
    touch(folder, *(f"Images/{p}/{image}.jpg" for p, image, _ in rows))
    lines = [f"{p},{image},\\x\\{image}.jpg,{grade},1" for p, image, grade in rows]
    text = "\n".join(["patient_id,image_id,image_path,DR_level,position", *lines])
    (folder / "ultra-widefield-training.csv").write_text(text)
    spec = CATALOG["deepdrid"]
    dataset = open_dataset(spec, tmp_path, part="uwf-training")
    assert {s.id.rsplit("/", 1)[1]: (s.label, s.group) for s in dataset.samples} == {
        "10_r20.jpg": ("Mild NPDR", "10"),
        "10_l3.jpg": ("Mild NPDR", "10"),
        "11_l1.jpg": ("PDR", "11"),
        "11_r1.jpg": ("PDR", "11"),
    }
    assert dataset.warnings == ("deepdrid: 1 image with a grade that the release does not explain left out",)
    assert open_dataset(spec, tmp_path, part="uwf-all").digest == dataset.digest
    with pytest.raises(DatasetError):
        open_dataset(spec, tmp_path)  # the regular photographs are not there


def workbook(path: Path, rows, shared: bool) -> None:
    """An .xlsx as Excel writes it: text in a table of shared strings, or inline as other programs do."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    strings, lines = [], []
    for r, row in enumerate(rows, start=1):
        cells = []
        for column, value in zip("ABCDE", row, strict=False):
            if isinstance(value, str) and shared:
                strings.append(value)
                cells.append(f'<c r="{column}{r}" t="s"><v>{len(strings) - 1}</v></c>')
            elif isinstance(value, str):
                cells.append(f'<c r="{column}{r}" t="inlineStr"><is><t>{value}</t></is></c>')
            elif value is not None:
                cells.append(f'<c r="{column}{r}"><v>{value}</v></c>')
        lines.append(f'<row r="{r}">{"".join(cells)}</row>')
    with ZipFile(path, "w") as archive:
        sheet = f'<worksheet xmlns="{space}"><sheetData>{"".join(lines)}</sheetData></worksheet>'
        archive.writestr("xl/worksheets/sheet1.xml", sheet)
        if shared:
            items = "".join(f"<si><t>{text}</t></si>" for text in strings)
            archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{space}">{items}</sst>')


@pytest.mark.parametrize("shared", [True, False])
def test_deepdrid_evaluation_comes_from_the_challenge_s_sheet(tmp_path, shared):
    folder = tmp_path / "regular_fundus_images" / "Online-Challenge1&2-Evaluation"
    touch(folder, *(f"Images/{p}/{p}_{eye}.jpg" for p in (347, 348) for eye in ("l1", "r1")))
    rows = [("image_id", "DR_Levels"), ("347_l1", 1), ("347_r1", 1), ("348_l1", 4), ("348_r1", 4), ("349_l1", 0)]
    workbook(folder / "Challenge1_labels.xlsx", rows, shared)
    dataset = open_dataset(CATALOG["deepdrid"], tmp_path, part="evaluation")
    assert classes_of(dataset) == {"Mild NPDR": 2, "PDR": 2}
    assert {(s.group, s.part) for s in dataset.samples} == {("347", "evaluation"), ("348", "evaluation")}
    assert "1 of 5 listed images are not there" in dataset.warnings[0]
    for broken in (b"no workbook", b""):
        (folder / "Challenge1_labels.xlsx").write_bytes(broken)
        with pytest.raises(DatasetError, match="no workbook"):
            open_dataset(CATALOG["deepdrid"], tmp_path, part="evaluation")


@pytest.mark.parametrize("grade", [("", ""), ("1", "2"), ("5", ""), ("mild", ""), ("1.5", "")])
def test_deepdrid_rows_without_one_grade_are_refused(tmp_path, grade):
    folder = tmp_path / "regular-fundus-training"
    touch(folder, "Images/1/1_l1.jpg")
    (folder / "regular-fundus-training.csv").write_text(deepdrid_rows([grade], [1]))
    with pytest.raises(DatasetError, match="line 2: one grade from 0 to 4"):
        open_dataset(CATALOG["deepdrid"], tmp_path)


# -- ISIC 2019 ------------------------------------------------------------------------------------


def test_isic_partial_download_is_a_summary():
    dataset = open_dataset(CATALOG["isic2019"], real("isic2019_ham_200x150"))
    assert len(dataset.samples) == 400
    assert len(dataset.classes) == 8
    assert dataset.classes == CATALOG["isic2019"].classes
    assert len(dataset.warnings) == 2
    assert "9,615 of 10,015 listed images are not there" in dataset.warnings[1]
    assert Image.open(dataset.samples[0].path).size == (200, 150)


ISIC_HEAD = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (ISIC_HEAD + "a,1,1,0,0,0,0,0,0,0\n", "line 2: a does not have exactly one class"),
        (ISIC_HEAD + "a,0,0,0,0,0,0,0,0,0\n", "exactly one class"),
        (ISIC_HEAD + "a,x,1,0,0,0,0,0,0,0\n", "exactly one class"),
        (ISIC_HEAD + "a,nan,1,0,0,0,0,0,0,0\n", "exactly one class"),
        ("image,target\na,1\n", "no column MEL"),
    ],
)
def test_isic_label_files_that_are_not_the_release_s(tmp_path, text, named):
    touch(tmp_path, "ISIC_2019_Training_Input/a.jpg")
    (tmp_path / "ISIC_2019_Training_GroundTruth.csv").write_text(text)
    with pytest.raises(DatasetError, match=named):
        open_dataset(CATALOG["isic2019"], tmp_path)


def test_an_augmented_isic_file_is_said(tmp_path):
    touch(tmp_path, "ISIC_2019_Training_Input/a0.jpg", "ISIC_2019_Training_Input/a1.jpg")
    rows = "".join(f"a{i},1,0,0,0,0,0,0,0,0\n" for i in range(25332))
    (tmp_path / "ISIC_2019_Training_GroundTruth.csv").write_text(ISIC_HEAD + rows)
    warnings = open_dataset(CATALOG["isic2019"], tmp_path).warnings
    assert "isic2019: the label file has 25,332 rows, the release has 25,331" in warnings


# -- other files of MedMNIST ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["breastmnist.npz", "BreastMNIST_64.npz", "chestmnist (1).npz"])
def test_another_file_of_the_collection_is_not_pneumoniamnist(tmp_path, name):
    with pytest.raises(DatasetError, match="is not PneumoniaMNIST") as caught:
        open_dataset(CATALOG["pneumoniamnist"], medmnist(tmp_path / name, 28))
    assert "--data" in caught.value.hint


def test_a_file_of_ones_own_has_its_numbers_as_classes(tmp_path):
    path = medmnist(tmp_path / "breastmnist.npz", 28)
    spec = resolve_dataset("mine", {"mine": str(path)}, CATALOG)
    dataset = open_dataset(spec, path)
    assert dataset.classes == ("0", "1")
    assert {sample.part for sample in dataset.samples} == {"train", "val", "test"}
    assert "are pooled" in dataset.notes[0]
    assert read_sample(dataset.samples[0]).size == (28, 28)
    only = open_dataset(spec, path, part="Training")
    assert {sample.part for sample in only.samples} == {"train"}


@pytest.mark.parametrize(
    "arrays",
    [
        {"train_images": np.zeros((4, 28, 28, 28), np.uint8), "train_labels": np.zeros((4, 1), np.uint8)},
        {"train_images": np.zeros((4, 28, 28), np.uint8), "train_labels": np.zeros((4, 14), np.uint8)},
        {"train_images": np.zeros((4, 28, 28), np.float32), "train_labels": np.zeros((4, 1), np.uint8)},
        {"x": np.zeros(4)},
    ],
)
def test_files_of_another_layout_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    spec = resolve_dataset("mine", {"mine": f"{tmp_path}/mine.npz"}, CATALOG)
    with pytest.raises(DatasetError, match="not a MedMNIST file"):
        open_dataset(spec, tmp_path / "mine.npz")
