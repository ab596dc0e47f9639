"""An image processor of transformers as a `PreprocessSpec`: every switch of it, or a refusal that names the switch.

(transformers image_processing_backends.py, `PilBackend._preprocess`: resize, centre crop, rescale, normalise)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Interpolation, PreprocessSpec, ResizeMode
from medvlm_tui.engine.encoders.config_fields import Fields, read_fields
from medvlm_tui.errors import UsageError

Triple = tuple[float, float, float]
IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI: tuple[Triple, Triple] = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FILTERS: tuple[Interpolation, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # Pillow's numbers
_BYTE = 255.0
_MAX_SIDE_PX = 8192


@dataclass(frozen=True, slots=True)
class ProcessorClass:
    """Defaults of a class of transformers where its file leaves a field out."""

    statistics: tuple[Triple, Triple]
    size: Mapping[str, int]
    crop: int
    """Side of the central square; 0 where the class does not crop."""
    resample: int = 3
    square: bool = False
    """True where a size of one number is a square, False where it is the short side."""


_SHORT = {"shortest_edge": 224}
_SQUARE = {"height": 224, "width": 224}
CLASSES: Mapping[str, ProcessorClass] = {
    "CLIP": ProcessorClass(OPENAI, _SHORT, 224),
    "Siglip": ProcessorClass(HALF, _SQUARE, 0),
    "Bit": ProcessorClass(OPENAI, _SHORT, 224),
    "ViT": ProcessorClass(HALF, _SQUARE, 0, resample=2, square=True),
    "DeiT": ProcessorClass(HALF, {"height": 256, "width": 256}, 224, square=True),
}
# Kind of model -> the class that belongs to it.
_OF_KIND: Mapping[str, str] = {"clip": "CLIP", "siglip": "Siglip", "dinov2": "Bit"}
# Switches that change pixels and that no model served here was trained with.
_REFUSED = (
    "do_pad",
    "do_flip_channel_order",
    "do_reduce_labels",
    "do_thumbnail",
    "do_align_long_axis",
    "do_split_image",
)


@dataclass(frozen=True, slots=True)
class Processing:
    """Preparation of a model's images, and the assumption for what the folder leaves open."""

    preprocess: PreprocessSpec
    assumption: str = ""


def stored_processor(folder: Path) -> Fields | None:
    """Return the image processor of a folder: transformers 5 keeps it in processor_config.json, below a key.

    Where that file has none, and before version 5, it is preprocessor_config.json: the library's own order.
    """
    nested = read_fields(folder / "processor_config.json")
    if nested is not None and nested.has("image_processor"):
        return nested.below("image_processor")
    return read_fields(folder / "preprocessor_config.json")


def processing(kind: str, stored: Fields | None, network_px: int) -> Processing:
    """Return the preprocessing of a model of `kind` (clip, siglip, dinov2) whose network takes `network_px`.

    Raises UsageError for a switch that is not served, WeightsError for a field that makes no sense.
    """
    if stored is None:
        return _assumed(kind, network_px)
    known = _class_of(stored) or CLASSES[_OF_KIND[kind]]
    for switch in _REFUSED:
        if stored.truth(switch, False):
            raise UsageError(f"{stored.file}: {switch} is not served", "the matrix of switches is in docs/models.md")
    resize, resize_px = _resize(stored, known)
    crop_px = _crop(stored, known)
    if not crop_px and not resize_px:
        message = f"{stored.file} neither resizes nor crops: each image keeps a size of its own"
        raise UsageError(message, "only square inputs are served")
    mean, std = _statistics(stored, known)
    preprocess = PreprocessSpec(
        size_px=crop_px or resize_px,
        resize_px=resize_px or crop_px,
        resize=resize,
        interpolation=interpolation(stored, "resample", FILTERS[known.resample]),
        crop_rounding="floor",
        mean=mean,
        std=std,
    )
    return Processing(preprocess, _left_open(stored, kind, resize, crop_px))


def _class_of(stored: Fields) -> ProcessorClass | None:
    name = stored.values.get("image_processor_type", stored.values.get("feature_extractor_type"))
    for known, found in CLASSES.items():
        if isinstance(name, str) and name in {f"{known}{end}" for end in _CLASS_ENDINGS}:
            return found
    return None


_CLASS_ENDINGS = ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor")


def _left_open(stored: Fields, kind: str, resize: ResizeMode, crop_px: int) -> str:
    said = []
    name = stored.values.get("image_processor_type")
    if name is not None and _class_of(stored) is None:
        said.append(
            f"its image processor is a {clean(str(name))[:60]}: what the file leaves out is read as {_OF_KIND[kind]}'s"
        )
    if resize == "short_side" and not crop_px:
        said.append("its processor does not crop: an image that is not square is cropped in the centre")
    return "; ".join(said)


def _assumed(kind: str, network_px: int) -> Processing:
    statistics = {"clip": OPENAI, "siglip": HALF, "dinov2": IMAGENET}[kind]
    resize_px, size_px = (256, 224) if kind == "dinov2" else (network_px, network_px)
    resize: ResizeMode = "squash" if kind == "siglip" else "short_side"
    preprocess = PreprocessSpec(
        size_px, resize_px, resize, crop_rounding="floor", mean=statistics[0], std=statistics[1]
    )
    files = "neither preprocessor_config.json nor an image_processor in processor_config.json"
    return Processing(preprocess, f"the folder has {files}: the preprocessing is assumed, that of {kind}'s authors")


def _resize(stored: Fields, known: ProcessorClass) -> tuple[ResizeMode, int]:
    """Return how and to which side images are resized; ("none", 0) where they are not."""
    if not stored.truth("do_resize", True):
        return "none", 0
    value = stored.values.get("size")
    if isinstance(value, Mapping):
        size = stored.below("size")
    elif value is None:
        size = Fields(stored.file, known.size, "size.")
    elif isinstance(value, list | tuple):
        size = Fields(stored.file, dict(zip(("height", "width"), value, strict=False)), "size.")
    else:
        side = stored.whole("size", most=_MAX_SIDE_PX)
        size = Fields(
            stored.file, {"height": side, "width": side} if known.square else {"shortest_edge": side}, "size."
        )
    if size.has("shortest_edge") and not size.has("longest_edge"):
        return "short_side", size.whole("shortest_edge", most=_MAX_SIDE_PX)
    if size.has("height") and size.has("width") and not size.has("shortest_edge"):
        return "squash", _square(size)
    raise UsageError(
        f"{stored.file}: a size of {', '.join(map(clean, map(str, size.values))) or 'nothing'} is not served",
        "a square (height and width) or a short side (shortest_edge)",
    )


def _square(size: Fields) -> int:
    height, width = size.whole("height", most=_MAX_SIDE_PX), size.whole("width", most=_MAX_SIDE_PX)
    if height != width:
        raise UsageError(f"{size.file}: an input of {height} x {width} is not square", "only square inputs are served")
    return height


def _crop(stored: Fields, known: ProcessorClass) -> int:
    """Return the side of the central square that is cut out, 0 where none is."""
    if not stored.truth("do_center_crop", known.crop > 0):
        return 0
    value = stored.values.get("crop_size")
    if isinstance(value, Mapping):
        return _square(stored.below("crop_size"))
    if isinstance(value, list | tuple):
        return _square(Fields(stored.file, dict(zip(("height", "width"), value, strict=False)), "crop_size."))
    return stored.whole("crop_size", known.crop or None, most=_MAX_SIDE_PX)


def _statistics(stored: Fields, known: ProcessorClass) -> tuple[Triple, Triple]:
    """Return mean and std for values from 0 to 1, whatever factor the processor scales by, and whether it does."""
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    if stored.truth("do_normalize", True):
        mean = stored.triple("image_mean", known.statistics[0])
        std = stored.triple("image_std", known.statistics[1], zero=False)
    rescaled = stored.truth("do_rescale", True)
    unit = _BYTE * stored.number("rescale_factor", 1 / _BYTE, 1e-9, 1e9) if rescaled else _BYTE
    if abs(unit - 1.0) < 1e-6:
        return mean, std
    return _divided(mean, unit), _divided(std, unit)


def _divided(values: Triple, divisor: float) -> Triple:
    red, green, blue = (value / divisor for value in values)
    return red, green, blue


def interpolation(fields: Fields, name: str, default: Interpolation) -> Interpolation:
    """Return the filter that a field names, by Pillow's number or in words; raises UsageError."""
    value: Any = fields.values.get(name)
    value = default if value is None else value
    if type(value) is int and 0 <= value < len(FILTERS):
        return FILTERS[value]
    for known in FILTERS:
        if value == known:
            return known
    raise UsageError(
        f"{fields.file}: interpolation {clean(str(value))[:40]!r} is not served", f"one of {', '.join(FILTERS)}"
    )
