"""Captions of phantoms, and which caption is true of which phantom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KINDS = ("none", "smooth", "spiculated")
SITE_WORDS = ("BREAST", "AXILLA", "BR", "AX")
SIDE_WORDS = ("LEFT", "RIGHT", "LT", "RT")

_Phrases = Mapping[tuple[str, ...], tuple[str, ...]]
_LESIONS: _Phrases = {
    ("none",): ("no lesion", "tissue without a lesion", "normal tissue"),
    ("smooth",): ("a smooth lesion", "a lesion with smooth margins", "a lesion with a smooth outline"),
    ("spiculated",): ("a spiculated lesion", "a lesion with spiculated margins", "a lesion with a spiculated outline"),
    ("smooth", "spiculated"): ("a lesion",),
}
_SITES: _Phrases = {
    ("BREAST", "BR"): ("the breast", "breast tissue"),
    ("AXILLA", "AX"): ("the axilla", "axilla tissue"),
}
_SIDES: _Phrases = {("LEFT", "LT"): ("the left side",), ("RIGHT", "RT"): ("the right side",)}
_WORDS: _Phrases = {(word,): (f"the word {word}", f"{word} burned in", word) for word in (*SITE_WORDS, *SIDE_WORDS)}
_OPENINGS = (
    "a synthetic ultrasound image of {}", "a synthetic image of {}", "a drawing of {}", "a phantom: {}",
    "synthetic: {}", "{}", "{} in a synthetic ultrasound image", "{} in a phantom",
)  # fmt: skip
_SITE_WORDS: _Phrases = {either: _WORDS[either] for either in ((word,) for word in SITE_WORDS)}
_SIDE_WORDS: _Phrases = {either: _WORDS[either] for either in ((word,) for word in SIDE_WORDS)}
_CHOICES = ((_LESIONS, 1), (_SITES, 2), (_SIDES, 2), (_SITE_WORDS, 1), (_SIDE_WORDS, 1))
"""Tables of phrases, and how many facts make each of their phrases true that stand against each other."""
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_LESION_SHARE, _WORD_SHARE, _PLACE_SHARE = 0.6, 0.3, 0.15


@dataclass(frozen=True, slots=True)
class Facts:
    """Known facts about one phantom."""

    kind: str
    words: tuple[str, str]
    """Those burned into it: a site and a side."""

    @property
    def all(self) -> frozenset[str]:
        """Return the facts as the conditions of captions name them."""
        return frozenset((self.kind, *self.words))


@dataclass(frozen=True, slots=True)
class Caption:
    """A text with the conditions under which it is true."""

    text: str
    conditions: tuple[tuple[str, ...], ...]
    """Of each, one of its facts has to hold."""

    def is_true_of(self, facts: Facts) -> bool:
        """Return whether everything that the caption says holds for a phantom."""
        return all(any(fact in facts.all for fact in either) for either in self.conditions)


def caption_of(facts: Facts, rng: np.random.Generator) -> Caption:
    """Return one of the many captions that are true of a phantom; it says one thing or several, in any order."""
    said: list[tuple[tuple[str, ...], str]] = []
    for phrases, share in ((_LESIONS, _LESION_SHARE), (_SITES, _PLACE_SHARE), (_SIDES, _PLACE_SHARE)):
        if rng.random() < share:
            said.append(_phrase(phrases, facts, rng))
    said += [(own, _one(_WORDS[own], rng)) for own in ((word,) for word in facts.words) if rng.random() < _WORD_SHARE]
    if not said:
        said.append(_phrase(_LESIONS, facts, rng))
    order = rng.permutation(len(said))
    text = _one(_OPENINGS, rng).format(_joined([said[place][1] for place in order]))
    return Caption(text, tuple(said[place][0] for place in order))


def _phrase(phrases: _Phrases, facts: Facts, rng: np.random.Generator) -> tuple[tuple[str, ...], str]:
    true = [either for either in phrases if set(either) & facts.all]
    either = true[rng.integers(len(true))]
    return either, _one(phrases[either], rng)


def _one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]


def _joined(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + (" and " if parts[:-1] else "") + parts[-1]


def choices(rng: np.random.Generator) -> list[list[Caption]]:
    """Return for each kind of fact captions of which exactly one is true of any phantom, alike but for that fact."""
    several = [{either: each for either, each in table.items() if len(either) == size} for table, size in _CHOICES]
    made = []
    for table in several:
        opening = _one(_OPENINGS, rng)
        made.append([Caption(opening.format(_one(each, rng)), (either,)) for either, each in table.items()])
    return made


def truth(captions: list[Caption], facts: list[Facts]) -> NDArray[np.float32]:
    """Return (images, captions): 1 where a caption is true of an image."""
    table = [[caption.is_true_of(one) for caption in captions] for one in facts]
    return np.array(table, dtype=np.float32)


def vocabulary() -> tuple[str, ...]:
    """Return the entries of the tokenizer: every word that a caption can hold, in lower case."""
    phrases = [phrase for table in (_LESIONS, _SITES, _SIDES, _WORDS) for each in table.values() for phrase in each]
    lines = " ".join([*phrases, *_OPENINGS, "and ,"]).lower()
    return (*_SPECIAL, *sorted(set(re.findall(r"[a-z]+|[,:]", lines))))
