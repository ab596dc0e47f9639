"""A folder of hostile files as one dataset: each has its outcome, none harms another, memory stays bounded."""

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.check.findings import AuditOptions, audit
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.errors import ImageError

OWN = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")
GOOD = Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3))


def png_bomb(side: int) -> bytes:
    """A PNG that declares side x side pixels and holds almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10**6))
        + chunk(b"IEND", b"")
    )


def write_corpus(folder: Path) -> dict[str, str]:
    """Write the files; return name -> `reads` or a part of the reason."""
    folder.mkdir(parents=True)
    outcome: dict[str, str] = {}

    def put(name: str, data: bytes, expected: str) -> None:
        (folder / name).write_bytes(data)
        outcome[name] = expected

    def save(name: str, image: Image.Image, expected: str, **options: object) -> None:
        image.save(folder / name, **options)
        outcome[name] = expected

    save("good.png", GOOD, "reads")
    save("grey.png", GOOD.convert("L"), "reads")
    save("cmyk.jpg", GOOD.convert("CMYK"), "reads")
    save("alpha.png", GOOD.convert("RGBA"), "reads")
    save("palette.gif", GOOD.convert("P"), "reads")
    exif = Image.Exif()
    exif[0x0112] = 6
    save("rotated.jpg", GOOD, "reads", exif=exif)
    save(
        "ramp16.png", Image.fromarray(np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)), "more than 8 bits"
    )
    save("float.tif", Image.fromarray(np.zeros((8, 8), np.float32)), "more than 8 bits")
    whole = (folder / "good.png").read_bytes()
    jpeg = (folder / "rotated.jpg").read_bytes()
    put("cut.png", whole[: len(whole) // 2], "cannot be decoded")
    put("cut.jpg", jpeg[: len(jpeg) // 2], "cannot be decoded")
    put("empty.png", b"", "is empty")
    put("text.png", b"PATIENT,LABEL\n1,2\n", "not an image")
    put("script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image")
    put("jpeg_called.png", jpeg, "reads")
    put("bomb.png", png_bomb(60_000), "declares more than")
    put("empty.dcm", b"", "DICOM")
    put("text.dcm", b"no header at all" * 20, "DICOM")
    (folder / "[").mkdir()
    put("[/].png", whole, "reads")
    put("[bold] [@click=app.bell]x[.png", whole, "reads")
    put("esc\x1b]52;c;aGk=\x07.png", whole, "reads")
    put("two\nlines.png", whole, "reads")
    put("rlo\u202egnp.png", whole, "reads")
    put("x" * 251 + ".png", whole, "reads")
    put(os.fsdecode(b"latin\xe9\xff.png"), whole, "reads")
    put("=cmd|' !A0.png", whole, "reads")
    return outcome


@pytest.fixture
def corpus(tmp_path):
    outcome = write_corpus(tmp_path / "set" / "hostile")
    for i in range(3):
        (tmp_path / "set" / "plain").mkdir(exist_ok=True)
        GOOD.save(tmp_path / "set" / "plain" / f"{i}.png")
    (tmp_path / "set" / "hostile" / "loop").symlink_to("..")
    (tmp_path / "set" / "hostile" / "self.png").symlink_to("self.png")
    (tmp_path / "set" / "hostile" / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(tmp_path / "set" / "hostile" / "pipe.png")
    return tmp_path / "set", outcome


def test_every_file_has_its_outcome(corpus):
    root, outcome = corpus
    dataset = open_dataset(OWN, root)
    seen = {}
    for sample in dataset.samples:
        try:
            assert read_sample(sample).mode == "RGB"
            result = "reads"
        except ImageError as error:
            result = f"{error.message} | {error.hint}"
        seen[sample.id] = result
    assert not set("".join(seen.values())) & set("\x1b\x07\n\u202e"), "safe to show"
    assert not [result for result in seen.values() if result.endswith("| ")], "every refusal has a hint"
    assert all(seen.pop(f"plain/{i}.png") == "reads" for i in range(3))
    assert set(seen) == {f"hostile/{name}" for name in outcome}, "links to nothing and pipes are no images"
    for name, expected in outcome.items():
        assert expected in seen[f"hostile/{name}"], (name, seen[f"hostile/{name}"])


def test_warnings_of_a_hostile_list_are_safe_to_show(tmp_path):
    GOOD.save(tmp_path / "a.png")
    GOOD.save(tmp_path / "b.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,x\nb.png,x\n\x1b[2J\u202e.png,y\n", encoding="utf-8")
    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="csv_list")
    (note,) = open_dataset(spec, tmp_path / "list.csv").warnings
    assert "\\x1b[2J\\u202e.png" in note
    assert not set(note) & set("\x1b\u202e")


def test_memory_stays_bounded(tmp_path):
    """Peak memory of reading all of it, in a process of its own, stays below 150 MB over the imports."""
    write_corpus(tmp_path / "set" / "hostile")
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from medvlm_tui.core.specs import Sample\n"
        "from medvlm_tui.engine.images.read_sample import read_sample\n"
        "from medvlm_tui.engine.images import raster, dicom\n"
        "from medvlm_tui.errors import ImageError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "refused = 0\n"
        "for path in Path(sys.argv[1]).rglob('*.*'):\n"
        "    try:\n"
        "        read_sample(Sample('x', path, ''))\n"
        "    except ImageError:\n"
        "        refused += 1\n"
        "print(refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    pytest.importorskip("pydicom", reason="DICOM needs pydicom")
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "set" / "hostile")], capture_output=True, text=True, check=True
    )
    refused, grown_kb = (int(number) for number in run.stdout.split())
    assert refused == 10
    assert grown_kb < 150_000


def test_the_check_lists_every_refusal_and_a_window_opens_the_deep_ones(corpus):
    root, outcome = corpus
    refused = {f"hostile/{name}" for name, expected in outcome.items() if expected != "reads"}
    report = audit(OWN, root)
    assert {found.image for found in report.unreadable} == refused
    assert not report.matches
    deep = {"hostile/ramp16.png", "hostile/float.tif"}
    windowed = audit(OWN, root, options=AuditOptions(window="percentiles"))
    assert {found.image for found in windowed.unreadable} == refused - deep
