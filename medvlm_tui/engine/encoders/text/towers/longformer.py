"""Merlin's text tower: a Clinical Longformer without global attention, and a linear layer."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.text.encoder import Scale
from medvlm_tui.engine.encoders.text.network import TextTower
from medvlm_tui.engine.encoders.text.towers.shapes import blocks_below, shape_of
from medvlm_tui.engine.encoders.weights.record import Weights

_PREFIX, _HEAD = "encode_text.text_encoder.", "encode_text.linear_layer."
_WORDS = "embeddings.word_embeddings.weight"
_WINDOW, _HEAD_WIDTH = 512, 64
_PADDING, _START, _END = 1, 0, 2


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> TextTower:
    """Build LongformerModel of the checkpoint's shape and load it with its linear layer.

    The vector is that of `<s>`, which attends to its window alone: the authors give no global attention mask, and the
    scale in the file is never applied. (StanfordMIMI/Merlin merlin/models/build.py)
    """
    assert weights.path is not None
    assert spec.text is not None
    whole = read_tower(weights.path)
    outer = read_tower(weights.path, f"{_PREFIX}{_WORDS}").prefix
    stored = whole.below(f"{outer}{_PREFIX}").without("pooler.")
    entries, width = shape_of(stored, _WORDS)
    layers = blocks_below(stored, "encoder.layer.")
    inner = shape_of(stored, "encoder.layer.0.intermediate.dense.weight")[0]
    positions = shape_of(stored, "embeddings.position_embeddings.weight")[0]
    bert = build(entries, width, layers, inner, positions)
    network = torch.nn.ModuleDict({"longformer": bert, "projection": torch.nn.Linear(width, spec.text.dim)})
    load_strictly(network["longformer"], stored)
    load_strictly(network["projection"], whole.below(f"{outer}{_HEAD}"))

    def forward(ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ids = functional.pad(ids, (0, -ids.shape[1] % _WINDOW), value=_PADDING)  # the class would, with a message
        mask = torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]
        pooled: torch.Tensor = bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, 0]
        return pooled, network["projection"](pooled)

    return TextTower(network, forward, Scale(), entries=entries)


def build(entries: int, width: int, layers: int, inner: int, positions: int) -> Any:
    """Build a Longformer without weights, with one token type as RoBERTa has it."""
    from transformers import LongformerConfig, LongformerModel

    config = LongformerConfig(
        vocab_size=entries,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        attention_window=[_WINDOW] * layers,
        pad_token_id=_PADDING,
        bos_token_id=_START,
        eos_token_id=_END,
        sep_token_id=_END,
    )
    with building():
        return LongformerModel(config, add_pooling_layer=False)
