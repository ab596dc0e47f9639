"""A text encoder made of a torch network and a tokenizer. Every family's network becomes one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.core.text_specs import TextSpec
from medvlm_tui.engine.encoders.checkpoints.load_report import LoadReport
from medvlm_tui.engine.encoders.encoder import NotFiniteError
from medvlm_tui.engine.encoders.text.encoder import Scale
from medvlm_tui.engine.encoders.text.tokens import TextTokenizer, Tokens
from medvlm_tui.errors import MedvlmError, UsageError, WeightsError

Forward = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
Join = Callable[[torch.Tensor], torch.Tensor]
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_BATCH_TOKENS = 8192


@dataclass(slots=True)
class TextTower:
    """Result of a family's module: the network on the CPU, and the function that gives its vectors."""

    network: torch.nn.Module
    forward: Forward
    """(ids (n, m), lengths (n,)) -> vectors before and after the projection."""
    scale: Scale = field(default_factory=Scale)
    full: bool = False
    """True where the padding is attended to, and texts are therefore always padded to the whole context."""
    entries: int = 0
    """Rows of its table of token embeddings; 0 where it has none."""
    vector_dim: int = 0
    """Dimension of a language model's vectors, of which the tower is an adapter; 0 for towers that read texts."""
    tokenizer: TextTokenizer | None = None
    """Set by a family whose prompts are part of the checkpoint."""
    joins: Mapping[str, Join] = field(default_factory=dict)
    report: LoadReport = field(default_factory=LoadReport)


class NetworkTextEncoder:
    """A text tower in eval mode on its device, with its tokenizer."""

    def __init__(
        self,
        spec: ModelSpec,
        text: TextSpec,
        tower: TextTower,
        tokenizer: TextTokenizer,
        device: str,
        precision: Precision,
    ) -> None:
        self.spec, self.text, self.tokenizer = spec, text, tokenizer
        self.device = device
        self.precision: Precision = precision
        self.scale, self.report = tower.scale, tower.report
        self.parameters = sum(parameter.numel() for parameter in tower.network.parameters())
        tower.network.eval().requires_grad_(False)
        self.network = tower.network.to(device)
        self._tower = tower
        self._refuse_other_vocabulary()

    def _refuse_other_vocabulary(self) -> None:
        """Raise WeightsError where the vocabulary is not the one that the embeddings were trained with."""
        entries, size = self._tower.entries, self.tokenizer.size
        if entries and (size > entries or (self.tokenizer.exact_size and size != entries)):
            raise WeightsError(
                f"the tokenizer of {self.spec.id} has {size:,} entries, its network {entries:,}",
                "take the tokenizer that belongs to these weights; `medvlm-tui models ID` names it",
            )

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """Return the token ids of texts."""
        return self.tokenizer.tokens(texts, self.text.context, self._tower.full)

    def encode(self, tokens: Tokens) -> torch.Tensor:
        """Return projected vectors (n, dim) float32 on the CPU of texts as one padded list."""
        projected = self._run(tokens)[1]
        if projected.shape != (len(tokens.ids), self.text.dim):
            raise MedvlmError(
                f"{self.spec.id} gave text vectors of shape {tuple(projected.shape)} for {len(tokens.ids)} texts, its "
                f"entry says dimension {self.text.dim}",
                "correct `text.dim` in the model's entry",
            )
        return projected

    def pooled(self, tokens: Tokens) -> torch.Tensor:
        """Return the vectors (n, width) float32 before the projection."""
        return self._run(tokens)[0]

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return projected vectors (n, dim) float32 on the CPU, each text as if it were alone.

        Texts of one length go through the network together, so that no padding enters.
        """
        made = torch.empty(len(texts), self.text.dim)
        tokens = self.tokens(texts)
        for rows in _alike(tokens):
            length = int(tokens.lengths[rows[0]])
            part = Tokens(tokens.ids[rows, :length], tokens.lengths[rows], tokens.cut[rows])
            made[torch.from_numpy(rows)] = self.encode(part)
        return made

    def encode_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return projected vectors (n, dim) float32 of a language model's vectors (n, d)."""
        if not self._tower.vector_dim:
            raise UsageError(f"{self.spec.id} reads texts, not vectors of a language model", "--texts FILE")
        if vectors.shape[1] != self._tower.vector_dim:
            raise UsageError(
                f"{self.spec.id} takes vectors of {self._tower.vector_dim} numbers, not {vectors.shape[1]}",
                "take the language model that this adapter was trained with",
            )
        with torch.inference_mode(), self._autocast():
            moved = vectors.to(self.device)
            projected = self._tower.forward(moved, torch.ones(len(moved)))[1]
        return projected.to("cpu", torch.float32)

    def join(self, vectors: torch.Tensor, feature: str) -> torch.Tensor:
        """Return image vectors in the space of the texts, of stored ones of an image feature."""
        if feature not in self.text.joins:
            known = ", ".join(self.text.joins)
            raise UsageError(
                f"the feature {feature} of {self.spec.id} does not lead to the space of its texts", f"take {known}"
            )
        lead = self._tower.joins.get(feature)
        return vectors if lead is None else lead(vectors)

    def _run(self, tokens: Tokens) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.from_numpy(tokens.ids).to(self.device)
        lengths = torch.from_numpy(tokens.lengths).to(self.device)
        with torch.inference_mode(), self._autocast():
            pooled, projected = self._tower.forward(ids, lengths)
        finite = torch.isfinite(projected).all(dim=1)
        if not bool(finite.all()):
            rows = (~finite).nonzero()[:, 0].tolist()
            raise NotFiniteError(
                f"in {self.precision} {self.spec.id} gives text vectors that are not finite for {len(rows)} texts",
                "run with --precision fp32; if it stays, the weights are damaged",
                tuple(rows),
            )
        return pooled.to("cpu", torch.float32), projected.to("cpu", torch.float32)

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = _AUTOCAST.get(self.precision)
        if dtype is None:
            return nullcontext()
        return torch.autocast(self.device.partition(":")[0], dtype=dtype)


def _alike(tokens: Tokens) -> Iterator[np.ndarray]:
    """Yield the rows of texts of one length, at most about 8,192 tokens at a time."""
    for length in np.unique(tokens.lengths):
        rows = np.flatnonzero(tokens.lengths == length)
        step = max(1, _BATCH_TOKENS // max(int(length), 1))
        for start in range(0, len(rows), step):
            yield rows[start : start + step]
