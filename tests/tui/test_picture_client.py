"""Images for the screens: decoded in a process of their own, each error costs one picture."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay
from medvlm_tui.errors import ImageError
from medvlm_tui.service.picture_client import BurnedIn, PictureClient
from medvlm_tui.stages.request import RunRequest

DIES_ONCE = """
import json, os, sys
from pathlib import Path
flag = Path(sys.argv[-1]) / "died"
for line in sys.stdin:
    if not flag.exists():
        flag.touch(); os._exit(9)
    print(json.dumps({"number": json.loads(line)["number"], "shape": [1, 1, 3], "pixels": "AQID"}), flush=True)
"""


@pytest.fixture
def request_for(tmp_path: Path) -> RunRequest:
    for name, colour in (("a", (200, 0, 0)), ("b", (0, 0, 200))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (80, 40), colour).save(tmp_path / "data" / name / f"{index}[[.png")
    (tmp_path / "data" / "b" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return RunRequest(data={"mine": str(tmp_path / "data")})


async def test_a_picture_is_as_large_as_it_is_shown(tmp_path: Path, request_for: RunRequest) -> None:
    pictures = PictureClient(tmp_path / "workspace")
    red = await pictures.picture(request_for, "mine", "a/0[[.png", 64)
    assert red.shape == (32, 64, 3)
    assert (red == np.array([200, 0, 0])).all()
    assert await pictures.picture(request_for, "mine", "a/0[[.png", 64) is red
    with pytest.raises(ImageError, match="not in mine"):
        await pictures.picture(request_for, "mine", "../secret.png")
    with pytest.raises(ImageError, match=r"torn\.png"):
        await pictures.picture(request_for, "mine", "b/torn.png")
    both = await asyncio.gather(*(pictures.picture(request_for, "mine", f"{name}/1[[.png", 8) for name in "ab"))
    assert [picture[0, 0].tolist() for picture in both] == [[200, 0, 0], [0, 0, 200]]
    await pictures.stop()


async def test_a_file_that_kills_the_reader_costs_one_picture(tmp_path: Path, request_for: RunRequest) -> None:
    pictures = PictureClient(tmp_path, [sys.executable, "-c", DIES_ONCE])
    with pytest.raises(ImageError, match="ended"):
        await pictures.picture(request_for, "mine", "a/0[[.png")
    assert (await pictures.picture(request_for, "mine", "a/1[[.png")).tolist() == [[[1, 2, 3]]]
    await pictures.stop()


async def test_stopping_before_the_first_picture_is_no_error(tmp_path: Path) -> None:
    await PictureClient(tmp_path).stop()


async def test_a_picture_without_its_folder_asks_for_it(tmp_path: Path) -> None:
    pictures = PictureClient(tmp_path)
    for name in ("mine", "brain_mr"):
        with pytest.raises(ImageError, match="needs the data folder: o on home"):
            await pictures.picture(RunRequest(), name, "a/0.png")
    await pictures.stop()


async def test_a_picture_of_a_larger_run_is_found_under_a_limit(tmp_path: Path, request_for: RunRequest) -> None:
    pictures = PictureClient(tmp_path)
    few = replace(request_for, limit=1)
    for number in range(2):
        assert (await pictures.picture(few, "mine", f"a/{number}[[.png", 8)).shape == (4, 8, 3)
    await pictures.stop()


async def test_a_picture_bears_the_word_that_the_lab_draws(tmp_path: Path, request_for: RunRequest) -> None:
    pictures = PictureClient(tmp_path / "workspace")
    burned = BurnedIn("LEFT", "text", "bottom_left", 0.3, 1.0, 0)
    spec = OverlaySpec("LEFT", "text", "bottom_left", 0.3, 1.0)
    with Image.open(tmp_path / "data" / "a" / "0[[.png") as image:
        expected = draw_overlay(image.convert("RGB"), spec)
    drawn = await pictures.picture(request_for, "mine", "a/0[[.png", 512, burned)
    np.testing.assert_array_equal(drawn, np.asarray(expected.image))
    plain = await pictures.picture(request_for, "mine", "a/0[[.png", 512, replace(burned, drawn=False))
    assert (plain == np.array([200, 0, 0])).all()
    part = await pictures.picture(request_for, "mine", "a/0[[.png", 512, replace(burned, closer=True))
    left, top, right, bottom = expected.box
    room = (bottom - top) // 3
    inside = np.asarray(expected.image)[max(0, top - room) : bottom + room, max(0, left - room) : right + room]
    np.testing.assert_array_equal(part, inside)
    with pytest.raises(ImageError, match="wider than the image"):
        await pictures.picture(request_for, "mine", "a/0[[.png", 512, replace(burned, word="W" * 24))
    await pictures.stop()
