"""A folder that transformers, timm or open_clip has saved, described by its own configuration files.

The files are data: of names plain ones of the libraries' own lists are taken, of arguments those in a list here, and
nothing in them leads to the hub or to a file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Interpolation, ModelSpec, PreprocessSpec
from medvlm_tui.engine.encoders.config_fields import Fields, is_number, read_fields
from medvlm_tui.engine.encoders.resolve import text_towers
from medvlm_tui.engine.encoders.resolve.image_processors import (
    IMAGENET,
    OPENAI,
    Processing,
    interpolation,
    processing,
    stored_processor,
)
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.encoders.weights.stored_names import holds, tensor_shapes
from medvlm_tui.errors import UsageError, WeightsError

_SERVED = "CLIP, SigLIP and DINOv2 of transformers, timm's and open_clip's own layouts"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_-]+)?")
# Arguments of timm's networks that a configuration may give: numbers, switches and names of layers, no places.
_TIMM_ARGUMENTS = frozenset(
    {
        "act_layer", "always_partition", "attn_drop_rate", "attn_pool_num_heads", "attn_pool_mlp_ratio", "base_width",
        "block_chunks", "cardinality", "class_token", "conv_bias", "conv_mlp", "depth", "depths", "dims", "drop_path",
        "drop_path_rate", "drop_rate", "dynamic_img_pad", "dynamic_img_size", "embed_dim", "embed_dims", "fc_norm",
        "final_norm", "fix_init", "global_pool", "head_hidden_size", "head_init_scale", "head_norm_first", "img_size",
        "in_chans", "init_values", "kernel_sizes", "layers", "ls_init_value", "mlp_ratio", "mlp_ratios",
        "no_embed_class", "norm_eps", "norm_layer", "num_classes", "num_heads", "num_prefix_tokens", "out_chans",
        "output_stride", "pad_type", "patch_drop_rate", "patch_size", "patch_stride", "pool_include_prefix",
        "pos_drop_rate", "pos_embed", "pre_norm", "proj_bias", "proj_drop_rate", "qk_norm", "qkv_bias", "qkv_fused",
        "ref_feat_shape", "reg_tokens", "rel_pos_type", "scale_attn_inner_norm", "scale_attn_norm", "scale_mlp_norm",
        "stem_channels", "stem_size", "stem_type", "stem_width", "strict_img_size", "strides", "swiglu_mlp",
        "use_abs_pos_emb", "use_post_norm", "use_rel_pos_bias", "use_rot_pos_emb", "use_shared_rel_pos_bias",
        "weight_init", "width", "window_size",
    }
)  # fmt: skip
_MAX_SIDE_PX = 8192


def describe(name: str, folder: Path, source: str, homepage: str) -> ModelSpec:
    """Return the record of the model in `folder`.

    Raises UsageError when its layout is not served, WeightsError for a configuration that makes no sense.
    """
    open_clip = read_fields(folder / "open_clip_config.json")
    if open_clip is not None:
        return text_towers.with_open_clip_text(_open_clip(name, source, homepage, open_clip), open_clip, folder)
    config = read_fields(folder / "config.json")
    if config is None:
        raise UsageError(f"{folder} has neither config.json nor open_clip_config.json", f"served: {_SERVED}")
    if config.has("architecture"):
        return _timm(name, source, homepage, config, tensor_shapes(folder))
    return text_towers.with_transformers_text(_transformers(name, source, homepage, folder, config), config, folder)


def open_clip_spec(name: str, source: str, homepage: str, config: Mapping[str, Any]) -> ModelSpec:
    """Return the record of an open_clip model of the library's own list, from its name and its configurations."""
    fields = Fields(name, config)
    spec = text_towers.with_open_clip_text(_open_clip(name, source, homepage, fields), fields, None)
    return replace(spec, architecture=str(config["name"]), backbone=str(config["name"]), options={})


def timm_spec(name: str, source: str, homepage: str, config: Mapping[str, Any]) -> ModelSpec:
    """Return the record of a timm model of the library's own list, from what timm saves as its config.json."""
    return _timm(name, source, homepage, Fields(name, config), {})


def as_stored(spec: ModelSpec, weights: Weights) -> ModelSpec:
    """Return the record with the preprocessing that the repository's own open_clip_config.json asks for.

    For entries with `options.read_config`; without the file, or without a word on preprocessing in it, the entry's
    own holds. The file is part of the weights' digest. Raises WeightsError and UsageError as `describe` does.
    """
    config = weights.config("open_clip_config.json") if spec.options.get("read_config") else None
    if config is None or not config.get("preprocess_cfg"):
        return spec
    return replace(spec, preprocess=_open_clip_preprocess(Fields(f"{spec.id}: open_clip_config.json", config)))


def _open_clip(name: str, source: str, homepage: str, config: Fields) -> ModelSpec:
    model = config.below("model_cfg")
    if not model.has("vision_cfg"):
        raise WeightsError(f"{config.file} describes no image tower", "save it again")
    preprocess = _open_clip_preprocess(config)
    network_px = side(model.below("vision_cfg"), "image_size", 224)
    if preprocess.size_px != network_px:
        raise UsageError(
            f"{config.file}: images are made {preprocess.size_px} px, the network takes {network_px} px",
            "correct preprocess_cfg.size or vision_cfg.image_size",
        )
    return _spec(
        name,
        family="open_clip",
        architecture="open_clip_config.json",
        source=source,
        homepage=homepage,
        features={"image": model.whole("embed_dim")},
        processing=Processing(preprocess),
        options={"read_config": True},
    )


def _open_clip_preprocess(config: Fields) -> PreprocessSpec:
    stored = config.below("preprocess_cfg")
    vision = config.below("model_cfg").below("vision_cfg")
    size = side(stored, "size", side(vision, "image_size", 224))
    mode = stored.values.get("resize_mode") or "shortest"
    if mode not in ("shortest", "squash"):
        raise UsageError(f"{config.file}: resize mode {clean(str(mode))!r} is not served", "shortest or squash")
    return PreprocessSpec(
        size_px=size,
        resize_px=size,
        resize="squash" if mode == "squash" else "short_side",
        interpolation=interpolation(stored, "interpolation", "bicubic"),
        mean=stored.triple("mean", OPENAI[0]),
        std=stored.triple("std", OPENAI[1], zero=False),
    )


def _timm(name: str, source: str, homepage: str, config: Fields, shapes: Mapping[str, tuple[int, ...]]) -> ModelSpec:
    settings = Fields(config.file, {**config.values, **config.below("pretrained_cfg").values})
    size = side(settings, "input_size", 224)
    mode = settings.values.get("crop_mode") or "center"
    if mode not in ("center", "squash"):
        raise UsageError(f"{config.file}: crop mode {clean(str(mode))!r} is not served", "center or squash")
    filter_name: Interpolation = interpolation(settings, "interpolation", "bicubic")
    share = settings.number("crop_pct", 0.875, 0.0, 8.0) or 0.875
    preprocess = PreprocessSpec(
        size_px=size,
        resize_px=min(math.floor(size / max(share, 0.01)), _MAX_SIDE_PX),
        resize="squash" if mode == "squash" else "short_side",
        interpolation=filter_name,
        mean=settings.triple("mean", IMAGENET[0]),
        std=settings.triple("std", IMAGENET[1], zero=False),
    )
    return _spec(
        name,
        family="timm",
        architecture=_architecture(config),
        source=source,
        homepage=homepage,
        features={"pooled": _pooled_width(shapes) or config.whole("num_features")},
        processing=Processing(preprocess, _luminance(_channels(settings, config))),
        options={"arguments": _arguments(settings, config)},
    )


# Layers of timm's networks between pooling and classifier: their output is the pooled vector.
_BEFORE_CLASSIFIER = (
    "conv_head", "head.pre_classifier.linear", "head.classifier.0", "head.last_conv.0", "head.fc1", "pre_classifier.0",
    "head.pre_logits.fc", "pre_logits.fc2",
)  # fmt: skip


def _pooled_width(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Return the width of the pooled vector where a layer of the checkpoint widens it, None elsewhere.

    timm writes the channels of the last map as `num_features`, which are fewer there.
    """
    found = (shapes.get(f"{layer}.weight", ()) for layer in _BEFORE_CLASSIFIER)
    return next((shape[0] for shape in found if shape and shape[0] > 0), None)


def _architecture(config: Fields) -> str:
    name = config.text("architecture", "")
    if not _PLAIN_NAME.fullmatch(name):
        raise WeightsError(
            f"{config.file}: the architecture '{clean(name)[:100]}' is no plain name of timm's own networks",
            "a prefix such as hf-hub: or local-dir: is not followed: save the model under its plain name"
            if ":" in name
            else "write the name that timm.create_model takes, such as vit_base_patch16_224",
        )
    return name


def _channels(settings: Fields, config: Fields) -> int:
    """Return the network's input channels; raises UsageError unless they are 1 or 3."""
    given = config.below("model_args")
    size = settings.values.get("input_size")
    usual = size[0] if isinstance(size, list | tuple) and len(size) == 3 else 3
    channels = given.whole("in_chans") if given.has("in_chans") else usual
    if channels not in (1, 3):
        raise UsageError(f"{config.file} describes a network of {channels} channels", "1 and 3 are served")
    return int(channels)


def _luminance(channels: int) -> str:
    return "a network of one channel, which is given the luminance of an image" if channels == 1 else ""


def _arguments(settings: Fields, config: Fields) -> dict[str, Any]:
    """Return the arguments of the network; raises WeightsError for one that is not in the list, or no plain value."""
    given = config.below("model_args")
    arguments = {name: value for name, value in given.values.items() if name != "num_classes"}
    for name, value in arguments.items():
        if name not in _TIMM_ARGUMENTS:
            raise WeightsError(
                f"{config.file}: model_args.{clean(name)[:60]} is not taken from a configuration",
                "name it under options.arguments of an entry in your models.toml",
            )
        if not _is_plain(value):
            raise given.wrong(name, "a number, a switch, a layer's name or a short list of numbers")
    if _channels(settings, config) == 1:
        arguments["in_chans"] = 1
    return arguments


def _is_plain(value: Any, depth: int = 0) -> bool:
    if isinstance(value, list | tuple):
        return depth < 2 and len(value) <= 64 and all(_is_plain(item, depth + 1) for item in value)
    if isinstance(value, str):
        return re.fullmatch(r"[A-Za-z0-9_]{0,40}", value) is not None
    return value is None or isinstance(value, bool) or (is_number(value) and abs(value) <= 65_536)


_KINDS: Mapping[str, str] = {
    "clip": "clip", "clip_vision_model": "clip", "siglip": "siglip", "siglip_vision_model": "siglip",
    "dinov2": "dinov2",
}  # fmt: skip
_HIDDEN_SIZE = 768  # in transformers, where a configuration leaves it out
_PROJECTION_DIM = 512


def _transformers(name: str, source: str, homepage: str, folder: Path, config: Fields) -> ModelSpec:
    kind = _KINDS.get(str(config.values.get("model_type", "")))
    if kind is None:
        named = clean(str(config.values.get("model_type", "")))[:60]
        raise UsageError(f"{name}: a model of type {named!r} is not served", f"served: {_SERVED}")
    vision = config.below("vision_config") if config.has("vision_config") else config
    channels = vision.whole("num_channels", 3)
    if channels not in (1, 3):
        raise UsageError(f"{config.file} describes a network of {channels} channels", "1 and 3 are served")
    network_px = side(vision, "image_size", 224)
    found = processing(kind, stored_processor(folder), network_px)
    if kind != "dinov2" and found.preprocess.size_px != network_px:
        raise UsageError(
            f"{name}: its image processor makes {found.preprocess.size_px} px, its network takes {network_px} px",
            "correct the size or crop_size of the processor's configuration",
        )
    tower = _tower(kind, vision, config, folder)
    said = "; ".join(filter(None, (found.assumption, _luminance(channels))))
    return _spec(
        name,
        family="transformers",
        architecture=tower.architecture,
        source=source,
        homepage=homepage,
        features=tower.features,
        processing=replace(found, assumption=said),
        options={**tower.options, **({"arguments": {"in_chans": 1}} if channels == 1 else {})},
    )


@dataclass(frozen=True, slots=True)
class _Tower:
    """The class of transformers that is built, and the feature that it gives."""

    architecture: str
    features: dict[str, int]
    options: dict[str, Any] = field(default_factory=dict)


def _tower(kind: str, vision: Fields, config: Fields, folder: Path) -> _Tower:
    """Return what the folder's tensors make: CLIP with or without its projection, SigLIP with or without its head."""
    width = vision.whole("hidden_size", _HIDDEN_SIZE)
    if kind == "dinov2":
        return _Tower("Dinov2Model", {"cls": width})
    if kind == "siglip":
        if not vision.truth("vision_use_head", True):
            return _Tower("SiglipVisionModel", {"tokens": width})
        if holds(folder, ("head.probe",), True):
            return _Tower("SiglipVisionModel", {"pooled": width})
        return _Tower("SiglipVisionModel", {"tokens": width}, {"fixed": {"vision_use_head": False}})
    named = config.values.get("architectures") != ["CLIPVisionModel"]
    if not holds(folder, ("visual_projection.weight", "visual.proj"), named):
        return _Tower("CLIPVisionModel", {"pooled": width})
    projected = vision.whole("projection_dim", _PROJECTION_DIM)
    return _Tower("CLIPVisionModelWithProjection", {"image": config.whole("projection_dim", projected)})


def _spec(
    name: str,
    *,
    family: str,
    architecture: str,
    source: str,
    homepage: str,
    features: Mapping[str, int],
    processing: Processing,
    options: Mapping[str, Any],
) -> ModelSpec:
    return ModelSpec(
        id=name,
        name=name.partition(":")[2],
        group="general",
        family=family,
        architecture=architecture,
        source=source,
        preprocess=processing.preprocess,
        features=features,
        backbone=architecture,
        options=options,
        homepage=homepage,
        licence="see its page",
        assumption=processing.assumption,
    )


def side(fields: Fields, name: str, default: int) -> int:
    """Return the side of a square given as 224, (224, 224), (3, 224, 224) or {"height": 224, "width": 224}.

    Raises UsageError for an input that is not square, WeightsError for one that is no size.
    """
    value = fields.values.get(name)
    if value is None:
        return default
    sides = list(value.values()) if isinstance(value, Mapping) else value
    listed = list(sides) if isinstance(sides, list | tuple) else [sides]
    if not 1 <= len(listed) <= 3:
        raise fields.wrong(name, "the side of a square in pixels")
    square = listed[-2:] if len(listed) > 1 else listed * 2
    pair = Fields(fields.file, {name: square[0], "": square[1]})
    if square[0] != square[1]:
        raise UsageError(
            f"{fields.file}: an input of {clean(str(value))[:60]} is not square", "only square inputs are served"
        )
    return pair.whole(name, most=_MAX_SIDE_PX)
