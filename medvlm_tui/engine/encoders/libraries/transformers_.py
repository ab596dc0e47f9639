"""Image towers of transformers: CLIP, SigLIP, DINOv2. Only their configuration and tensors are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Reader, Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.config_fields import Fields
from medvlm_tui.engine.encoders.libraries import openai_names
from medvlm_tui.engine.encoders.libraries.grey import one_channel
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.resolve.saved_folders import side
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

# What of a config.json is believed: the network's shape. Everything else in it (auto_map, attention
# implementations, file names) is never looked at.
_TRUSTED = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size",
    "num_channels", "hidden_act", "layer_norm_eps", "projection_dim", "mlp_ratio", "qkv_bias", "layerscale_value",
    "use_swiglu_ffn", "vision_use_head",
)  # fmt: skip
_SWITCHES = {"qkv_bias", "use_swiglu_ffn", "vision_use_head"}
_NUMBERS = {"layer_norm_eps", "mlp_ratio", "layerscale_value"}
_SIDES = {"image_size", "patch_size"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Layout of the tensors of one class."""

    tail: str
    """A tensor that only the image tower has, below the tower's prefix."""
    load: Callable[[torch.nn.Module, Tower, Tower], None]
    """Into the network, from the tower and the whole file."""
    features: Mapping[str, Callable[[Any], torch.Tensor]]
    """Feature name -> how it is taken from the network's output."""


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build `architecture` from the repository's config.json, or from `options.config`, and load its tower.

    `options.fixed` overrides what a config.json says. Features: CLIP's projected class token, SigLIP's pooled
    vector or the mean of its normed tokens, DINOv2's class token; not normalised.
    """
    assert weights.path is not None
    layout = LAYOUTS.get(spec.architecture)
    if layout is None or feature not in layout.features:
        raise WeightsError(f"{spec.id}: {spec.architecture} with {feature} is not served", f"{', '.join(LAYOUTS)}")
    take = layout.features[feature]
    network = build(spec.architecture, vision_config(spec, weights))
    whole = read_tower(weights.path)
    layout.load(network, *(_openai_layout(whole) or _parts(weights.path, layout.tail, whole)))
    forward = one_channel(network) if "arguments" in spec.options else network
    return NetworkEncoder(spec, feature, network, device, precision, lambda pixels: take(forward(pixels)))


def _parts(path: Path, tail: str, whole: Tower) -> tuple[Tower, Tower]:
    """Return the tower, and the model around it where there is one: a trainer may keep it below another name."""
    tower = read_tower(path, tail)
    return tower, whole.below(tower.prefix.removesuffix("vision_model."))


def _openai_layout(whole: Tower) -> tuple[Tower, Tower] | None:
    """Return tower and projection of a file in OpenAI's own layout, None for every other."""
    name = next((name for name in whole.readers if name.endswith(openai_names.TAIL)), None)
    if name is None:
        return None
    visual = whole.below(name.removesuffix(openai_names.TAIL) + "visual.")
    tower, projection = openai_names.transformers_names(visual)
    return tower, projection.renamed(lambda leaf: f"{_PROJECTION}{leaf}")


def vision_config(spec: ModelSpec, weights: Weights) -> dict[str, Any]:
    """Return the arguments of the tower's configuration class."""
    stored = weights.config("config.json")
    if stored is None:
        return {**spec.options.get("config", {}), **spec.options.get("fixed", {})}
    config = Fields(f"{spec.id}: config.json", stored)
    vision = config.below("vision_config") if config.has("vision_config") else config
    trusted = _trusted(vision)
    if config.has("vision_config") and config.has("projection_dim"):
        trusted["projection_dim"] = config.whole("projection_dim")
    return {**trusted, **spec.options.get("fixed", {})}


def _trusted(vision: Fields) -> dict[str, Any]:
    """Return the fields that define the network, each of its own kind; raises WeightsError."""
    found: dict[str, Any] = {}
    for name in (name for name in _TRUSTED if vision.has(name)):
        if name in _SWITCHES:
            found[name] = vision.truth(name, False)
        elif name in _NUMBERS:
            vision.number(name, 0.0, 0.0, 1e6)
            found[name] = vision.values[name]
        elif name == "hidden_act":
            found[name] = vision.text(name, "", transformers_activations())
        else:
            found[name] = side(vision, name, 1) if name in _SIDES else vision.whole(name)
    return found


def transformers_activations() -> tuple[str, ...]:
    """Return the names of the activations that transformers computes by itself."""
    from transformers.activations import ACT2CLS

    return tuple(ACT2CLS)


def build(architecture: str, config: Mapping[str, Any]) -> torch.nn.Module:
    """Build one of the served classes without weights."""
    import transformers

    names = {
        "CLIPVisionModel": "CLIPVisionConfig",
        "CLIPVisionModelWithProjection": "CLIPVisionConfig",
        "SiglipVisionModel": "SiglipVisionConfig",
        "Dinov2Model": "Dinov2Config",
    }
    settings = getattr(transformers, names[architecture])(**config)
    with building():
        network: torch.nn.Module = getattr(transformers, architecture)(settings)
    return network


_PROJECTION = "visual_projection."


def _load_clip(network: torch.nn.Module, tower: Tower, whole: Tower) -> None:
    load_strictly(_inner(network), tower)
    stored = whole.below(_PROJECTION)
    if not stored.readers:
        raise WeightsError(
            f"{tower.path} has no {whole.prefix}{_PROJECTION}weight: it holds a tower without the projection that this "
            "feature passes",
            "a folder of it has the feature `pooled`: local:DIR",
        )
    load_strictly(network.get_submodule("visual_projection"), stored)


def _load_tower(network: torch.nn.Module, tower: Tower, whole: Tower) -> None:
    load_strictly(_inner(network), tower)


def _load_dinov2(network: torch.nn.Module, tower: Tower, whole: Tower) -> None:
    names = network.state_dict()
    renamed = tower.renamed(lambda name: name if name in names else _dinov2_name(name))
    load_strictly(network, renamed if any(".weights_in." in name for name in names) else _split_swiglu(renamed))


def _inner(network: torch.nn.Module) -> torch.nn.Module:
    """The tower itself: some classes wrap it as `vision_model`, and transformers 5 unwrapped others."""
    inner = getattr(network, "vision_model", network)
    assert isinstance(inner, torch.nn.Module)
    return inner


# transformers 5 renamed these modules; files keep the older names.
_DINOV2_NAMES = (
    (".attention.attention.query.", ".attention.q_proj."),
    (".attention.attention.key.", ".attention.k_proj."),
    (".attention.attention.value.", ".attention.v_proj."),
    (".attention.output.dense.", ".attention.o_proj."),
    (".mlp.weights_out.", ".mlp.down_proj."),
)


def _dinov2_name(name: str) -> str:
    for stored, current in _DINOV2_NAMES:
        name = name.replace(stored, current)
    return name


def _split_swiglu(tower: Tower) -> Tower:
    """The giant's files hold gate and value of its SwiGLU as one tensor, the gate first."""
    readers = dict(tower.readers)
    for name in [name for name in readers if ".mlp.weights_in." in name]:
        reader = readers.pop(name)
        for part, current in enumerate((".mlp.gate_proj.", ".mlp.up_proj.")):
            readers[name.replace(".mlp.weights_in.", current)] = _half(reader, part)
    return Tower(tower.path, readers)


def _half(reader: Reader, part: int) -> Reader:
    return lambda: reader().chunk(2)[part]


LAYOUTS: Mapping[str, _Layout] = {
    "CLIPVisionModelWithProjection": _Layout(
        "embeddings.class_embedding", _load_clip, {"image": lambda output: output.image_embeds}
    ),
    "CLIPVisionModel": _Layout(
        "embeddings.class_embedding", _load_tower, {"pooled": lambda output: output.pooler_output}
    ),
    "SiglipVisionModel": _Layout(
        "embeddings.patch_embedding.weight",
        _load_tower,
        {
            "pooled": lambda output: output.pooler_output,
            "tokens": lambda output: output.last_hidden_state.mean(dim=1),
        },
    ),
    "Dinov2Model": _Layout(
        "embeddings.cls_token", _load_dinov2, {"cls": lambda output: output.last_hidden_state[:, 0]}
    ),
}
