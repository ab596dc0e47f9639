"""Classes in words: the prompts that a text tower reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptSet:
    """One way to put the classes of a dataset into words."""

    name: str
    """`bare`, `single`, `ensemble`, `descriptors`, `learned`, or a name of the user's."""
    prompts: tuple[tuple[str, ...], ...]
    """The prompts of each class, in the order of the dataset's classes."""
    source: str
    """Author of the prompts, in words."""
    templates: int = 1
    """Number of templates that each name stands in; a class's prompts are its names, template by template."""
    fallback: tuple[str, ...] = ()
    """Classes that have no words of their own, so that the class's name is taken."""

    def to_record(self) -> dict[str, object]:
        """Return a JSON-able dict, a part of a step's parameters."""
        return {
            "name": self.name,
            "prompts": [list(listed) for listed in self.prompts],
            "source": self.source,
            "templates": self.templates,
            "fallback": list(self.fallback),
        }

    @classmethod
    def from_record(cls, record: dict[str, object]) -> PromptSet:
        """Rebuild from `to_record()`'s dict."""
        prompts = record["prompts"]
        assert isinstance(prompts, Sequence)
        fallback = record["fallback"]
        assert isinstance(fallback, Sequence)
        return cls(
            str(record["name"]),
            tuple(tuple(map(str, listed)) for listed in prompts),
            str(record["source"]),
            int(str(record["templates"])),
            tuple(map(str, fallback)),
        )
