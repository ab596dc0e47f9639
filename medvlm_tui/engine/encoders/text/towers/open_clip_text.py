"""Text towers that open_clip builds: CLIP, EVA02, MAKE, DermLIP, SigLIP in its layout, and CONCH's CoCa."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from open_clip.model import CLIPTextCfg, _build_text_tower

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.config_fields import Fields, is_number
from medvlm_tui.engine.encoders.libraries.open_clip_ import model_config
from medvlm_tui.engine.encoders.text.network import TextTower
from medvlm_tui.engine.encoders.text.towers.scales import stored_scale
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

_WORDS = "token_embedding.weight"
_TEXT = "text."
# What of a stored description is believed: the network's shape. Names of other repositories are never followed.
_TABLES = {"act_kwargs", "norm_kwargs"}
_POOLS = ("first", "last", "argmax", "eos")


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> TextTower:
    """Build the tower of open_clip's description and load it; a model keeps it plainly or below `text.`.

    `options.text_cfg` describes one that open_clip has no name for. Vectors: `encode_text`, not normalised.
    """
    assert weights.path is not None
    assert spec.text is not None
    config = text_config(spec, weights)
    inner = build(config, spec.text.dim)
    whole = read_tower(weights.path)
    outer = read_tower(weights.path, _WORDS).prefix
    load_strictly(inner, own_part(whole.below(outer), inner))
    network = Projected(inner)
    top = outer.removesuffix(_TEXT)
    scale = stored_scale(whole, top, sigmoid=spec.text.probability == "sigmoid")
    return TextTower(
        network,
        lambda ids, lengths: network(ids),
        scale,
        full=bool(config["text_cfg"].get("no_causal_mask", False)),
        entries=int(inner.token_embedding.weight.shape[0]),
    )


def own_part(tower: Tower, network: torch.nn.Module) -> Tower:
    """Return the tensors under the names of the network's own parts: an image tower may lie beside them."""
    tops = {name.partition(".")[0] for name in network.state_dict(keep_vars=True)}
    return tower.without(*(name for name in tower.readers if name.partition(".")[0] not in tops))


def text_config(spec: ModelSpec, weights: Weights) -> Mapping[str, Any]:
    """Return open_clip's description of the model with a `text_cfg` whose fields are checked; raises WeightsError."""
    assert spec.text is not None
    if "text_cfg" in spec.text.options:
        return {"embed_dim": spec.text.dim, "text_cfg": spec.text.options["text_cfg"]}
    found = model_config(spec, weights)
    table = found.get("text_cfg")
    if not isinstance(table, Mapping):
        raise WeightsError(f"{spec.id}: its description has no text tower", "save it again")
    return {**found, "text_cfg": checked(Fields(f"{spec.id}: open_clip_config.json", table))}


def checked(text: Fields) -> dict[str, Any]:
    """Return the fields of a stored text_cfg that define a network of open_clip's own, each of its own kind."""
    if text.has("hf_model_name"):
        raise text.wrong("hf_model_name", "a text tower of open_clip's own")
    found: dict[str, Any] = {}
    for field in fields(CLIPTextCfg):
        name = field.name
        if not text.has(name) or name.startswith(("hf_", "tokenizer_")) or name == "output_tokens":
            continue
        if name in _TABLES:
            found[name] = {key: value for key, value in text.below(name).values.items() if is_number(value)}
        elif name == "pool_type":
            found[name] = text.text(name, "argmax", _POOLS)
        elif isinstance(field.default, bool):
            found[name] = text.truth(name, False)
        elif name in ("pad_id", "eos_id"):
            found[name] = int(text.number(name, 0, 0, 1e7))
        elif isinstance(field.default, int):
            found[name] = text.whole(name, most=2_000_000)
        elif isinstance(field.default, str):
            found[name] = text.text(name, "")
        elif name != "block_type":
            text.number(name, 0.0, 0.0, 1e6)
            found[name] = text.values[name]
    return found


def build(config: Mapping[str, Any], dim: int) -> Any:
    """Build a text tower without weights; fields that open_clip does not know are passed over."""
    known = {field.name for field in fields(CLIPTextCfg)}
    text = CLIPTextCfg(**{name: value for name, value in config["text_cfg"].items() if name in known})
    with building():
        return _build_text_tower(int(config.get("embed_dim", dim)), text, quick_gelu=bool(config.get("quick_gelu")))


class Projected(torch.nn.Module):
    """A tower that gives its vectors before and after the projection, of ids that it pads to its context."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.projection = network.text_projection
        network.text_projection = None
        self.network = network

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        missing = self.network.context_length - ids.shape[1]
        pooled: torch.Tensor = self.network(torch.nn.functional.pad(ids, (0, missing), value=self.network.pad_id))
        if self.projection is None:
            return pooled, pooled
        if isinstance(self.projection, torch.nn.Linear):
            return pooled, self.projection(pooled)
        return pooled, pooled @ self.projection
