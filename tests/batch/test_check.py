"""`medvlm-tui check`: a dataset's own faults, and an exit code that says whether it is as published."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.made.shared import DATA


def test_planted_faults_are_found(medvlm, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for kind in ("a", "b"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / kind / f"{number}.png")
    shutil.copy(tmp_path / "set" / "a" / "0.png", tmp_path / "set" / "b" / "twin.png")
    (tmp_path / "set" / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = medvlm("check", "mine", "--data", f"mine={tmp_path / 'set'}", "--json")
    report = json.loads(done.stdout)
    assert done.code == 3
    assert [found["image"] for found in report["unreadable"]] == ["a/broken.png"]
    [twins] = report["exact"]
    assert sorted(twins["images"]) == ["a/0.png", "b/twin.png"]


@pytest.mark.skipif(not (DATA / "brain_mri").is_dir(), reason=f"no real images in {DATA}")
def test_the_real_parts_differ_from_the_catalog_and_leak(medvlm) -> None:
    done = medvlm("check", "brain_mr", "--data", f"brain_mr={DATA / 'brain_mri'}")
    assert done.code == 3
    assert "across parts" in done.stdout
    assert "leaks" in done.stdout
