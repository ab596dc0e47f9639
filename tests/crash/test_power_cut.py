"""A power cut: a loop-mounted ext4 that drops everything not yet on its disk. 10 seconds a kind; needs root."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.conftest import account, make_store, tidy
from tests.crash.writer import numbers, writer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]
CUTS = 5
# _IOR('X', 125, __u32) of linux/ext4.h, and EXT4_GOING_FLAGS_NOLOGFLUSH: stop now, and flush no log.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2


def _cut(place: Path) -> None:
    """Cut the power of the file system at `place`, which must be a loop mount and not the one the root lies on."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    [device] = [fields[0] for fields in mounts if fields[1] == str(place)]
    assert device.startswith("/dev/loop")
    assert os.stat(place).st_dev != os.stat("/").st_dev
    assert os.stat(place).st_dev != os.stat(place.parent).st_dev
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(descriptor)


def _mount(image: Path, place: Path) -> None:
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """An ext4 of 512 MB in a file, mounted: more than a quick disk fills between the cuts."""
    if os.getuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("10 seconds a kind; needs root and mkfs.ext4")
    image, place = tmp_path / "image", tmp_path / "disk"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    try:
        _mount(image, place)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a loop mount is not allowed here: {error.stderr.decode().strip()}")
    yield image, place
    subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_power_cut_loses_nothing_acknowledged(disk: tuple[Path, Path], kind: str, report) -> None:
    image, place = disk
    control = 0
    told: set[int] = set()
    path = place / "store"
    for cut in range(CUTS):
        if cut == 0:
            make_store(path, kind)
        # Written without a sync: when it survives, the cut did not cut.
        (place / "control").write_bytes(b"not synced")
        child = writer(path, 1000 * cut, 1000)
        child.begin()
        time.sleep(1.0)
        # Nobody hears what is said after a cut; and to a sync that the cut overtakes, ext4 may answer that all is well.
        child.stop()
        _cut(place)
        child.kill()
        told |= numbers(child.finish())
        subprocess.run(["umount", str(place)], check=True)
        _mount(image, place)
        control += (place / "control").exists() and (place / "control").read_bytes() == b"not synced"
        (place / "control").unlink(missing_ok=True)
        found = account(path, told)
        assert found.lost == found.wrong == []
    leftovers = tidy(path)
    report(
        f"power cut, {kind}: {CUTS} cuts, {len(told)} acknowledged, 0 lost, 0 wrong, {leftovers} leftovers scrubbed, "
        f"a file that was not synced survived {control} times"
    )
    assert len(told) > CUTS
    assert control < CUTS
