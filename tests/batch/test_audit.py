"""`medvlm-tui audit` prints the figures that the published tables support."""

import json


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
    assert (accuracy["equal_spreads"], accuracy["cells"]) == (168, 168)


def test_the_plain_form_says_the_same(medvlm) -> None:
    text = medvlm("audit").stdout
    assert "Friedman chi2 97.0" in text
    assert "21 of 210 pairs" in text
    assert "19 of 210 pairs" in text
    assert "PMC-15M in training against other training data" in text
    assert "modality seen in training against modality not seen" in text
    # The critical difference diagram: MedSigLIP leads with a dot and the first bar.
    assert any(line.startswith("  MedSigLIP") and "1.88" in line and "●" in line for line in text.splitlines())
