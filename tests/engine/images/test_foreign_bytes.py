"""Wherever a user's file is decoded, it is in a process of its own: it costs itself there, and no tag leaves it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui import cli
from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.likeness import fingerprints as fingerprints_module
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.datasets.splits.groups import split_groups
from medvlm_tui.engine.new_images import encode
from medvlm_tui.errors import ExitCode, ImageError
from tests.made import readers as made_readers

OWN = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")
SECRET = "SECRETID77"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten different pictures in two classes, `a/4.png` among them, which poisonous readers die of."""
    draw = np.random.default_rng(0)
    for n in range(10):
        place = tmp_path / "set" / "ab"[n % 2]
        place.mkdir(parents=True, exist_ok=True)
        blocks = np.kron(draw.integers(0, 256, (4, 5, 3)), np.ones((10, 10, 1)))
        Image.fromarray(blocks.astype(np.uint8)).save(place / f"{n}.png")
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("reader", "reason"), [("crashing_print", "killed 2 processes"), ("greedy_print", "GiB of memory")]
)
def test_a_file_that_ends_or_fills_its_decoder_costs_itself_in_a_check(
    folder, tmp_path, capsys, monkeypatch, reader, reason
):
    monkeypatch.setattr(fingerprints_module, "read_print", getattr(made_readers, reader))
    line = ["check", "own", "--data", f"own={folder}", "--workspace", str(tmp_path / "w")]
    assert cli.main(line) == ExitCode.MISSING_INPUT
    said = capsys.readouterr().out
    assert "unreadable files: 1" in said
    assert "a/4.png: " in said
    assert reason in said


def test_groups_of_look_alikes_survive_it_too(folder, monkeypatch):
    monkeypatch.setattr(fingerprints_module, "read_print", made_readers.crashing_print)
    Image.open(folder / "a" / "0.png").save(folder / "b" / "copy.bmp")
    groups = split_groups(open_dataset(OWN, folder))
    assert groups.of(["a/0.png", "b/copy.bmp", "a/4.png"]) == ("same as a/0.png", "same as a/0.png", "")


def test_encode_names_the_file_that_kills_its_decoder(folder, monkeypatch):
    monkeypatch.setattr(encode, "read_sample", made_readers.crashing)
    images = [folder / "a" / "0.png", folder / "a" / "4.png"]
    with pytest.raises(ImageError, match="killed 2 processes"):
        encode.encode_files("efficientnet_lite0", images, device="cpu")


def test_images_in_one_grey_level_are_said_and_are_no_duplicates(tmp_path, capsys):
    for n in range(8):
        place = tmp_path / "set" / "ab"[n % 2]
        place.mkdir(parents=True, exist_ok=True)
        beside = 12000 if n in (2, 5) else 0
        values = np.random.default_rng(n).integers(0, 4000, (32, 32)) + beside
        Image.fromarray(values.astype(np.uint16)).save(place / f"{n}.png")
    line = ["check", "own", "--data", f"own={tmp_path / 'set'}", "--workspace", str(tmp_path / "w")]
    assert cli.main([*line, "--window", "2048/4096"]) == ExitCode.OK
    said = capsys.readouterr().out
    assert "2 of 8 images are one grey level under the window 2048/4096, the first is a/2.png" in said
    assert "--window percentiles" in said
    assert "exact duplicates (equal pixels): 0 sets" in said
    cli.main([*line, "--window", "percentiles"])
    assert "grey level" not in capsys.readouterr().out


def test_an_extraction_says_how_many_images_are_one_grey_level(tmp_path, capsys):
    for n in range(4):
        place = tmp_path / "set" / "ab"[n % 2]
        place.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(n).integers(0, 900, (20, 30)) + (9000 if n else 0)
        Image.fromarray(values.astype(np.uint16)).save(place / f"{n}.png")
    Image.new("RGB", (20, 30), "grey").save(tmp_path / "set" / "a" / "grey_by_itself.png")
    line = ["--batch", "--offline", "--workspace", str(tmp_path / "w"), "--data", f"own={tmp_path / 'set'}"]
    line += ["--datasets", "own", "--models", "efficientnet_lite0", "--stages", "extract", "--device", "cpu"]
    assert cli.main([*line, "--precision", "fp32", "--window", "500/1000"]) == ExitCode.OK
    said = "".join(capsys.readouterr())
    assert "3 of 5 images are one grey level under the window 500/1000, the first is a/2.png" in said


# -- tags ------------------------------------------------------------------------------------------


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """Six DICOM files; in two the patient's id stands under another type, one has a header that cannot be read."""
    pytest.importorskip("pydicom", reason="DICOM needs pydicom")
    from tests.made.images import dicom_dataset

    (tmp_path / "set").mkdir()
    for n in range(6):
        dataset = dicom_dataset(np.full((8, 8), n, np.uint8), Modality="CT" if n % 2 else "MR")
        dataset.add_new("PatientID", {0: "UI", 1: "IS"}.get(n, "LO"), "1" if n < 2 else f"{SECRET}{n}")
        path = tmp_path / "set" / f"{n}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        if n < 2:
            _lengthen(path, n)
    broken = (tmp_path / "set" / "5.dcm").read_bytes()
    at = broken.index(b"\x08\x00\x60\x00CS")
    (tmp_path / "set" / "5.dcm").write_bytes(broken[:at] + b"\x08\x00\x60\x00US\x03\x00abc" + broken[at + 10 :])
    return tmp_path / "set"


def _lengthen(path: Path, n: int) -> None:
    """Put the secret where the short id stands: no writer would."""
    data, kind = path.read_bytes(), b"UI" if n == 0 else b"IS"
    at = data.index(b"\x10\x00\x20\x00" + kind)
    length = len(SECRET).to_bytes(2, "little")
    path.write_bytes(data[: at + 6] + length + SECRET.encode() + data[at + 10 :])


def test_no_tag_value_is_logged_and_a_damaged_header_costs_itself(tagged, caplog, capfd, recwarn):
    dataset = open_dataset(OWN, tagged, view="tag:Modality")
    assert [sample.id for sample in dataset.samples] == ["0.dcm", "1.dcm", "2.dcm", "3.dcm", "4.dcm"]
    assert dataset.warnings == ("own: 1 of 6 DICOM files have a header that cannot be read and are left out",)
    said = "".join(capfd.readouterr()) + caplog.text + "".join(str(one.message) for one in recwarn) + repr(dataset)
    assert SECRET not in said


def test_a_value_that_takes_in_the_tags_after_it_is_no_label(tagged):
    data = (tagged / "2.dcm").read_bytes()
    at = data.index(b"\x08\x00\x60\x00CS")
    after = data.index(SECRET.encode(), at) + len(SECRET)
    (tagged / "2.dcm").write_bytes(data[: at + 6] + (after - at - 8).to_bytes(2, "little") + data[at + 8 :])
    dataset = open_dataset(OWN, tagged, view="tag:Modality")
    assert SECRET not in repr(dataset)
    assert "2 of 6 DICOM files have a header" in dataset.warnings[0]


def test_headers_are_read_under_the_decoders_limits(tagged, monkeypatch):
    from medvlm_tui.engine.datasets.layouts import dicom_tags

    killer = tagged / "4.png"
    killer.write_bytes((tagged / "4.dcm").read_bytes())
    monkeypatch.setattr(dicom_tags, "read_tags", made_readers.crashing_tags)
    dataset = open_dataset(OWN, tagged, view="tag:Modality")
    assert "4.png" not in [sample.id for sample in dataset.samples]
    assert "2 of 7 DICOM files have a header" in dataset.warnings[0]
