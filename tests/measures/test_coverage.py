"""Whether intervals hold a known truth: the two hardest designs here, all of them by the simulation script."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from medvlm_tui.measures.score_intervals import score_intervals

ROOT = Path(__file__).parents[2]
DRAWS = 200
# Three standard errors of a share of 200 draws near 0.95.
SLACK = 3 * np.sqrt(0.95 * 0.05 / DRAWS)


def hold_out(rng, n, accuracy, members=None):
    """Codes and decision values (5, n, 2) of classifiers that are right with this chance, mostly together."""
    codes = np.arange(n) % 2
    noise = np.sqrt(0.8) * rng.normal(size=n) + np.sqrt(0.2) * rng.normal(size=(5, n))
    right = np.where(noise < norm.ppf(accuracy), 1.0, -1.0) * (2 * codes - 1)
    return codes, np.stack([-right, right], axis=2)


def test_forty_images_near_one():
    # A percentile bootstrap holds 0.98 in 74 of 100 hold-outs.
    held = []
    for draw in range(DRAWS):
        low, high = score_intervals(*hold_out(np.random.default_rng([1, draw]), 40, 0.98), 1)["accuracy"]
        assert high > low
        held.append(low <= 0.98 <= high)
    assert np.mean(held) >= 0.93 - SLACK


def test_seven_groups():
    held, by_image = [], []
    for draw in range(DRAWS):
        rng = np.random.default_rng([2, draw])
        members = np.repeat(np.arange(7), rng.integers(1, 6, 7))
        rate = rng.beta(2.4, 0.6, 7)[members]
        codes, scores = hold_out(rng, len(members), rate)
        for found, groups in ((held, members), (by_image, None)):
            low, high = score_intervals(codes, scores, 1, groups)["accuracy"]
            found.append(low <= 0.8 <= high)
    assert np.mean(held) >= 0.93 - SLACK
    assert np.mean(by_image) < np.mean(held)


@pytest.mark.slow
def test_the_simulation_in_short():
    script = [sys.executable, str(ROOT / "benchmarks" / "coverage.py"), "--quick"]
    done = subprocess.run(script, capture_output=True, text=True, check=True, timeout=280)
    last = json.loads(done.stdout.splitlines()[-1])
    error = 3 * np.sqrt(0.95 * 0.05 / last["draws"])
    assert last["figures"]["lowest_coverage"]["value"] >= 0.93 - error
    assert last["figures"]["highest_rejection"]["value"] <= 0.05 + error
