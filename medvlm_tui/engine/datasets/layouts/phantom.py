"""The built-in SYNTHETIC dataset: reading it, and making it from a seed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset, DatasetSpec, Sample
from medvlm_tui.engine.datasets.folders.finding import find_folder, images_in, relative_id
from medvlm_tui.engine.datasets.opening import Reading, nothing_found
from medvlm_tui.errors import DatasetError, UsageError

if TYPE_CHECKING:
    import numpy as np

MANIFEST_NAME = "phantom.json"
CODE_VERSION = 2
"""Raised when equal parameters give other pixels."""
CLASSES = ("none", "smooth", "spiculated")
SIZE_PX = (320, 240)
_SIZE_STEPS_PX = (-16, -8, 0, 8, 16)  # sides that are multiples of 8 keep the FFTs fast
_MAKE_AGAIN = "make the phantoms again in another folder"
_WORDS_OF_CLASS = {"none": ("BREAST", "LEFT"), "smooth": ("BREAST", "RIGHT"), "spiculated": ("AXILLA", "LEFT")}

_TAGS = {"site": ("BREAST", "AXILLA"), "side": ("LEFT", "RIGHT")}


@dataclass(frozen=True, slots=True)
class PhantomParams:
    """Parameters that the pixels depend on, together with CODE_VERSION."""

    per_class: int
    seed: int
    word_correlation: float
    """Share of images whose words are those of their class; the others' words are drawn at random."""
    width_px: int
    height_px: int


def read(spec: DatasetSpec, root: Path, view: str, part: str) -> Reading:
    """Return the images with their lesion masks, the boxes of words and calipers, and the words as tags."""
    base = find_folder(root, lambda folder: (folder / MANIFEST_NAME).is_file())
    if base is None:
        raise nothing_found(spec, root)
    boxes = _boxes(base / MANIFEST_NAME)
    samples = []
    for label in CLASSES:
        for path in images_in(base / label):
            outline = base / "masks" / label / path.name
            name = relative_id(path, base)
            burned = boxes.get(name, {})
            tags = {tag: word for tag, words in _TAGS.items() for word in words if word in burned}
            mask = outline if outline.is_file() else None
            samples.append(Sample(name, path, label, mask=mask, boxes=burned, tags=tags))
    return Reading(tuple(samples))


def make_phantom(
    root: Path,
    per_class: int = 120,
    seed: int = 0,
    word_correlation: float = 0.0,
    size: tuple[int, int] = SIZE_PX,
    drawn: Callable[[int], None] = lambda done: None,
) -> Path:
    """Write `per_class` images of each class below `root` and return it; the same parameters give the same bytes.

    A folder that holds them already is left as it is. The folder appears whole or not at all, also when `drawn`,
    which is told the number of images after each one, raises to stop. Raises UsageError for parameters out of range
    and DatasetError when `root` holds anything else.
    """
    params = PhantomParams(per_class, seed, word_correlation, *size)
    _check(params)
    if _holds(root, params):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".phantom-", dir=root.parent))
    try:
        _write(draft, params, drawn)
        draft.chmod(0o755)  # mkdtemp gives 0700, but these images show no patient
        _move(draft, root, params)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return root


def phantom_to_come(spec: DatasetSpec, root: Path, per_class: int, seed: int, limit: int) -> Dataset:
    """Return the dataset that a run will make: its images by name, class and words, without their files.

    It tells what a run will do; keys of its results are not those of the images once they are drawn.
    """
    params = PhantomParams(per_class, seed, 0.0, *SIZE_PX)
    _check(params)
    samples = []
    for label, number, rng in _draws(params):
        _size(params, rng)
        words = _words(label, params, rng)
        if not limit or number <= limit:
            name = f"{label}/{label}_{number:04d}.png"
            tags = {tag: word for tag, known in _TAGS.items() for word in known if word in words}
            samples.append(Sample(name, root / name, label, digest=f"to come: {name}", tags=tags))
    return Dataset(replace(spec, root=root), root, "", tuple(samples), CLASSES)


def _check(params: PhantomParams) -> None:
    if not 2 <= params.per_class <= 99_999:
        raise UsageError(f"{params.per_class} phantoms a class cannot be made", "choose 2 to 99999")
    if not 0.0 <= params.word_correlation <= 1.0:
        raise UsageError(f"a word correlation of {params.word_correlation} is no share", "choose one from 0 to 1")
    if not (160 <= params.width_px <= 2048 and 120 <= params.height_px <= 2048):
        size = f"{params.width_px}x{params.height_px}"
        raise UsageError(f"phantoms of {size} pixels cannot be made", "choose 160x120 to 2048x2048")


def _holds(root: Path, params: PhantomParams) -> bool:
    """Return whether `root` has these phantoms; an absent or empty folder has not, any other raises DatasetError."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    manifest = root / MANIFEST_NAME
    if manifest.is_file():
        record = _manifest(manifest)
        if record.get("parameters") == asdict(params) and record.get("version") == CODE_VERSION:
            return True
    raise DatasetError(f"{clean(str(root))} holds something else than the phantoms asked for", "name another folder")


def _move(draft: Path, root: Path, params: PhantomParams) -> None:
    try:
        os.replace(draft, root)
    except OSError as error:
        # Another process may have made the same phantoms meanwhile.
        if not _holds(root, params):
            message = f"{clean(str(root))} cannot be written: {error.strerror}"
            raise DatasetError(message, "name another folder") from error


def _write(folder: Path, params: PhantomParams, drawn: Callable[[int], None]) -> None:
    from medvlm_tui.engine.datasets.phantom.drawing import draw
    from medvlm_tui.engine.datasets.phantom.files import write_grey, write_mask

    boxes: dict[str, Mapping[str, tuple[int, int, int, int]]] = {}
    for label, number, rng in _draws(params):
        size = _size(params, rng)
        phantom = draw(label, _words(label, params, rng), size, rng)
        name = f"{label}/{label}_{number:04d}.png"
        write_grey(folder / name, phantom.pixels)
        if phantom.lesion.any():
            write_mask(folder / "masks" / name, phantom.lesion)
        boxes[name] = phantom.boxes
        drawn(len(boxes))
    record = {"synthetic": True, "version": CODE_VERSION, "parameters": asdict(params), "boxes": boxes}
    (folder / MANIFEST_NAME).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="ascii")


def _draws(params: PhantomParams) -> Iterator[tuple[str, int, np.random.Generator]]:
    """Yield class, number and random source of each image: an image does not depend on how many there are."""
    import numpy as np

    for index, label in enumerate(CLASSES):
        for number in range(1, params.per_class + 1):
            yield label, number, np.random.default_rng([params.seed, index, number])


def _size(params: PhantomParams, rng: np.random.Generator) -> tuple[int, int]:
    dx, dy = rng.choice(_SIZE_STEPS_PX, size=2)
    return params.width_px + int(dx), params.height_px + int(dy)


def _words(label: str, params: PhantomParams, rng: np.random.Generator) -> tuple[str, str]:
    from medvlm_tui.engine.datasets.phantom.drawing import SIDES, SITES

    random_words = (SITES[rng.integers(2)], SIDES[rng.integers(2)])
    return _WORDS_OF_CLASS[label] if rng.random() < params.word_correlation else random_words


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{clean(str(path))} cannot be read: {error}", _MAKE_AGAIN) from error
    return record if isinstance(record, dict) else {}


def _boxes(path: Path) -> dict[str, dict[str, tuple[int, int, int, int]]]:
    table = _manifest(path).get("boxes")
    try:
        return {image: {word: _box(box) for word, box in boxes.items()} for image, boxes in dict(table or {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise DatasetError(f"{clean(str(path))}: the boxes are damaged", _MAKE_AGAIN) from error


def _box(numbers: list[int]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(number) for number in numbers)
    return left, top, right, bottom
