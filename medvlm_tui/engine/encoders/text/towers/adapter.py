"""LLM2CLIP's text side on vectors that a language model has made: its adapter, not the language model itself."""

from __future__ import annotations

import torch
from torch.nn import functional

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.text.network import TextTower
from medvlm_tui.engine.encoders.text.tokens import TextTokenizer
from medvlm_tui.engine.encoders.text.towers.scales import stored_scale
from medvlm_tui.engine.encoders.text.towers.shapes import shape_of
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import UsageError, WeightsError

_NAMES = ("text_adaptor.", "text_adapter.")
_BLOCKS = 4
_FIRST = "0.fn.0.weight"


class Block(torch.nn.Module):
    """A residual block: norm, two linear layers, GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.ln = torch.nn.LayerNorm(width)
        self.fn = torch.nn.Sequential(
            torch.nn.Linear(width, hidden), torch.nn.GELU(), torch.nn.Identity(), torch.nn.Linear(hidden, width)
        )

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = vectors + self.fn(self.ln(vectors))
        return added


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> TextTower:
    """Build the adapter and load it; `forward` takes the language model's vectors, which it brings to unit length.

    (microsoft/LLM2CLIP llm2clip/eva_clip/model.py `TextProj`)
    """
    assert weights.path is not None
    assert spec.text is not None
    whole = read_tower(weights.path)
    stored = _adapter(whole)
    hidden, width = shape_of(stored, _FIRST)
    with building():
        blocks = [Block(width, hidden) for _ in range(_BLOCKS)]
        network = torch.nn.Sequential(*blocks, torch.nn.LayerNorm(width), torch.nn.Linear(width, spec.text.dim))
    load_strictly(network, stored)

    def forward(vectors: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        unit = functional.normalize(vectors.float(), dim=-1)
        return unit, network(unit)

    outer = stored.prefix.partition("text_adap")[0].removesuffix("text.")
    return TextTower(
        network, forward, stored_scale(whole, outer), vector_dim=width, tokenizer=TextTokenizer(_refuse, 0, 0)
    )


def _adapter(whole: Tower) -> Tower:
    found = {name[: -len(_FIRST)] for name in whole.readers if name.endswith(tuple(f"{top}{_FIRST}" for top in _NAMES))}
    if len(found) != 1:
        raise WeightsError(
            f"{whole.path} holds {len(found)} adapters named text_adapter or text_adaptor", "download it again"
        )
    return whole.below(found.pop())


def _refuse(text: str) -> list[int]:
    raise UsageError(
        "LLM2CLIP's texts are read by Llama 3 8B, which is not part of this program",
        "make the language model's vectors (n, 4096) elsewhere, and give them: --text-vectors FILE.npy",
    )
