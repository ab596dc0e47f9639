"""Text towers that are a BERT: nine of the catalog, with five ways to make one vector of its tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn import functional

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.core.text_specs import TextSpec
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.text.network import TextTower
from medvlm_tui.engine.encoders.text.towers.scales import stored_scale
from medvlm_tui.engine.encoders.text.towers.shapes import blocks_below, shape_of
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

_WORDS = "embeddings.word_embeddings.weight"
_HEAD_WIDTH = 64
_TOKEN_TYPES = 2  # RoBERTa, whose tensors have the same names and other positions, has one
_CEILING = 4.6052  # FLAIR and KeepFIT keep the logarithm of the scale below that of 100
Pool = Callable[[Any, torch.Tensor], torch.Tensor]


def _cls(output: Any, mask: torch.Tensor) -> torch.Tensor:
    pooled: torch.Tensor = output.last_hidden_state[:, 0]
    return pooled


def _mean(output: Any, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over the tokens that are not padding, [CLS] and [SEP] included."""
    weights = mask[:, :, None].to(output.last_hidden_state.dtype)
    summed: torch.Tensor = (output.last_hidden_state * weights).sum(dim=1)
    return summed / weights.sum(dim=1)


def _sep(output: Any, mask: torch.Tensor) -> torch.Tensor:
    """Return the token at the last position that is not padding, where [SEP] is."""
    hidden: torch.Tensor = output.last_hidden_state
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]


def _layers(output: Any, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over all positions, padding included, of layers 1, 2 and the last. (jusiro/FLAIR)"""
    states = output.hidden_states
    pooled: torch.Tensor = torch.stack([states[1], states[2], states[-1]]).permute(1, 0, 2, 3).mean(2).mean(1)
    return pooled


_POOLS: Mapping[str, Pool] = {"cls": _cls, "mean": _mean, "sep": _sep, "layers": _layers}


@dataclass(frozen=True, slots=True)
class _Options:
    """Where the parts lie in the file, and how a vector is made."""

    prefix: str
    projection: str
    head: Literal["linear", "mlp"]
    bias: bool
    pooling: str
    mask: Literal["ids", "lengths"]
    """Whether a padding entry that is written in a text is masked, as open_clip does, or attended to."""
    scale: str


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> TextTower:
    """Build BERT of the checkpoint's own shape, and its projection; load both strictly, less BERT's unused pooler."""
    assert weights.path is not None
    assert spec.text is not None
    options = _options(spec.text)
    whole = read_tower(weights.path)
    outer = read_tower(weights.path, f"{options.prefix}{_WORDS}").prefix
    stored = whole.below(f"{outer}{options.prefix}").without("pooler.")
    network = torch.nn.ModuleDict({"bert": build(stored, weights), "projection": _head(options, spec.text, stored)})
    load_strictly(network["bert"], stored)
    load_strictly(network["projection"], whole.below(f"{outer}{options.projection}"))
    ceiling = _CEILING if options.pooling == "layers" else math.inf
    return TextTower(
        network,
        _forward(network, options),
        stored_scale(whole, outer, options.scale, ceiling),
        entries=shape_of(stored, _WORDS)[0],
    )


def _options(text: TextSpec) -> _Options:
    given = text.options
    return _Options(
        prefix=str(given["prefix"]),
        projection=str(given["projection"]),
        head=given.get("head", "linear"),
        bias=bool(given.get("bias", False)),
        pooling=str(given.get("pooling", "cls")),
        mask=given.get("mask", "ids"),
        scale=str(given.get("scale", "logit_scale")),
    )


def build(stored: Tower, weights: Weights) -> torch.nn.Module:
    """Build a BERT of the shape that the checkpoint's tensors have: heads of 64, erf GELU, as all published ones."""
    from transformers import BertConfig, BertModel

    shapes = {name: shape_of(stored, name) for name in _SHAPES if name in stored.readers}
    if len(shapes) != len(_SHAPES) or any(len(shape) != 2 for shape in shapes.values()):
        raise WeightsError(f"{weights.path} holds no BERT below {stored.prefix}", "check that it is this model's file")
    (entries, width), (positions, _), (types, _), (inner, _) = (shapes[name] for name in _SHAPES)
    if types != _TOKEN_TYPES:
        raise WeightsError(
            f"{weights.path} holds another tower than BERT below {stored.prefix}: it has {types} kinds of tokens",
            "of open_clip's towers from the hub BERT is served",
        )
    config = BertConfig(
        vocab_size=entries,
        hidden_size=width,
        num_hidden_layers=blocks_below(stored, "encoder.layer."),
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=1e-12,
    )
    with building():
        network: torch.nn.Module = BertModel(config, add_pooling_layer=False)
    return network


_SHAPES = (
    _WORDS,
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "encoder.layer.0.intermediate.dense.weight",
)


def _head(options: _Options, text: TextSpec, stored: Tower) -> torch.nn.Module:
    width = shape_of(stored, _WORDS)[1]
    with building():
        if options.head == "linear":
            return torch.nn.Linear(width, text.dim, bias=options.bias)
        hidden = (width + text.dim) // 2
        return torch.nn.Sequential(
            torch.nn.Linear(width, hidden, bias=False), torch.nn.GELU(), torch.nn.Linear(hidden, text.dim, bias=False)
        )


def _forward(network: torch.nn.ModuleDict, options: _Options) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    bert, projection, pool = network["bert"], network["projection"], _POOLS[options.pooling]
    layers = options.pooling == "layers"

    def forward(ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        within = torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]
        mask = (within & (ids != 0)) if options.mask == "ids" else within
        output = bert(input_ids=ids, attention_mask=mask.long(), output_hidden_states=layers)
        pooled = pool(output, mask)
        if not layers:
            return pooled, projection(pooled)
        return pooled, functional.normalize(projection(functional.normalize(pooled, dim=-1)), dim=-1)

    return forward
