"""What a text encoder is loaded from; travels to a worker process."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.text.tokenizer_files import TokenizerFiles
from medvlm_tui.engine.encoders.weights.record import Weights


@dataclass(frozen=True, slots=True)
class TextParts:
    """What a text encoder is loaded from."""

    spec: ModelSpec
    """The model's own record."""
    weights: Weights
    """With the digest of the tensors that the text tower reads."""
    tokenizer: TokenizerFiles

    @property
    def missing(self) -> str:
        """What is not here, and after a line break what to do about it; empty where all is."""
        if self.weights.state != "present":
            return f"the weights of {self.spec.id} are {self.weights.state}\n{self.weights.hint}"
        return "" if self.tokenizer.present else f"{self.spec.id}\n{self.tokenizer.hint}"
