"""Texts as token ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Tokens:
    """The token ids of several texts."""

    ids: NDArray[np.int64]
    """(n, longest), padded on the right with the model's padding."""
    lengths: NDArray[np.int64]
    """(n,) ids of each text, special ones included."""
    cut: NDArray[np.bool_]
    """(n,) whether a text was longer than the model's context."""


@dataclass(frozen=True, slots=True)
class TextTokenizer:
    """One model's tokenizer."""

    encode: Callable[[str], list[int]]
    """Ids of one text with its special ids, however many; the last one ends it."""
    pad_id: int
    size: int
    """Entries of its vocabulary."""
    exact_size: bool = False
    """True where the network has exactly as many; otherwise it has at least as many."""

    def tokens(self, texts: Sequence[str], context: int, full: bool = False) -> Tokens:
        """Return the ids of `texts`; longer ones are cut, and keep the id that ends them.

        `full` pads to the whole context, as models do that attend to their padding.
        """
        encoded = [self.encode(text) for text in texts]
        kept = [ids if len(ids) <= context else [*ids[: context - 1], ids[-1]] for ids in encoded]
        longest = context if full else max(map(len, kept), default=0)
        table = np.full((len(kept), longest), self.pad_id, dtype=np.int64)
        for row, ids in enumerate(kept):
            table[row, : len(ids)] = ids
        lengths = np.array([longest if full else len(ids) for ids in kept], dtype=np.int64)
        return Tokens(table, lengths, np.array([len(ids) > context for ids in encoded], dtype=bool))
