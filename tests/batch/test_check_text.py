"""`medvlm-tui check`: its text, its JSON and its exit code."""

import json
from collections import Counter

import numpy as np
from PIL import Image

from medvlm_tui import cli
from medvlm_tui.engine.datasets.layouts.phantom import make_phantom
from medvlm_tui.errors import ExitCode


def put(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC).save(path)


def check(tmp_path, name, root, *more):
    return cli.main(["check", name, "--data", f"{name}={root}", "--workspace", str(tmp_path / "w"), *more])


def test_a_sound_dataset_ends_with_zero(tmp_path, capsys):
    root = make_phantom(tmp_path / "made", per_class=3)
    code = check(tmp_path, "phantom", root)
    text = capsys.readouterr().out
    assert code == ExitCode.OK
    assert "phantom: 9 images" in text
    assert "counts: as found, the catalog has none to compare with" in text
    assert "exact duplicates (equal pixels): 0 sets" in text


def test_findings_are_listed_worst_first_and_cleaned(tmp_path, capsys):
    for i in range(10):
        put(tmp_path / "set" / "ab"[i % 2] / f"{i}.png", i)
    put(tmp_path / "set" / "a" / "again.png", 2)
    put(tmp_path / "set" / "b" / "twin\x1b[2J.png", 4)
    (tmp_path / "set" / "a" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert check(tmp_path, "mine", tmp_path / "set") == ExitCode.MISSING_INPUT
    text = capsys.readouterr().out
    assert "unreadable files: 1\n  a/cut.png: " in text
    found = text[text.index("exact duplicates") :].splitlines()
    assert found[0].endswith("2 sets, 2 images too many, 0 across parts, 1 across classes")
    assert found[1] == "  [CLASSES] a/4.png = b/twin\\x1b[2J.png"
    assert found[2] == "  a/2.png = a/again.png"
    assert check(tmp_path, "mine", tmp_path / "set", "--json") == ExitCode.MISSING_INPUT
    record = json.loads(capsys.readouterr().out)
    assert record["matches"] is False
    assert len(record["exact"]) == 2
    assert Counter({row["label"]: row["images"] for row in record["counts"]}) == {"a": 7, "b": 6}


def test_long_lists_are_cut(tmp_path, capsys):
    for i in range(15):
        for name in ("x", "y"):
            put(tmp_path / "set" / "ab"[i % 2] / f"{i}{name}.png", i)
    check(tmp_path, "mine", tmp_path / "set")
    assert "  and 5 more (all with --json)" in capsys.readouterr().out


def test_one_dataset_says_how_to_get_it(tmp_path, capsys):
    assert cli.main(["datasets", "isic2019", "--workspace", str(tmp_path / "w")]) == ExitCode.OK
    text = capsys.readouterr().out
    for told in ("ISIC_2019_Training_Input.zip", "challenge.isic-archive.com", "CC BY-NC 4.0", "9 GB", "lesion"):
        assert told in text
    assert "  ISIC_2019_Training_Input/            ISIC_0000000.jpg" in text, "the layout as a tree"
    assert "NV                            12,875" in text


def test_blank_images_and_passed_over_files_are_named(tmp_path, capsys):
    for i in range(6):
        put(tmp_path / "set" / "ab"[i % 2] / f"{i}.png", i)
    Image.new("L", (64, 64), 90).save(tmp_path / "set" / "a" / "blank.png")
    assert check(tmp_path, "mine", tmp_path / "set") == ExitCode.OK
    text = capsys.readouterr().out
    assert "1 of 7 images is one grey level under the window file, the first is a/blank.png" in text
    (tmp_path / "set" / "b" / "scan.heic").write_bytes(b"?")
    assert check(tmp_path, "mine", tmp_path / "set") == ExitCode.MISSING_INPUT, "no digest changed, the answer does"
    text = capsys.readouterr().out
    assert "to be looked at:\n  mine: 1 file was passed over, the first is b/scan.heic" in text


def test_parts_that_are_pooled_are_a_note_and_no_difference(tmp_path, capsys):
    for i in range(8):
        put(tmp_path / "set" / ("train", "test")[i % 2] / "ab"[i // 4] / f"{i}.png", i)
    assert check(tmp_path, "mine", tmp_path / "set", "--json") == ExitCode.OK
    record = json.loads(capsys.readouterr().out)
    assert record["differences"] == []
    assert "parts test (4), train (4) are pooled" in record["notes"][0]
