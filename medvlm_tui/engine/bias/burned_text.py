"""Text burned into a data set's own images: where it stands, what it says, and how the classifier does beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.bench.measures import About
from medvlm_tui.engine.bias.text_boxes import Box, find_text
from medvlm_tui.engine.images.decoders import whole_image
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.stages.records.bias import TextRecord
from medvlm_tui.stages.records.measure import Measure

# Of a group's images: below this a mean says nothing.
_FEWEST = 3
_MOST_WORDS = 12
_OCR_CONFIDENCE = 0.6
# OCR reads single letters into speckle and the marks of scanners.
_FEWEST_LETTERS = 2
WITH_TEXT, WITHOUT_TEXT = "text", "no text"
Line = tuple[Box, str]
Reader = Callable[[Image.Image], list[Line]]


@dataclass(frozen=True, slots=True)
class BurnedText:
    """The text of one image."""

    boxes: tuple[Box, ...]
    words: tuple[str, ...]
    """Upper case, letters and digits only; empty where no OCR is installed and no one knows the words."""
    source: str
    """known: the data set says so; read: by OCR; found: by shape alone."""


def burned_text(
    sample: Sample, reader: Reader | None, window: str = FILE, vocabulary: Sequence[str] = ()
) -> BurnedText:
    """Return a sample's known words; else what OCR reads; else the boxes that look like text.

    A word of `vocabulary` is recognised inside a longer one, too: scanners write RTAXILLA.
    """
    known = {name: box for name, box in sample.boxes.items() if not name.startswith("caliper")}
    if known:
        return BurnedText(tuple(known.values()), tuple(map(_word, known)), "known")
    image = whole_image(sample, partial(read_sample, window=window))
    if reader is None:
        return BurnedText(tuple(line.box for line in find_text(image)), (), "found")
    lines = reader(image)
    words = [_word(part) for _, text in lines for part in text.split()]
    inside = [known for known in map(_word, vocabulary) if any(known in word for word in words)]
    return BurnedText(tuple(box for box, _ in lines), tuple(dict.fromkeys([*filter(None, words), *inside])), "read")


@cache
def ocr_reader() -> Reader | None:
    """Return what reads words and their boxes, None where the optional package is absent (`medvlm-tui[ocr]`)."""
    if find_spec("rapidocr_onnxruntime") is None:
        return None
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR()

    def read(image: Image.Image) -> list[Line]:
        found, _ = engine(np.asarray(image.convert("RGB"))[..., ::-1])
        lines = [(_around(corners), str(text)) for corners, text, score in found or () if score >= _OCR_CONFIDENCE]
        return [line for line in lines if len(_word(line[1])) >= _FEWEST_LETTERS]

    return read


def grouped_accuracy(texts: Sequence[BurnedText], right: NDArray[np.bool_]) -> list[Measure]:
    """Return the accuracy of images with and without text, and of the images that bear each common word."""
    groups = {WITH_TEXT: [bool(t.boxes) for t in texts], WITHOUT_TEXT: [not t.boxes for t in texts]}
    for word in common_words(texts):
        groups[f"word {word}"] = [word in t.words for t in texts]
    found = []
    for name, members in groups.items():
        chosen = np.array(members, dtype=bool)
        if chosen.sum() >= _FEWEST:
            found.append(About("accuracy_by_text", name).share(right[chosen]))
    return found


def common_words(texts: Sequence[BurnedText]) -> list[str]:
    """Return the words on three images or more, the most common first, twelve at most."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in set(text.words):
            counts[word] = counts.get(word, 0) + 1
    known = sorted((-n, word) for word, n in counts.items() if n >= _FEWEST)
    return [word for _, word in known[:_MOST_WORDS]]


def records(samples: Sequence[Sample], texts: Sequence[BurnedText]) -> tuple[TextRecord, ...]:
    """Return one record per image; of the words only common ones, since a rare one may be a patient's name."""
    common = set(common_words(texts))
    return tuple(
        TextRecord(
            image=sample.id,
            boxes=text.boxes,
            words=tuple(word for word in text.words if word in common),
            by=text.source,
        )
        for sample, text in zip(samples, texts, strict=True)
    )


def _word(text: str) -> str:
    return "".join(letter for letter in clean(text).upper() if letter.isalnum())


def _around(corners: Sequence[Sequence[float]]) -> Box:
    edges = np.array(corners, dtype=np.float64)
    left, top = np.floor(edges.min(axis=0))
    right, bottom = np.ceil(edges.max(axis=0))
    return int(left), int(top), int(right), int(bottom)
