"""OpenAI's names of a CLIP vision transformer, turned to those of transformers."""

from __future__ import annotations

import re
from dataclasses import replace

from medvlm_tui.engine.encoders.checkpoints.tower import Reader, Tower

TAIL = "visual.conv1.weight"
_TOP = {
    "conv1.weight": "embeddings.patch_embedding.weight",
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_pre.": "pre_layrnorm.",
    "ln_post.": "post_layernorm.",
}
_BLOCK = {
    "ln_1.": "layer_norm1.",
    "ln_2.": "layer_norm2.",
    "attn.out_proj.": "self_attn.out_proj.",
    "mlp.c_fc.": "mlp.fc1.",
    "mlp.c_proj.": "mlp.fc2.",
}
_BLOCK_NAME = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)")
_JOINED = re.compile(r"(.*)attn\.in_proj_(weight|bias)")


def transformers_names(visual: Tower) -> tuple[Tower, Tower]:
    """Return the tower and its projection, of the tensors below `visual.`; an unknown name is kept as it is."""
    readers: dict[str, Reader] = {}
    projection: dict[str, Reader] = {}
    for name, reader in visual.readers.items():
        if name == "proj":
            projection["weight"] = _transposed(reader)
            continue
        block = _BLOCK_NAME.fullmatch(name)
        if block is None:
            readers[_replaced(name, _TOP)] = reader
            continue
        place = f"encoder.layers.{block.group(1)}."
        if joined := _JOINED.fullmatch(block.group(2)):
            for part, letter in enumerate("qkv"):
                readers[f"{place}self_attn.{letter}_proj.{joined.group(2)}"] = _third(reader, part)
        else:
            readers[place + _replaced(block.group(2), _BLOCK)] = reader
    return replace(visual, readers=readers), Tower(visual.path, projection)


def _replaced(name: str, table: dict[str, str]) -> str:
    for stored, current in table.items():
        if name.startswith(stored):
            return current + name[len(stored) :]
    return name


def _third(reader: Reader, part: int) -> Reader:
    return lambda: reader().chunk(3)[part]


def _transposed(reader: Reader) -> Reader:
    return lambda: reader().T
