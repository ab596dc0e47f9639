"""Words in pictures by words: the measures by their definitions, and a run over a small CLIP of open_clip's."""

from __future__ import annotations

import contextlib
import csv
import io
import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch.nn import functional

from medvlm_tui.cli import main
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.bias import reading
from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay
from medvlm_tui.stages.language import READING
from tests.made.language import coloured, saved_clip
from tests.made.models import local

WORDS = ("AB", "CD")


def test_nonsense_has_the_letters_of_its_word_and_is_no_word():
    words = ("BREAST", "AXILLA", "LEFT", "RIGHT")
    made = reading.nonsense_of(words, seed=0)
    assert [sorted(each) for each in made] == [sorted(word) for word in words]
    assert not set(made) & set(words)
    assert len(set(made)) == 4
    assert made == reading.nonsense_of(words, seed=0) != reading.nonsense_of(words, seed=1)


def test_a_word_of_one_letter_gets_another_letter():
    made = reading.nonsense_of(("A", "LT"), seed=0)
    assert made[0] != "A"
    assert made[1] == "TL"
    assert [len(each) for each in made] == [1, 2]


def made_cosines(rng):
    plain = rng.normal(size=(7, 6))
    drawn = {kind: rng.normal(size=(3, 7, 6)) for kind in ("text", "nonsense", "scrambled")}
    drawn["box"] = rng.normal(size=(1, 7, 6))
    classes = {kind: rng.normal(size=(len(each), 7, 4)) for kind, each in drawn.items()}
    return reading.Cosines(plain, drawn, rng.normal(size=(7, 4)), classes)


def test_the_measures_of_words_by_their_definition():
    cosines, words = made_cosines(np.random.default_rng(4)), ("A", "B", "C")
    found = {(m.name, m.condition): m for m in reading.of_words(cosines, words)}

    def lead(kind, first):
        return np.array([
            np.mean([
                (change := cosines.drawn[kind][w, i] - cosines.plain[i])[first + w]
                - np.mean([change[first + v] for v in range(3) if v != w])
                for w in range(3)
            ])
            for i in range(7)
        ])  # fmt: skip

    hits = [np.argmax((cosines.drawn["text"][w, i] - cosines.plain[i])[:3]) == w for w in range(3) for i in range(7)]
    assert found["word_retrieval", "text"].value == pytest.approx(np.mean(hits))
    assert found["word_retrieval", "text"].chance == pytest.approx(1 / 3)
    for kind, first in (("text", 0), ("nonsense", 3), ("scrambled", 0)):
        assert found["word_lead", kind].value == pytest.approx(lead(kind, first).mean())
    assert found["word_lead_over_control", "scrambled"].value == pytest.approx(
        (lead("text", 0) - lead("scrambled", 0)).mean()
    )
    assert found["word_lead_over_control", "nonsense"].value == pytest.approx(
        (lead("text", 0) - lead("nonsense", 3)).mean()
    )
    assert np.mean([found["word_lead_of", word].value for word in words]) == pytest.approx(lead("text", 0).mean())
    assert all(m.low < m.value < m.high for m in found.values())


def test_the_measures_of_classes_by_their_definition():
    cosines, codes = made_cosines(np.random.default_rng(5)), np.array([0, 1, 2, 3, 0, 1, 2])
    found = {(m.name, m.condition): m for m in reading.of_classes(cosines, codes, ("A", "B", "C"))}
    plain = cosines.class_plain
    for kind, drawn in cosines.class_drawn.items():
        flips = [drawn[w, i].argmax() != plain[i].argmax() for w in range(len(drawn)) for i in range(7)]
        assert found["zero_shot_flip_rate", kind].value == pytest.approx(np.mean(flips))
        moved = [
            (after := drawn[w, i])[codes[i]] - np.delete(after, codes[i]).mean()
            - plain[i, codes[i]] + np.delete(plain[i], codes[i]).mean()
            for w in range(len(drawn)) for i in range(7)
        ]  # fmt: skip
        assert found["class_margin_change", kind].value == pytest.approx(np.mean(moved))
    assert found["zero_shot_accuracy", "without"].value == pytest.approx((plain.argmax(axis=1) == codes).mean())
    assert found["zero_shot_flips_over_control", "scrambled"].value == pytest.approx(
        found["zero_shot_flip_rate", "text"].value - found["zero_shot_flip_rate", "scrambled"].value
    )
    assert found["class_margin_change", "box"].words == ("A",)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder of images, a model, and what the bias lab left behind."""
    folder = tmp_path_factory.mktemp("reading")
    coloured(folder / "made", each=8, side_px=64)
    model = saved_clip(folder / "clip")
    line = ["--batch", "--models", f"local:{folder / 'clip'},efficientnet_lite0", "--datasets", "made"]
    line += ["--data", f"made={folder / 'made'}", "--stages", "bias,report", "--bias-words", ",".join(WORDS)]
    line += ["--bias-masks", "0", "--bias-train", "2", "--bias-test", "2", "--bias-size", "0.2"]
    line += ["--workspace", str(folder / "workspace"), "--out", str(folder / "out")]
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert main([*line, "--device", "cpu", "--precision", "fp32", "--offline"]) == 0, said.getvalue()
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    (step,) = [step for step in manifest["plan"]["steps"] if step["kind"] == READING.kind]
    with Store(Workspace(folder / "workspace").store, read_only=True) as store:
        return folder, model, store.read_record(step["key"], READING.record), store.result(step["key"]).arrays


def test_the_cosines_are_open_clips_own(study):
    folder, model, record, arrays = study
    encoder = local(folder / "clip")
    texts = [[t.format(word) for t in record.templates] for word in (*record.words, *record.nonsense)]
    with torch.no_grad():
        words = [model.encode_text(open_clip.tokenize(of), normalize=True).mean(dim=0) for of in texts]
        words = torch.stack([functional.normalize(each, dim=-1) for each in words])
        for place, kind in enumerate(("plain", *record.kinds)):
            word = record.drawn[place - 1]
            spec = OverlaySpec(word, "text" if kind == "nonsense" else kind, record.position, 0.2, seed=record.seed)
            pictures = [Image.open(folder / "made" / name).convert("RGB") for name in record.images]
            if kind != "plain":
                pictures = [draw_overlay(each, spec).image for each in pictures]
            pixels = torch.stack([encoder.preprocess(each) for each in pictures])
            expected = model.encode_image(pixels, normalize=True) @ words.T
            assert np.allclose(arrays["cosines"][place], expected.numpy(), atol=1e-5), kind
    assert record.kinds.count("scrambled") == record.kinds.count("text") == record.kinds.count("nonsense") == 2
    assert record.kinds.count("box") == 1
    assert len(record.images) == record.n_test == 5


def test_it_is_in_the_files_and_models_without_text_have_no_part(study):
    folder, _, record, _ = study
    with open(folder / "out" / "reading.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == {f"local:{folder / 'clip'}"}
    first = next(row for row in rows if (row["measure"], row["condition"]) == ("word_retrieval", "text"))
    assert float(first["value"]) == record.by_name["word_retrieval", "text"].value
    assert float(first["chance"]) == 0.5
    assert "Words in pictures" in (folder / "out" / "report.html").read_text()
