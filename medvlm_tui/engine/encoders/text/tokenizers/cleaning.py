"""Changes that some models' authors make to a text before it is tokenized."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from medvlm_tui.core.text_specs import Cleaning

_WORDS = re.compile(r"\w+|[^\w\s]+")


def cleaned(kind: Cleaning) -> Callable[[str], str]:
    """Return the function of one text to the cleaned text."""
    return _CLEANERS[kind]


def _open_clip(kind: str) -> Callable[[str], str]:
    """Return open_clip's own cleaning: broken encodings mended (ftfy), HTML entities, runs of blanks."""

    def clean(text: str) -> str:
        from open_clip.tokenizer import get_clean_fn

        return str(get_clean_fn(kind)(text))

    return clean


def _words(text: str) -> str:
    """Return the text in lower case, words and runs of punctuation parted by blanks.

    As nltk 3.9.1's `wordpunct_tokenize`, which the authors of Merlin call. (StanfordMIMI/Merlin merlin/models/build.py)
    """
    return " ".join(_WORDS.findall(text.lower()))


_CLEANERS: Mapping[Cleaning, Callable[[str], str]] = {
    "": lambda text: text,
    "whitespace": _open_clip("whitespace"),
    "lower": _open_clip("lower"),
    "canonicalize": _open_clip("canonicalize"),
    "words": _words,
}
