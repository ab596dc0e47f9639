"""`medvlm-tui audit` prints the figures that the published tables support."""

import csv
import json
from importlib.resources import files

import numpy as np
import pytest

# Trait -> the models that the paper counts inside, and those without any text encoder, which take no part.
PAPERS_OWN = {
    "language_model_text_encoder": (
        {"medsiglip", "llava_med", "llava_med_pp", "llava_1_6_mistral", "llm2clip_l14_336"},
        {"uni", "vgg16", "resnet50", "vit_l16", "dinov2_l"},
    ),
    "pmc_15m": ({"biomedclip", "llava_med", "llava_med_pp"}, set()),
}


def apart(inside: set[str], no_part: set[str]) -> float:
    """Return the difference of the printed accuracies' means over models, each data set counted once."""
    text = (files("medvlm_tui") / "catalog" / "published.csv").read_text()
    rows = [r for r in csv.DictReader(text.splitlines()) if (r["source"], r["metric"]) == ("arXiv 2026", "accuracy")]
    sides: dict[bool, list[float]] = {True: [], False: []}
    for row in rows:
        if row["id"] not in no_part:
            sides[row["id"] in inside].append(float(row["mean_percent"]) / 100)
    return float(np.mean(sides[True]) - np.mean(sides[False]))


def test_the_published_tables_support_what_they_support(medvlm) -> None:
    done = medvlm("audit", "--json")
    assert done.code == 0, done.stderr
    accuracy, f1 = json.loads(done.stdout)
    assert (accuracy["metric"], f1["metric"]) == ("accuracy", "f1")
    assert round(accuracy["ranking"]["chi2"], 1) == 97.0
    assert round(accuracy["ranking"]["critical_difference"], 2) == 11.07
    assert (len(accuracy["separable"]), accuracy["pairs"]) == (21, 210)
    assert round(f1["ranking"]["chi2"], 1) == 95.5
    assert len(f1["separable"]) == 19
    assert {g["trait"]: g["inside"] for g in accuracy["groups"]}["language_model_text_encoder"] == 4
    own = {g["trait"]: g for g in accuracy["paper_groups"]}
    for trait, (inside, no_part) in PAPERS_OWN.items():
        assert own[trait]["difference"] == pytest.approx(apart(inside, no_part))
        assert own[trait]["inside"] == len(inside)
    assert round(own["language_model_text_encoder"]["p_value"], 2) == 0.05
    assert round(own["pmc_15m"]["p_value"], 2) == 0.69
    assert (accuracy["equal_spreads"], accuracy["cells"]) == (168, 168)


def test_the_plain_form_says_the_same(medvlm) -> None:
    text = medvlm("audit").stdout
    assert "Friedman chi2 97.0" in text
    assert "21 of 210 pairs" in text
    assert "19 of 210 pairs" in text
    assert "PMC-15M in training against other training data" in text
    assert "as the paper counts, with MedSigLIP: +2.68 points" in text
    assert "as the paper counts, with LLaVA-Med++: +0.68 points" in text
    assert "modality seen in training against modality not seen" in text
    # The critical difference diagram: MedSigLIP leads with a dot and the first bar.
    assert any(line.startswith("  MedSigLIP") and "1.88" in line and "●" in line for line in text.splitlines())
