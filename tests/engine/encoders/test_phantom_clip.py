"""The SYNTHETIC model of the phantom: its captions, its files, and what it knows of phantoms that it has not seen."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.catalog.traits import traits_of
from medvlm_tui.cli import main
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.engine.datasets.phantom.drawing import draw
from medvlm_tui.engine.encoders.phantom_clip import captions
from medvlm_tui.engine.encoders.phantom_clip.captions import Caption, Facts
from medvlm_tui.engine.encoders.text.loading import load_text_encoder, locate_text
from medvlm_tui.engine.run.inputs import model_ids
from tests.made.models import encoder_of

FOLDER = Path(captions.__file__).parent
SPEC = load_models()["phantom_clip"]


def test_a_caption_is_true_of_its_phantom_and_a_choice_has_one_true_caption():
    rng = np.random.default_rng(0)
    for number in range(60):
        facts = Facts(
            captions.KINDS[number % 3], (captions.SITE_WORDS[number % 4], captions.SIDE_WORDS[number // 4 % 4])
        )
        assert captions.caption_of(facts, rng).is_true_of(facts)
        for group in captions.choices(rng):
            assert sum(caption.is_true_of(facts) for caption in group) == 1


def test_truth_by_hand():
    smooth, none = Facts("smooth", ("AX", "LEFT")), Facts("none", ("BREAST", "RT"))
    said = [
        Caption("a lesion and the left side", (("smooth", "spiculated"), ("LEFT", "LT"))),
        Caption("RT", (("RT",),)),
    ]
    assert captions.truth(said, [smooth, none]).tolist() == [[1, 0], [0, 1]]


def test_every_caption_is_written_with_the_vocabulary():
    files = locate_text(SPEC, "", "", FileDigests())
    assert files.missing == ""
    assert (FOLDER / "vocab.txt").read_text().split("\n")[:-1] == list(captions.vocabulary())
    encoder, rng = load_text_encoder(files, "cpu", "fp32"), np.random.default_rng(1)
    texts = [captions.caption_of(Facts("smooth", ("AX", "RT")), rng).text for _ in range(40)]
    tokens = encoder.tokens(texts)
    assert not (tokens.ids == 1).any()  # [UNK]
    assert not tokens.cut.any()


def test_the_weights_are_small_and_say_what_they_are():
    path = FOLDER / "model.safetensors"
    assert path.stat().st_size < 3_000_000
    with safe_open(path, framework="pt") as file:
        assert "SYNTHETIC" in file.metadata()["note"]
    assert "SYNTHETIC" in (FOLDER / "training.log").read_text()
    assert "SYNTHETIC" in SPEC.name
    assert "SYNTHETIC" in SPEC.pretraining_data


def test_it_is_none_of_the_studys_models():
    assert "phantom_clip" not in model_ids(("all",), load_models())
    assert model_ids(("group:synthetic",), load_models()) == ["phantom_clip"]
    assert set(traits_of(SPEC, load_datasets()["phantom"]).values()) == {None}


def test_it_tells_shapes_apart_that_it_has_not_seen():
    """30 phantoms, the three prompts of `bare` alone: what chance finds in one of 10^8 trials."""
    import torch
    from PIL import Image
    from torch.nn import functional

    image, text = encoder_of(SPEC), load_text_encoder(locate_text(SPEC, "", "", FileDigests()), "cpu", "fp32")
    drawn = [
        draw(kind, ("AXILLA", "LEFT"), (320, 240), np.random.default_rng([99, n]))
        for kind in captions.KINDS
        for n in range(10)
    ]
    pixels = torch.stack([image.preprocess(Image.fromarray(one.pixels).convert("RGB")) for one in drawn])
    texts = functional.normalize(text.encode_texts(["no lesion", "a smooth lesion", "a spiculated lesion"]), dim=-1)
    answers = (functional.normalize(image.encode(pixels), dim=-1) @ texts.T).argmax(dim=1)
    assert (answers == torch.arange(3).repeat_interleave(10)).sum() >= 22


@pytest.mark.slow
def test_zero_shot_on_300_unseen_phantoms_through_the_front_door(tmp_path):
    line = [
        "--batch",
        "--models",
        "phantom_clip",
        "--datasets",
        "phantom",
        "--phantom-per-class",
        "100",
        "--seed",
        "314",
    ]
    line += ["--stages", "zero_shot,report", "--workspace", str(tmp_path / "workspace"), "--out", str(tmp_path / "out")]
    assert main([*line, "--device", "cpu", "--offline"]) == 0
    with open(tmp_path / "out" / "zero_shot.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["rows"] == "all" and row["prompt_set"] == "ensemble"]
    (accuracy,) = [row for row in rows if row["metric"] == "accuracy"]
    assert int(accuracy["n"]) == 300
    assert float(accuracy["mean"]) > 0.8
