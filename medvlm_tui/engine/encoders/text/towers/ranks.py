"""CLIP-DR's text side: five learned prompts of the grades, no free text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import load_strictly, read_tower
from medvlm_tui.engine.encoders.text.network import TextTower
from medvlm_tui.engine.encoders.text.tokens import TextTokenizer
from medvlm_tui.engine.encoders.text.towers import open_clip_text
from medvlm_tui.engine.encoders.text.towers.scales import stored_scale
from medvlm_tui.engine.encoders.text.towers.shapes import blocks_below, shape_of
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import UsageError, WeightsError

_POSITIONS, _WORDS = "positional_embedding", "token_embedding.weight"
_FILLER, _START, _END, _STOP = 0, 49406, 49407, 269
_ENTRIES = 49408


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> TextTower:
    """Build OpenAI's text transformer over a small table of its own: start, context, grades, full stop, end.

    The rows of start, end, full stop and filler are not in the checkpoint; `with_words` reads them from OpenAI's.
    (Qinkaiyu/CLIP-DR clipdr/models/prompt_leaners/plain_prompt_learner.py)
    """
    assert weights.path is not None
    assert spec.text is not None
    whole = read_tower(weights.path)
    outer = read_tower(weights.path, f"text_encoder.{_POSITIONS}").prefix
    tower = whole.below(f"{outer}text_encoder.")
    learned = whole.below(f"{outer}prompt_learner.")
    context, ranks = shape_of(learned, "context_embeds")[0], shape_of(learned, "rank_embeds")[0]
    if ranks != len(spec.text.options["ranks"]):
        raise WeightsError(
            f"{weights.path} has {ranks} learned grades", f"this entry names {len(spec.text.options['ranks'])}"
        )
    entries = 1 + context + ranks + 3
    size = shape_of(tower, _POSITIONS)
    config = {"context_length": size[0], "vocab_size": entries, "width": size[1], "heads": size[1] // 64}
    layers = blocks_below(tower, "transformer.resblocks.")
    inner = open_clip_text.build({"text_cfg": {**config, "layers": layers}, "quick_gelu": True}, spec.text.dim)
    table = torch.zeros(entries, size[1])
    rows = [learned.readers["context_embeds"](), learned.readers["rank_embeds"]().flatten(0, 1)]
    if not table.is_meta and not rows[0].is_meta:
        table[1 : 1 + context + ranks] = torch.cat(rows).float()
    load_strictly(inner, replace(tower, readers={**tower.readers, _WORDS: lambda: table}))
    network = open_clip_text.Projected(inner)
    tokenizer = _tokenizer(tuple(map(str, spec.text.options["ranks"])), context)
    return TextTower(
        network,
        lambda ids, lengths: network(ids),
        stored_scale(whole, outer),
        tokenizer=tokenizer,
    )


def with_words(tower: TextTower, path: Path) -> None:
    """Fill in the four rows of OpenAI's RN50 that CLIP-DR's prompts stand between; raises WeightsError."""
    stored = read_tower(path, _WORDS)
    words = stored.readers[_WORDS]()
    table = tower.network.get_parameter(f"network.{_WORDS}")
    if words.shape != (_ENTRIES, table.shape[1]):
        raise WeightsError(
            f"{path}: its {_WORDS} is {list(words.shape)}, OpenAI's RN50 has [{_ENTRIES}, {table.shape[1]}]",
            "take timm/resnet50_clip.openai",
        )
    with torch.no_grad():
        table[0] = words[_FILLER].float()
        table[-3] = words[_STOP].float()
        table[-2] = words[_START].float()
        table[-1] = words[_END].float()


def _tokenizer(ranks: tuple[str, ...], context: int) -> TextTokenizer:
    """Return the ids of a grade's prompt by the grade's name: the end has the largest id, where the vector is taken."""
    first = 1 + context
    stop, start, end = first + len(ranks), first + len(ranks) + 1, first + len(ranks) + 2

    def encode(text: str) -> list[int]:
        if text not in ranks:
            raise UsageError(
                f"CLIP-DR takes no free text, and {text[:40]!r} is none of its learned grades", ", ".join(ranks)
            )
        return [start, *range(1, first), first + ranks.index(text), stop, end]

    return TextTokenizer(encode, 0, end + 1)
