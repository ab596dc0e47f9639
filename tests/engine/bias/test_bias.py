"""The bias lab on an encoder that sees the text, and on one that does not."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from medvlm_tui.core.events import StepProgress
from medvlm_tui.engine.bench.measures import median_distance, shift
from medvlm_tui.engine.bias import measures
from tests.made.bias import KILLED, PARAMS, StubEncoder, bench_of


@pytest.fixture
def run_lab(tmp_path):
    def run(reads):
        encoder = StubEncoder(reads)
        record, arrays, _ = bench_of(tmp_path, f"bench-{reads}", encoder).run("bias", PARAMS)
        return {(m["name"], m["condition"]): m for m in record["measures"]}, arrays

    return run


def test_an_encoder_that_reads_is_caught(run_lab):
    found, arrays = run_lab(True)
    assert found["shift", "text"]["value"] > 0.5
    assert found["decodability", "IIII/MMMM"]["value"] > 0.95
    assert found["robustness", "k=10"]["value"] < 0.3
    assert found["accuracy_matching", "1"]["value"] > 0.95
    assert found["accuracy_reversed", "1"]["value"] < 0.2
    assert found["accuracy_reversed", "1"]["value"] < found["accuracy_reversed", "0"]["value"] - 0.3
    assert found["mass_text", "1"]["value"] > found["mass_text", "1"]["chance"], (
        found["mass_text", "1"],
        found["mass_text", "0"],
    )
    assert found["mass_over_area_text", "1"]["value"] == pytest.approx(
        found["mass_text", "1"]["value"] - found["mass_text", "1"]["chance"]
    )
    for one in found.values():
        # No interval below five images, or where all values are equal; never one of zero width.
        assert (one["low"] is None) == (one["high"] is None)
        if one["low"] is not None:
            assert one["low"] <= one["value"] <= one["high"]
            assert one["low"] < one["high"]
    assert found["shift", "text"]["words"] == ["IIII"]
    assert found["accuracy_reversed", "1"]["words"] == ["IIII", "MMMM"]
    assert arrays["shifts"].shape == (5, 16)


def test_an_encoder_that_does_not_read_is_not(run_lab):
    found, _ = run_lab(False)
    for kind in ("text", "box", "scrambled", "lines", "calipers"):
        assert found["shift", kind]["value"] == pytest.approx(0.0, abs=1e-3)
        assert found["flip_rate", kind]["value"] == 0
        assert (found["flip_rate", kind]["low"], found["flip_rate", kind]["n"]) == (0, 16)
        assert found["flip_rate", kind]["high"] == pytest.approx(0.1936, abs=1e-4)  # 0 of 16: z^2 / (n + z^2)
    assert found["decodability", "IIII/MMMM"]["value"] <= 0.6
    assert found["accuracy_reversed", "1"]["value"] == pytest.approx(found["accuracy_matching", "1"]["value"])


def test_the_maps_hide_pixels_as_asked(tmp_path):
    encoder, maps = StubEncoder(True), {}
    small = replace(KILLED, rise_masks=8, train_per_class=4, test_per_class=2)
    for fill in ("mean", "black"):
        record, arrays, _ = bench_of(tmp_path, fill, encoder).run("bias", replace(small, rise_fill=fill))
        assert record["rise_fill"] == fill
        maps[fill] = arrays["maps"]
    assert maps["mean"].shape == maps["black"].shape
    assert np.abs(maps["mean"] - maps["black"]).max() > 0.01


def test_only_as_many_images_as_asked_are_explained_again_without_the_word(tmp_path):
    encoder = StubEncoder(True)
    small = replace(KILLED, rise_masks=8, train_per_class=4, test_per_class=2, rise_images=2)
    seen = {}
    for removed in (0, 1, 9):
        encoder.seen = 0
        bench = bench_of(tmp_path, f"removed-{removed}", encoder)
        before = encoder.seen
        record, arrays, events = bench.run("bias", replace(small, rise_removed=removed))
        seen[removed] = encoder.seen - before
        counts = {m["n"] for m in record["measures"] if m["name"] == "removal_mass"}
        # Two classes; one more class of images for each that is explained again, never more than are explained.
        assert counts == ({2 * min(removed, 2)} if removed else set())
        assert len(arrays["maps"]) == 4
        last = [event for event in events if isinstance(event, StepProgress)][-1]
        assert last.done == last.total
    three_ways = 3 * (8 + 1)  # masks, and the picture itself
    assert seen[1] - seen[0] == 2 * three_ways
    assert seen[9] - seen[0] == 4 * three_ways


KILLED_AT = {"features": 0.15, "maps": 0.6, "the last map": 0.97}


@pytest.mark.parametrize(
    "share",
    [pytest.param(at, id=where, marks=[pytest.mark.slow] * (where != "maps")) for where, at in KILLED_AT.items()],
)
def test_a_killed_lab_goes_on_from_what_it_kept(tmp_path, share):
    encoder = StubEncoder(True)
    whole = bench_of(tmp_path, "whole", encoder)
    encoder.seen = 0
    record, arrays, _ = whole.run("bias", KILLED)
    seen, dies_after = encoder.seen, int(share * encoder.seen)
    line = [sys.executable, "-m", "tests.made.bias", tmp_path, str(dies_after)]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    bench = bench_of(tmp_path, "killed", encoder)
    assert bench.store.keys("bias/")
    encoder.seen = 0
    again, resumed, _ = bench.run("bias", KILLED)
    # At most one batch of features or one map's masks again, and each map's own prediction.
    assert encoder.seen < seen - dies_after + 128
    assert bench.store.keys("bias/") == []
    assert again["measures"] == record["measures"]
    for name, values in arrays.items():
        np.testing.assert_array_equal(values, resumed[name], err_msg=name)


def test_robustness_counts_neighbours():
    angles = np.deg2rad([0, 1, 2, 90, 91, 92])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    by_class, words = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 0, 1])
    assert measures.robustness(features, by_class, words, 2)[0] == 1.0
    assert measures.robustness(features, words, by_class, 2)[0] == 0.0


def test_shift_is_in_units_of_the_distance_between_images():
    random = np.random.default_rng(0)
    before = random.normal(size=(30, 8)).astype(np.float32)
    pairs = [1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b) for i, a in enumerate(before) for b in before[:i]]
    assert median_distance(before) == pytest.approx(float(np.median(pairs)), rel=1e-5)
    np.testing.assert_allclose(shift(before, before), 0, atol=1e-6)
    np.testing.assert_allclose(shift(before, -before), 2 / np.median(pairs), rtol=1e-5)
