"""Protocol of a text tower, whichever network it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.core.text_specs import TextSpec
from medvlm_tui.engine.encoders.checkpoints.load_report import LoadReport
from medvlm_tui.engine.encoders.text.tokens import Tokens

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Scale:
    """Factor that the model's training multiplies cosines by, and the bias that it adds to them."""

    factor: float = 1.0
    """The exponential of what is stored; 1 where the checkpoint holds none, or its use is not known."""
    bias: float | None = None
    """Added to the scaled cosine before the sigmoid; None for a softmax over the classes."""
    stored: bool = False
    """True where the factor comes from the checkpoint."""


class TextEncoder(Protocol):
    """A text tower on a device, and its tokenizer."""

    spec: ModelSpec
    text: TextSpec
    device: str
    parameters: int
    """Of the tower, for the record."""
    scale: Scale
    report: LoadReport
    """Tensors of the checkpoint that it is made of."""

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """Return the token ids of texts; raises UsageError where the model takes no free text."""

    def encode(self, tokens: Tokens) -> torch.Tensor:
        """Return projected vectors (n, dim) float32 on the CPU, not normalised, of texts as one padded list.

        Of most models a text's vector does not depend on the list; of FLAIR and KeepFIT it does.
        """

    def pooled(self, tokens: Tokens) -> torch.Tensor:
        """Return the vectors (n, width) float32 before the projection."""

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return projected vectors (n, dim) float32 on the CPU, not normalised; each text as if it were alone.

        Raises NotFiniteError.
        """

    def encode_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return projected vectors (n, dim) float32 of a language model's vectors (n, d).

        Raises UsageError for a model that reads texts, or takes vectors of another dimension.
        """

    def join(self, vectors: torch.Tensor, feature: str) -> torch.Tensor:
        """Return image vectors (n, dim) in the space of the texts, of stored ones of an image feature; not normalised.

        Raises UsageError for a feature that does not lead there.
        """
