"""Records of a model's text tower: its tokenizer, its network, the space it shares with images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

TokenizerKind = Literal["wordpiece", "clip", "clip_fast", "byte_level", "json", "siglip", "ranks", "vectors"]
Cleaning = Literal["", "whitespace", "lower", "canonicalize", "words"]
Probability = Literal["softmax", "sigmoid"]
TOKENIZER_KINDS: tuple[str, ...] = get_args(TokenizerKind)
CLEANINGS: tuple[str, ...] = get_args(Cleaning)
PROBABILITIES: tuple[str, ...] = get_args(Probability)
MATRIX = "matrix:"
"""Before the name of a tensor (d, dim) that image features are multiplied by."""


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """From a text to token ids, as the model's authors do it."""

    kind: TokenizerKind
    """`ranks` are learned prompts without words, `vectors` those of a language model that the user gives."""
    source: str = ""
    """Hub repository that holds its files; empty: they come with the weights, or with a library."""
    files: tuple[str, ...] = ()
    """The files it is read from; empty: those of its kind."""
    cleaning: Cleaning = ""
    """Before the tokenizer: open_clip's `whitespace`, `lower` and `canonicalize`, or `words`, which parts words and
    punctuation by blanks."""


@dataclass(frozen=True, slots=True)
class TextSpec:
    """The text tower of a model."""

    family: str
    """The module that loads it, by its name in the registry."""
    dim: int
    """Of the space that texts and images share."""
    context: int
    """Most token ids of a text, special ones included; longer texts are cut."""
    tokenizer: TokenizerSpec
    joins: Mapping[str, str]
    """Image feature -> the tensors that lead it into the shared space: the prefix of a linear layer, or MATRIX and a
    tensor's name; empty where it lies there already."""
    probability: Probability = "softmax"
    """The authors' way from scaled cosines to probabilities: softmax over the classes, or a sigmoid for each."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the family's builder."""
    tensors: int = 0
    """Number of checkpoint tensors that the tower uses, where it is known."""
