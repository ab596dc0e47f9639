"""Sound files of each kind that the fuzzer damages. Each DICOM file bears SECRET as its patient."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.made.images import dicom, dicom_dataset, palette_tags, png, pnm, tiff

SECRET = "SECRETID77"
LISTED = tuple(f"{number}.png" for number in range(8))
"""Images that the lists name."""
_RNG = np.random.default_rng(3)
_GREY = _RNG.integers(0, 256, (40, 48), dtype=np.uint8)
_DEEP = _RNG.integers(0, 4096, (40, 48)).astype(np.uint16)
_COLOUR = _RNG.integers(0, 256, (40, 48, 3), dtype=np.uint8)
_DEEP_COLOUR = _RNG.integers(0, 65536, (40, 48, 3)).astype(np.uint16)


def write(folder: Path, target: str) -> None:
    """Write the originals of a target into an empty folder."""
    {"image": _images, "dicom": _dicom, "list": _lists, "toml": _toml, "checkpoint": _checkpoints, "model": _models}[
        target
    ](folder)


def _images(folder: Path) -> None:
    png(folder / "1", _GREY, 8, 0)
    png(folder / "2", _DEEP_COLOUR, 16, 2, interlaced=True)
    png(folder / "3", _GREY, 8, 3, palette=_RNG.integers(0, 256, (256, 3)), transparent=bytes(range(200)))
    tiff(folder / "4", _DEEP_COLOUR, 2, deflated=True)
    tiff(folder / "5", _DEEP, 0, order=">")
    pnm(folder / "6", _DEEP, 4095)
    pnm(folder / "7", _GREY, 255, plain=True)
    image = Image.fromarray(_COLOUR)
    for number, kind in enumerate(("JPEG", "GIF", "BMP", "WEBP", "JPEG2000"), start=8):
        image.save(folder / str(number), format=kind)


def _dicom(folder: Path) -> None:
    from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

    tags = {"PatientID": SECRET, "PatientName": SECRET, "StudyDescription": SECRET, "Modality": "CT"}
    dicom(folder / "1", _DEEP, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter="40", WindowWidth="400", **tags)
    table = tuple(bytes(_RNG.integers(0, 256, 256, dtype=np.uint8)) for _ in range(3))
    dicom(folder / "2", _GREY, **palette_tags(table, 256, 8), **tags)
    dicom(folder / "3", _COLOUR, **tags)
    dicom(folder / "4", np.stack([_DEEP] * 3), **tags)
    for number, syntax in enumerate((RLELossless, JPEG2000Lossless), start=5):
        dataset = dicom_dataset(_DEEP, **tags)
        dataset.compress(syntax)
        dataset.save_as(folder / str(number), enforce_file_format=True)
    dataset = dicom_dataset(_GREY, **tags)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(folder / "7", enforce_file_format=True)


def _lists(folder: Path) -> None:
    rows = [(name, "ab"[n % 2], f"p{n // 2}", "train" if n < 6 else "test") for n, name in enumerate(LISTED)]
    lines = [("path", "label", "group", "split"), *rows]
    (folder / "1.csv").write_text("\n".join(",".join(line) for line in lines))
    (folder / "2.csv").write_text(
        "\ufeffsep=;\r\n" + "\r\n".join(";".join(f'"{cell}"' for cell in line) for line in lines)
    )
    (folder / "3.tsv").write_text("\n".join("\t".join(line) for line in lines), encoding="utf-16")
    (folder / "4.txt").write_text("\n".join(row[0] for row in rows))
    (folder / "5.xlsx").write_bytes(_workbook(lines))
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return
    columns = {name: [row[i] for row in rows] for i, name in enumerate(lines[0])}
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "6.parquet")
    inside = {"image": [{"bytes": listed_image(), "path": row[0]} for row in rows], "label": columns["label"]}
    pyarrow.parquet.write_table(pyarrow.table(inside), folder / "7.parquet", row_group_size=3)


def listed_image() -> bytes:
    """Return the file that every path of a list leads to."""
    content = io.BytesIO()
    Image.fromarray(_GREY).save(content, format="PNG")
    return content.getvalue()


def _workbook(lines: list[tuple[str, ...]]) -> bytes:
    cells = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in line) + "</row>" for line in lines
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as book:
        sheet = f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        book.writestr("xl/worksheets/sheet1.xml", sheet)
    return buffer.getvalue()


def _toml(folder: Path) -> None:
    run = (
        'models = ["dinov2_b"]\ndatasets = ["mine"]\nfolds = 5\nhold_out = 0.2\nwindow = "40/400"\n[data]\nmine = "x"\n'
    )
    (folder / "1").write_text(run + "[weights]\na = 'b'\n")
    catalog = Path(__file__).parents[2] / "medvlm_tui" / "catalog" / "models.toml"
    (folder / "2").write_bytes(catalog.read_bytes()[:6000])


def _checkpoints(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {f"layer.{n}.weight": torch.arange(24.0).reshape(4, 6) + n for n in range(6)}
    save_file(tensors, folder / "1.safetensors", metadata={"format": "pt"})
    torch.save(tensors, folder / "2.pt")
    torch.save({"state_dict": tensors, "epoch": 3}, folder / "3.pth")


def _models(folder: Path) -> None:
    vision = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    config = {
        "model_type": "clip",
        "vision_config": {**vision, "image_size": 32, "patch_size": 8},
        "projection_dim": 16,
    }
    (folder / "1").write_text(json.dumps(config))
    timm = {
        "architecture": "vit_tiny_patch16_224",
        "num_features": 192,
        "pretrained_cfg": {"input_size": [3, 224, 224]},
    }
    (folder / "2").write_text(json.dumps(timm))
