"""Whole label files of the study's larger sets, under made image files; about 1 minute."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.engine.datasets.check.findings import audit
from medvlm_tui.engine.datasets.opening import open_dataset
from tests.made.shared import DATA

CATALOG = load_datasets()

pytestmark = pytest.mark.slow


def real(name: str) -> Path:
    root = DATA / name
    if not root.exists():
        pytest.skip(f"no real data at {root} (MEDVLM_TEST_DATA)")
    return root


def classes_of(dataset):
    return Counter(sample.label for sample in dataset.samples)


@pytest.fixture(scope="module")
def hicervix(tmp_path_factory):
    root = tmp_path_factory.mktemp("hicervix")
    (root / "train.csv").write_bytes((real("hicervix_labels") / "train.csv").read_bytes())
    (root / "train").mkdir()
    with open(root / "train.csv", newline="") as file:
        for row in csv.DictReader(file):
            (root / "train" / row["image_name"]).touch()
    return root


def test_hicervix_views(hicervix):
    spec = CATALOG["hicervix"]
    known = FileDigests()
    seen = {view: classes_of(open_dataset(spec, hicervix, view=view, digests=known)) for view in spec.views}
    assert seen["level_1"] == {"negative": 10460, "ASC": 6081, "AGC": 5923, "microbe": 5696}
    assert len(seen["leaf"]) == 23
    assert seen["leaf"].total() == 24198
    assert seen["microbe"] == {"FUNGI": 1453, "ACTINO": 1379, "TRI": 1213, "HSV": 872, "CC": 779}
    with open(hicervix / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert seen["level_2"] == Counter(row["level_2"] for row in rows if row["level_2"])
    assert all(spec.views["level_1"][row["class_name"]] == row["level_1"] for row in rows)


def test_isic_has_the_study_s_counts_and_lesions(tmp_path):
    labels = real("isic2019_labels_full")
    (tmp_path / "labels").mkdir()
    for name in ("GroundTruth", "Metadata"):
        path = labels / f"ISIC_2019_Training_{name}.csv"
        (tmp_path / "labels" / path.name).write_bytes(path.read_bytes())
    pixels = tmp_path / "ISIC_2019_Training_Input" / "ISIC_2019_Training_Input"
    pixels.mkdir(parents=True)
    with open(labels / "ISIC_2019_Training_GroundTruth.csv", newline="") as file:
        for row in csv.DictReader(file):
            (pixels / f"{row['image']}.jpg").touch()
    dataset = open_dataset(CATALOG["isic2019"], tmp_path, strict=True)
    assert dataset.warnings == ()
    assert dataset.classes == ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
    groups = Counter(s.group for s in dataset.samples)
    assert groups.pop("") == 2084
    assert len(groups) == 11847
    assert sum(n for n in groups.values() if n > 1) == 16459
    assert max(groups.values()) == 31
    lesions = {}
    for sample in dataset.samples:
        if sample.group:
            assert lesions.setdefault(sample.group, sample.label) == sample.label
    assert sum("_downsampled" in s.id for s in dataset.samples) == 2074


def test_real_pneumoniamnist_duplicates_are_found():
    report = audit(CATALOG["pneumoniamnist"], real("pneumoniamnist"))
    within_train = sum(sum(i.startswith("train/") for i in s.images) - 1 for s in report.exact if "train" in s.parts)
    shared = {i for s in report.exact if {"train", "val"} <= set(s.parts) for i in s.images if i.startswith("val/")}
    assert within_train == 18
    assert len(shared) == 8
