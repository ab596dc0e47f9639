"""Text of a data set's own images: known, read or found; and the groups that it makes."""

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.bias.burned_text import (
    BurnedText,
    burned_text,
    common_words,
    grouped_accuracy,
    ocr_reader,
    records,
)
from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay


def sample(tmp_path, word="", name="a", boxes=None):
    image = Image.new("RGB", (320, 240), (8, 8, 8))
    path = tmp_path / f"{name}.png"
    (draw_overlay(image, OverlaySpec(word, height=0.12)).image if word else image).save(path)
    return Sample(name, path, "x", boxes=boxes or {})


def test_what_the_data_set_knows_comes_first(tmp_path):
    boxes = {"LEFT": (1, 2, 30, 12), "caliper_1": (5, 5, 9, 9)}
    found = burned_text(sample(tmp_path, boxes=boxes), reader=None)
    assert found == BurnedText(((1, 2, 30, 12),), ("LEFT",), "known")


def test_without_ocr_text_is_found_by_its_shape(tmp_path):
    found = burned_text(sample(tmp_path, "RIGHT"), reader=None)
    assert (len(found.boxes), found.words, found.source) == (1, (), "found")
    assert burned_text(sample(tmp_path, name="b"), reader=None).boxes == ()


def test_a_word_is_recognised_inside_a_longer_one(tmp_path):
    found = burned_text(sample(tmp_path), lambda _: [((0, 0, 9, 9), "rt-axilla 3cm")], vocabulary=("AXILLA", "BREAST"))
    assert (found.words, found.source) == (("RTAXILLA", "3CM", "AXILLA"), "read")


def test_groups_of_images_by_their_text():
    with_word, other = BurnedText(((0, 0, 1, 1),), ("AXILLA",), "read"), BurnedText((), (), "read")
    texts = [with_word] * 4 + [other] * 6
    right = np.array([True] * 3 + [False] + [True, False] * 3)
    found = {m.condition: (m.value, m.n) for m in grouped_accuracy(texts, right)}
    assert found == {"text": (0.75, 4), "no text": (0.5, 6), "word AXILLA": (0.75, 4)}


def test_a_rare_word_is_not_recorded_since_it_may_be_a_name(tmp_path):
    texts = [BurnedText((), ("AXILLA",), "read")] * 3 + [BurnedText((), ("AXILLA", "JANEDOE"), "read")]
    samples = [sample(tmp_path, name=str(i)) for i in range(4)]
    assert common_words(texts) == ["AXILLA"]
    assert [record.words for record in records(samples, texts)] == [("AXILLA",)] * 4


@pytest.mark.skipif(ocr_reader() is None, reason="the OCR extra is not installed")
def test_ocr_reads_a_drawn_word(tmp_path):
    assert "AXILLA" in burned_text(sample(tmp_path, "AXILLA"), ocr_reader()).words
