"""A folder that transformers, timm or open_clip has saved, described by its own configuration files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medvlm_tui.core.specs import ModelSpec, PreprocessSpec
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.errors import UsageError, WeightsError

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_PIL_FILTERS: Mapping[Any, str] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_SERVED = "CLIP, SigLIP and DINOv2 of transformers, timm's and open_clip's own layouts"


def describe(name: str, folder: Path, source: str, homepage: str) -> ModelSpec:
    """Return the record of the model in `folder`; raises UsageError when its layout is not served."""
    open_clip = _read(folder / "open_clip_config.json")
    config = _read(folder / "config.json")
    if open_clip is not None:
        return open_clip_spec(name, source, homepage, open_clip)
    if config is None:
        raise UsageError(f"{folder} has neither config.json nor open_clip_config.json", f"served: {_SERVED}")
    if "architecture" in config:
        return timm_spec(name, source, homepage, config)
    return _transformers_spec(name, source, homepage, config, _read(folder / "preprocessor_config.json") or {})


def open_clip_spec(name: str, source: str, homepage: str, config: Mapping[str, Any]) -> ModelSpec:
    """Return the record of an open_clip model from its {model_cfg, preprocess_cfg}, and its name where it has one."""
    try:
        dim = int(config["model_cfg"]["embed_dim"])
    except (KeyError, TypeError) as error:
        raise _no_tower(name) from error
    return _spec(
        name,
        family="open_clip",
        architecture=str(config.get("name", "open_clip_config.json")),
        source=source,
        homepage=homepage,
        features={"image": dim},
        preprocess=_open_clip_preprocess(name, config),
        options={} if "name" in config else {"read_config": True},
    )


def as_stored(spec: ModelSpec, weights: Weights) -> ModelSpec:
    """Return the record with the preprocessing that the repository's own open_clip_config.json asks for.

    For entries with `options.read_config`; without the file, or without a word on preprocessing in it, the entry's
    own holds. The file is part of the weights' digest.
    """
    config = weights.config("open_clip_config.json") if spec.options.get("read_config") else None
    if config is None or not config.get("preprocess_cfg"):
        return spec
    return replace(spec, preprocess=_open_clip_preprocess(spec.id, config))


def _open_clip_preprocess(name: str, config: Mapping[str, Any]) -> PreprocessSpec:
    stored = config.get("preprocess_cfg", {})
    try:
        size = _side(stored.get("size") or config["model_cfg"]["vision_cfg"].get("image_size", 224))
    except (KeyError, TypeError, AttributeError) as error:
        raise _no_tower(name) from error
    mode = stored.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash"):
        raise UsageError(f"{name}: resize mode {mode!r} is not served", "shortest or squash")
    return PreprocessSpec(
        size_px=size,
        resize_px=size,
        resize="squash" if mode == "squash" else "short_side",
        interpolation=_interpolation(stored.get("interpolation", "bicubic")),
        mean=_triple(stored.get("mean", _OPENAI[0])),
        std=_triple(stored.get("std", _OPENAI[1])),
    )


def _no_tower(name: str) -> WeightsError:
    return WeightsError(f"{name}: its open_clip_config.json describes no image tower", "save it again")


def timm_spec(name: str, source: str, homepage: str, config: Mapping[str, Any]) -> ModelSpec:
    """Return the record of a timm model from the config.json that timm saves."""
    settings = {**config, **config.get("pretrained_cfg", {})}
    size = _side(settings.get("input_size", (3, 224, 224)))
    squash = settings.get("crop_mode") == "squash"
    resize_px = math.floor(size / float(settings.get("crop_pct") or 0.875))
    if settings.get("crop_mode") not in (None, "center", "squash"):
        raise UsageError(f"{name}: crop mode {settings['crop_mode']!r} is not served", "center or squash")
    return _spec(
        name,
        family="timm",
        architecture=str(config["architecture"]),
        source=source,
        homepage=homepage,
        features={"pooled": int(config["num_features"])},
        preprocess=PreprocessSpec(
            size_px=size,
            resize_px=resize_px,
            resize="squash" if squash else "short_side",
            interpolation=_interpolation(settings.get("interpolation", "bicubic")),
            mean=_triple(settings.get("mean", _IMAGENET[0])),
            std=_triple(settings.get("std", _IMAGENET[1])),
        ),
        options={"arguments": {k: v for k, v in (config.get("model_args") or {}).items() if k != "num_classes"}},
    )


def _transformers_spec(
    name: str, source: str, homepage: str, config: Mapping[str, Any], processor: Mapping[str, Any]
) -> ModelSpec:
    kinds = {
        "clip": ("CLIPVisionModelWithProjection", "image"),
        "clip_vision_model": ("CLIPVisionModelWithProjection", "image"),
        "siglip": ("SiglipVisionModel", "pooled"),
        "siglip_vision_model": ("SiglipVisionModel", "pooled"),
        "dinov2": ("Dinov2Model", "cls"),
    }
    kind = str(config.get("model_type", ""))
    if kind not in kinds:
        raise UsageError(f"{name}: a model of type {kind!r} is not served", f"served: {_SERVED}")
    architecture, feature = kinds[kind]
    vision = config.get("vision_config", config)
    defaults = {"clip": (512, 768), "dinov2": (768, 768)}.get(kind.removesuffix("_vision_model"), (768, 768))
    width = int(vision.get("hidden_size", defaults[1]))
    projection = config.get("projection_dim", vision.get("projection_dim", defaults[0]))
    return _spec(
        name,
        family="transformers",
        architecture=architecture,
        source=source,
        homepage=homepage,
        features={feature: int(projection) if feature == "image" else width},
        preprocess=_processor(kind, processor, int(vision.get("image_size", 224))),
        options={},
    )


def _processor(kind: str, stored: Mapping[str, Any], size_px: int) -> PreprocessSpec:
    """Read a preprocessor_config.json; what it leaves out is what the model's own processor class would do."""
    squash = kind.startswith("siglip")
    mean, std = _HALF if squash else (_IMAGENET if kind == "dinov2" else _OPENAI)
    resize = stored.get("size", {})
    crop = bool(stored.get("do_center_crop", not squash))
    default = 256 if kind == "dinov2" else size_px
    resize_px = resize if isinstance(resize, int) else int(resize.get("shortest_edge", resize.get("height", default)))
    fixed = not isinstance(resize, int) and "height" in resize
    crop_px = _side(stored.get("crop_size", 224 if kind == "dinov2" else size_px)) if crop else resize_px
    return PreprocessSpec(
        size_px=crop_px,
        resize_px=resize_px,
        resize="squash" if fixed or squash else "short_side",
        interpolation=_interpolation(stored.get("resample", 3)),
        crop_rounding="floor",
        mean=_triple(stored.get("image_mean", mean)),
        std=_triple(stored.get("image_std", std)),
    )


def _spec(
    name: str,
    *,
    family: str,
    architecture: str,
    source: str,
    homepage: str,
    features: Mapping[str, int],
    preprocess: PreprocessSpec,
    options: Mapping[str, Any],
) -> ModelSpec:
    return ModelSpec(
        id=name,
        name=name.partition(":")[2],
        group="general",
        family=family,
        architecture=architecture,
        source=source,
        preprocess=preprocess,
        features=features,
        backbone=architecture,
        options=options,
        homepage=homepage,
        licence="see its page",
    )


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}", "save or download it again") from error
    return dict(table) if isinstance(table, Mapping) else None


def _side(size: Any) -> int:
    """Return the side of a square given as 224, (224, 224), (3, 224, 224) or {"height": 224, "width": 224}."""
    sides = (
        list(size.values()) if isinstance(size, Mapping) else list(size) if isinstance(size, list | tuple) else [size]
    )
    square = sides[-2:] if len(sides) > 1 else sides * 2
    if len(square) != 2 or square[0] != square[1]:
        raise UsageError(f"an input of {size} is not square", "only square inputs are served")
    return int(square[0])


def _interpolation(value: Any) -> Any:
    name = _PIL_FILTERS.get(value, value)
    if name not in _PIL_FILTERS.values():
        raise UsageError(f"interpolation {value!r} is not served", f"one of {', '.join(_PIL_FILTERS.values())}")
    return name


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
