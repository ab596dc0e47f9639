"""Labels as people and programs write them: which are none, and which are the same one written twice."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

# Left in labels by spreadsheets and web pages; nobody sees them. Joiners are kept: scripts of Asia need them.
_UNSEEN = re.compile("[\u00ad\u180e\u200b\u200e\u200f\u2060\ufeff\ufe00-\ufe0f\x00-\x08\x0e-\x1f\x7f]")
_NO_LABEL = (
    "|nan|<nan>|n/a|n.a.|na|<na>|#n/a|#na|nat|<nat>|null|<null>|nil|-|--|---|?|??|missing|not available|not labelled|"
    "not labeled|unlabelled|unlabeled|no label|#ref!|#value!|#name?|#div/0!|#num!|#null!"
)
_NONE = frozenset(_NO_LABEL.split("|"))
_DOUBTFUL = frozenset({"none", "unknown", "unk", "undefined", "unspecified", "not specified", "tbd", "todo", "-1"})
_WHOLE_AS_FLOAT = re.compile(r"(?P<whole>[+-]?\d+)\.0+")
# Letters of Cyrillic and Greek that look like Latin ones.
_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТУХЅІЈаеорсухіјѕԁһΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
    "ABEKMHOPCTYXSIJaeopcyxijsdhABEZHIKMNOPTYXo",
)
_ACCENTS = re.compile("[\u0300-\u036f]")
# Between two digits a separator means something: 1-2 is not 12.
_SEPARATORS = re.compile(r"(?<=[^\W_])[\s_\-./]+(?=[^\W\d_])|(?<=[^\W\d_])[\s_\-./]+(?=[^\W_])", re.UNICODE)


@lru_cache(maxsize=4096)
def tidy(text: str) -> str:
    """Return a label in Unicode's composed form, without unseen characters and blanks at its ends, one blank between
    words: what is the same text to every reader is one label."""
    return " ".join(_UNSEEN.sub("", unicodedata.normalize("NFC", text)).split())


def is_none(label: str) -> bool:
    """Return whether a tidy label says that there is none: empty, `nan`, `N/A`, an error of a spreadsheet."""
    return label.casefold() in _NONE


def is_doubtful(label: str) -> bool:
    """Return whether a label may be a class or say that there is none: `unknown`, `none`, `-1`."""
    return label.casefold() in _DOUBTFUL


def whole_numbers(labels: Iterable[str]) -> Mapping[str, str]:
    """Return label as read -> label for whole numbers that are written in two ways (`0.0` beside `0`)."""
    present = set(labels)
    return {
        label: match["whole"]
        for label in present
        if (match := _WHOLE_AS_FLOAT.fullmatch(label)) and match["whole"] in present
    }


def alike(labels: Iterable[str]) -> list[tuple[tuple[str, ...], str]]:
    """Return sets of labels that look the same, each with what they differ in; sorted by name."""
    sets: defaultdict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        sets[skeleton(label)].append(label)
    return [(tuple(names), _difference(names)) for names in sets.values() if len(names) > 1]


def skeleton(label: str) -> str:
    """Return what is left of a label without capitals, accents, separators between words, look-alike letters and the
    ways to write a number: equal for labels that a reader takes for the same. Signs (`ER+`, `ER-`) stay."""
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", label)).translate(_LOOK_ALIKES).casefold().strip()
    if re.fullmatch(r"[+-]?\d+(\.\d*)?", text, re.ASCII) and len(text) < 64:
        return f"{float(text):g}"
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return _SEPARATORS.sub("", " ".join(text.split())) or label


def _difference(names: list[str]) -> str:
    if len({name.casefold() for name in names}) == 1:
        return "capitals"
    if len({re.sub(r"[\W_]", "", name.casefold()) for name in names}) == 1:
        return "blanks or punctuation"
    return "the way the name is written"
