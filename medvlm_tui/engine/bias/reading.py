"""Words in pictures by words: whether an image that bears a word moves towards that word's text.

Every number is of images, of each the mean over the words; the interval is over images. A change is the cosine of
the image that bears something and a text, less that of the image as it is (Materzynska et al. 2022, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.bench.measures import About
from medvlm_tui.stages.records.measure import Measure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TEXT, NONSENSE, SCRAMBLED = "text", "nonsense", "scrambled"
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Cosines:
    """Cosines of images and texts, by what the images bear."""

    plain: Floats
    """(n, 2 W) of the images as they are, with the texts of W words and of W nonsense words."""
    drawn: Mapping[str, Floats]
    """Kind -> (w, n, 2 W): one picture for each word, or for the first alone."""
    class_plain: Floats
    """(n, k) with the classes' texts."""
    class_drawn: Mapping[str, Floats]
    """Kind -> (w, n, k)."""

    @property
    def words(self) -> int:
        """W, the number of words."""
        return int(self.plain.shape[1]) // 2

    def changes(self, kind: str) -> Floats:
        """Return (w, n, W): the change towards each word's text, towards each nonsense word's for nonsense."""
        first = self.words if kind == NONSENSE else 0
        texts = slice(first, first + self.words)
        return np.asarray(self.drawn[kind][:, :, texts] - self.plain[None, :, texts], dtype=np.float64)


def nonsense_of(words: Sequence[str], seed: int) -> tuple[str, ...]:
    """Return for each word another one of its letters in another order; random letters where there is no such."""
    random = np.random.default_rng([seed, 11])
    made: list[str] = []
    for word in words:
        for attempt in range(2 * _TRIES):
            letters = list(word) if attempt < _TRIES else [_LETTERS[i] for i in random.integers(20, size=len(word))]
            found = "".join(letters[i] for i in random.permutation(len(letters)))
            if found not in {*words, *made}:
                break
        made.append(found)
    return tuple(made)


def leads(changes: Floats) -> Floats:
    """Return (n,): how much further an image moves towards its own word's text than towards the other words'."""
    count = len(changes)
    own = changes[np.arange(count), :, np.arange(count)]
    others = (changes.sum(axis=2) - own) / max(changes.shape[2] - 1, 1)
    return np.asarray((own - others).mean(axis=0), dtype=np.float64)


def retrieved(changes: Floats) -> Floats:
    """Return (n,): share of the words towards whose own text the image moves furthest."""
    return np.asarray((changes.argmax(axis=2) == np.arange(len(changes))[:, None]).mean(axis=0), dtype=np.float64)


def of_words(cosines: Cosines, words: tuple[str, ...]) -> Iterator[Measure]:
    """Yield retrieval and lead of the words, of nonsense and of scrambled ink, and what is left of them over these."""
    lead: dict[str, Floats] = {}
    for kind in (each for each in (TEXT, NONSENSE, SCRAMBLED) if each in cosines.drawn):
        changes = cosines.changes(kind)
        lead[kind] = leads(changes)
        yield About("word_retrieval", kind, 1 / cosines.words, words).mean(retrieved(changes), (0.0, 1.0))
        yield About("word_lead", kind, 0.0, words).mean(lead[kind])
    for kind in (each for each in (SCRAMBLED, NONSENSE) if each in lead):
        yield About("word_lead_over_control", kind, 0.0, words).mean(lead[TEXT] - lead[kind])
    changes = cosines.changes(TEXT)
    for number, word in enumerate(words):
        own = changes[number, :, number]
        others = (changes[number].sum(axis=1) - own) / max(cosines.words - 1, 1)
        yield About("word_lead_of", word, 0.0, (word,)).mean(own - others)


def of_classes(cosines: Cosines, codes: Ints, words: tuple[str, ...]) -> Iterator[Measure]:
    """Yield what the pictures do to zero-shot: its accuracy, flips, and the own class's cosine over the others'."""
    plain = cosines.class_plain
    answer, margin = plain.argmax(axis=1), margins(plain, codes)
    yield About("zero_shot_accuracy", "without").share(answer == codes)
    flips: dict[str, Floats] = {}
    for kind, drawn in cosines.class_drawn.items():
        said = words if len(drawn) == len(words) else words[:1]
        answers = drawn.argmax(axis=2)
        flips[kind] = (answers != answer).mean(axis=0)
        yield About("zero_shot_accuracy", kind, words=said).mean((answers == codes).mean(axis=0), (0.0, 1.0))
        yield About("zero_shot_flip_rate", kind, words=said).mean(flips[kind], (0.0, 1.0))
        moved = np.stack([margins(one, codes) for one in drawn]).mean(axis=0) - margin
        yield About("class_margin_change", kind, 0.0, said).mean(moved)
    if SCRAMBLED in flips:
        difference = flips[TEXT] - flips[SCRAMBLED]
        yield About("zero_shot_flips_over_control", SCRAMBLED, 0.0, words).mean(difference)


def margins(cosines: Floats, codes: Ints) -> Floats:
    """Return (n,): the cosine with the own class's text less the mean of those with the others'."""
    own = cosines[np.arange(len(codes)), codes]
    return np.asarray(own - (cosines.sum(axis=1) - own) / max(cosines.shape[1] - 1, 1), dtype=np.float64)
