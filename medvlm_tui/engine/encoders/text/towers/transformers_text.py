"""Text towers of transformers: CLIP with its projection, and SigLIP. Only configuration and tensors are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.config_fields import Fields
from medvlm_tui.engine.encoders.libraries.transformers_ import transformers_activations
from medvlm_tui.engine.encoders.text.network import Forward, TextTower
from medvlm_tui.engine.encoders.text.towers.scales import stored_scale
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

_TAIL = "embeddings.token_embedding.weight"
_TOWER = "text_model."
_NUMBERS = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "max_position_embeddings", "projection_size",
)  # fmt: skip
_MOST_ENTRIES = 2_000_000
_LEGACY_END = 2
_NO_ENDS = {"bos_token_id": None, "eos_token_id": None}  # which SigLIP pools by none of


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> TextTower:
    """Build `options.class` from the repository's config.json, or from `options.config`, and load it strictly."""
    assert weights.path is not None
    assert spec.text is not None
    kind = str(spec.text.options.get("class", "clip"))
    network = build(kind, text_config(spec, weights), spec.text.dim)
    tower = read_tower(weights.path, _TAIL, inside=_TOWER)
    top = tower.prefix.removesuffix(_TOWER)
    whole = read_tower(weights.path)
    load_strictly(getattr(network, "text_model", network), tower)
    if kind == "clip":
        load_strictly(network.text_projection, whole.below(f"{top}text_projection."))
    scale = stored_scale(whole, top, sigmoid=spec.text.probability == "sigmoid")
    entries = int(network.config.vocab_size)
    return TextTower(network, _forwards(kind, network), scale, full=kind == "siglip", entries=entries)


def text_config(spec: ModelSpec, weights: Weights) -> dict[str, Any]:
    """Return the arguments of the tower's configuration class; raises WeightsError for fields that make no sense."""
    assert spec.text is not None
    stored = weights.config("config.json")
    if stored is None:
        return dict(spec.text.options.get("config", {}))
    text = Fields(f"{spec.id}: config.json", stored).below("text_config")
    found: dict[str, Any] = {name: text.whole(name, most=_MOST_ENTRIES) for name in _NUMBERS if text.has(name)}
    if text.has("hidden_act"):
        found["hidden_act"] = text.text("hidden_act", "", transformers_activations())
    if text.has("layer_norm_eps"):
        found["layer_norm_eps"] = text.number("layer_norm_eps", 1e-5, 0.0, 1.0)
    if text.has("eos_token_id"):
        found["eos_token_id"] = int(text.number("eos_token_id", _LEGACY_END, 0, _MOST_ENTRIES))
    return found


def build(kind: str, config: Mapping[str, Any], dim: int) -> Any:
    """Build one of the served classes without weights."""
    import transformers

    with building():
        if kind == "clip":
            settings = transformers.CLIPTextConfig(**{**config, "projection_dim": dim})
            return transformers.CLIPTextModelWithProjection(settings)
        if kind == "siglip":
            return transformers.SiglipTextModel(transformers.SiglipTextConfig(**{**config, **_NO_ENDS}))
    raise WeightsError(f"a text tower of class {kind!r} is not served", "clip or siglip")


def _forwards(kind: str, network: Any) -> Forward:
    def clip(ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """No mask: what stands before the end token never sees what stands behind it."""
        pooled: torch.Tensor = network.text_model(input_ids=ids).pooler_output
        return pooled, network.text_projection(pooled)

    def siglip(ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """No mask either: the padding is attended to, and its last position is the vector."""
        output = network(input_ids=ids)
        return output.last_hidden_state[:, -1], output.pooler_output

    return clip if kind == "clip" else siglip
