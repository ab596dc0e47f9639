"""Whether the intervals hold the truth and the tests keep their level: simulated hold-outs whose truth is known.

Five classifiers of one model see the same images: their decision values share a part of the noise (correlation 0.8, of
other strengths where said), as a cross-validation's do. Every draw goes through the product's own functions. Printed
as the tables of docs/statistics.md; the last line is JSON. 2,000 draws take ten minutes of one core, `--quick` a
minute with fewer draws and cells, whose chance error is printed.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from medvlm_tui.engine.similarity.deletions import cka_left_out, interval
from medvlm_tui.engine.similarity.measures import DebiasedCka
from medvlm_tui.measures.exchange import Images, Outputs, exchange_p_values
from medvlm_tui.measures.influence import influences
from medvlm_tui.measures.paired_scores import score_difference
from medvlm_tui.measures.paired_tests import mcnemar
from medvlm_tui.measures.score_intervals import score_intervals

FOLDS, SHARED = 5, 0.8
SIZES = ((15, 3), (40, 2), (72, 3), (200, 2), (574, 4))
"""Held-out images and classes."""
ACCURACIES = (0.75, 0.95, 0.98)
GROUP_COUNTS = (7, 15, 40, 100)
AGREEMENTS = (0.0, 0.05, 0.25, 0.6, 1.0)
"""Correlation of right and wrong among the images of a group: independent images to complete agreement."""
CKA_SIZES = ((15, 8), (40, 8), (40, 64), (100, 64), (200, 64), (400, 64))
"""Images and dimensions of the two feature spaces whose CKA is known."""
RATES = ((2.4, 0.6), (19.0, 1.0), (49.0, 1.0))
"""Beta distributions of the groups' accuracies: means 0.8, 0.95, 0.98."""
TEST_SIZES = (10, 15, 40, 80, 200, 574)
GROUPED_SIZES = ((12, 4), (30, 5), (80, 3))
"""Groups and images of each."""
EXCHANGES = 999
Counts = Mapping[str, int]


@dataclass(frozen=True)
class Cell:
    """One line of a table: what is drawn, and what of it is counted."""

    name: str
    draw: Callable[[np.random.Generator], Counts]
    """Count name -> 1 where the interval held the truth, or where the test rejected at 0.05."""


@cache
def shift_for(accuracy: float, k: int) -> float:
    """Return how much higher the true class's standard normal score must be for this accuracy among k classes."""

    def reached(shift: float) -> float:
        return quad(lambda x: norm.pdf(x - shift) * norm.cdf(x) ** (k - 1), -9, 12)[0]

    return float(brentq(lambda shift: reached(shift) - accuracy, 0, 9))


def scores(
    rng: np.random.Generator, codes: np.ndarray, k: int, shift: float, image: np.ndarray, shared: float = SHARED
) -> np.ndarray:
    """Return decision values (F, n, k); `image` (n, k) is the noise that all classifiers see."""
    own = rng.normal(size=(FOLDS, len(codes), k))
    values = np.sqrt(shared) * image + np.sqrt(1 - shared) * own + shift * np.eye(k)[codes]
    # Two classes mirror each other, as those of a binary SVM do.
    return values if k > 2 else (values[..., [1]] - values[..., [0]]) * np.array([-1, 1]) / np.sqrt(2)


def interval_draw(rng: np.random.Generator, n: int, k: int, accuracy: float, shared: float) -> Counts:
    """Return which intervals of one hold-out of independent images hold the truth."""
    codes, shift = np.arange(n) % k, shift_for(accuracy, k)
    found = score_intervals(codes, scores(rng, codes, k, shift, rng.normal(size=(n, k)), shared), 1 if k == 2 else None)
    # All classes are equally hard, so that accuracy, balanced accuracy and F1 are one number.
    area = norm.cdf(shift / np.sqrt(2)) if k > 2 else norm.cdf(shift)
    truth = {name: area if name == "auroc" else accuracy for name in found}
    return {name: int(low <= truth[name] <= high) for name, (low, high) in found.items()}


def grouped_interval_draw(rng: np.random.Generator, groups: int, a: float, b: float) -> Counts:
    """Return whether the interval by groups of one to five images holds the mean of the groups' accuracies."""
    members = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    n, rate = len(members), rng.beta(a, b, groups)[members]
    noise = np.sqrt(SHARED) * rng.normal(size=n) + np.sqrt(1 - SHARED) * rng.normal(size=(FOLDS, n))
    codes = rng.integers(0, 2, n)
    right = np.where(norm.cdf(noise) < rate, 1.0, -1.0) * (2 * codes - 1)
    low, high = score_intervals(codes, np.stack([-right, right], axis=2), 1, members)["accuracy"]
    return {"accuracy": int(low <= a / (a + b) <= high)}


def agreeing_interval_draw(rng: np.random.Generator, groups: int, accuracy: float, agreement: float) -> Counts:
    """Return the same for groups whose images are right together with a correlation of `agreement`."""
    if agreement in (0.0, 1.0):
        rates = np.full(groups, accuracy) if agreement == 0 else (rng.random(groups) < accuracy).astype(float)
    else:
        weight = 1 / agreement - 1
        rates = rng.beta(accuracy * weight, (1 - accuracy) * weight, groups)
    members = np.repeat(np.arange(groups), rng.integers(1, 6, groups))
    n = len(members)
    noise = np.sqrt(SHARED) * rng.normal(size=n) + np.sqrt(1 - SHARED) * rng.normal(size=(FOLDS, n))
    codes = rng.integers(0, 2, n)
    right = np.where(norm.cdf(noise) < rates[members], 1.0, -1.0) * (2 * codes - 1)
    low, high = score_intervals(codes, np.stack([-right, right], axis=2), 1, members)["accuracy"]
    return {"accuracy": int(low <= accuracy <= high)}


def cka_draw(rng: np.random.Generator, n: int, dim: int, common: float) -> Counts:
    """Return whether the jackknife's interval of CKA over n images holds that of all images, which is known.

    Two linear views of one Gaussian source, with noise of their own: CKA of all images is the squared norm of the
    covariance between them over the product of the norms within them.
    """
    views = np.random.default_rng(3).normal(size=(2, 6, dim)) / np.sqrt(6)
    scales = np.array([3.0, 2.0, 1.5, 1.0, 0.7, 0.5])
    views[1] = common * views[0] + np.sqrt(1 - common**2) * views[1]
    source = rng.normal(size=(n, 6)) * scales
    x, y = (source @ view + 0.3 * rng.normal(size=(n, dim)) for view in views)
    inner = np.diag(scales**2)
    within = [view.T @ inner @ view + 0.09 * np.eye(dim) for view in views]
    between = views[0].T @ inner @ views[1]
    truth = (between**2).sum() / np.sqrt((within[0] ** 2).sum() * (within[1] ** 2).sum())
    measure = DebiasedCka.of(x, y)
    low, high = interval(measure.value(), cka_left_out(measure), -1.0, 1.0)
    return {} if low is None or high is None else {"cka": int(low <= truth <= high), "defined": 1}


def test_draw(rng: np.random.Generator, n: int, k: int, accuracy: float) -> Counts:
    """Return which tests tell two equally good models apart on independent images, and whose interval holds 0."""
    codes, shift = np.arange(n) % k, shift_for(accuracy, k)
    common = rng.normal(size=(n, k))
    noise = [(common + rng.normal(size=(n, k))) / np.sqrt(2) for _ in range(2)]
    return _tested(rng, codes, [scores(rng, codes, k, shift, each) for each in noise], None)


def grouped_test_draw(rng: np.random.Generator, groups: int, size: int) -> Counts:
    """Return the same for images of groups: 0.6 of the group (both models), 0.6 of it (each), 0.5 of the image."""
    members = np.repeat(np.arange(groups), size)
    codes = rng.integers(0, 2, len(members))
    common, made = 0.6 * rng.normal(size=groups)[members], []
    for _ in range(2):
        image = common + 0.6 * rng.normal(size=groups)[members] + 0.5 * rng.normal(size=len(members))
        value = image + 0.3 * rng.normal(size=(FOLDS, len(members))) + 0.75
        mirrored = value * (2 * codes - 1)
        made.append(np.stack([-mirrored, mirrored], axis=2))
    return _tested(rng, codes, made, members)


def _tested(rng: np.random.Generator, codes: np.ndarray, models: list[np.ndarray], groups: np.ndarray | None) -> Counts:
    k = models[0].shape[2]
    positive = 1 if k == 2 else None
    images = Images(codes, k, positive, groups)
    outputs = [Outputs.of(each) for each in models]
    found = exchange_p_values(images, *outputs, EXCHANGES, int(rng.integers(2**31)))
    right = [each[-1].argmax(axis=1) == codes for each in models]
    rejected = {name: int(p <= 0.05) for name, p in found.items()} | {"mcnemar": int(mcnemar(*right).mid_p <= 0.05)}
    scored = [influences(codes, each, positive)["accuracy"] for each in models]
    held = score_difference(*scored, codes, groups)
    return {**rejected, "difference_interval": int(held.low <= 0 <= held.high)}


def cells(quick: bool) -> dict[str, list[Cell]]:
    """Return the lines of each table."""
    images = [(n, k, p, SHARED) for n, k in SIZES for p in ACCURACIES]
    others = [(40, 2, 0.95, 0.5), (40, 2, 0.95, 0.95), (72, 3, 0.98, 0.5), (72, 3, 0.98, 0.95)]
    grouped = [(g, *rate) for g in GROUP_COUNTS for rate in RATES]
    tests = [(n, k, 0.85) for n in TEST_SIZES for k in ((3,) if n in (15, 574) else (2,))]
    agreeing = [(g, p, a) for g in (15, 40) for p in (0.8, 0.98) for a in AGREEMENTS]
    alike = [(n, dim, common) for n, dim in CKA_SIZES for common in (0.3, 0.9)]
    if quick:
        images, others, grouped = [i for i in images if i[0] in (15, 40, 200)], [], grouped[:6]
        tests = [t for t in tests if t[0] in (10, 40)]
        agreeing, alike = agreeing[:3], [each for each in alike if each[0] <= 40]
    return {
        "Coverage of the 95 % interval, independent images": [
            Cell(f"{n} images, {k} classes, accuracy {p:g}" + ("" if s == SHARED else f", correlation {s:g}"),
                 partial(interval_draw, n=n, k=k, accuracy=p, shared=s))
            for n, k, p, s in [*images, *others]
        ],
        "Coverage of the 95 % interval, groups of 1 to 5 images": [
            Cell(f"{g} groups, accuracy {a / (a + b):g}", partial(grouped_interval_draw, groups=g, a=a, b=b))
            for g, a, b in grouped
        ],
        "Coverage by how far the images of a group agree": [
            Cell(f"{g} groups, accuracy {p:g}, agreement {a:g}",
                 partial(agreeing_interval_draw, groups=g, accuracy=p, agreement=a))
            for g, p, a in agreeing
        ],
        "Coverage of the 95 % interval of CKA": [
            Cell(f"{n} images, {dim} dimensions, {'alike' if c > 0.5 else 'unlike'}",
                 partial(cka_draw, n=n, dim=dim, common=c))
            for n, dim, c in alike
        ],
        "Rejections at 0.05, two equally good models, independent images": [
            Cell(f"{n} images, {k} classes", partial(test_draw, n=n, k=k, accuracy=p)) for n, k, p in tests
        ],
        "Rejections at 0.05, two equally good models, groups": [
            Cell(f"{g} groups of {m}", partial(grouped_test_draw, groups=g, size=m))
            for g, m in (GROUPED_SIZES[:1] if quick else GROUPED_SIZES)
        ],
    }  # fmt: skip


def shares(cell: Cell, draws: int) -> dict[str, float]:
    """Return the share of draws that count, name by name; each draw has a random stream of its own."""
    totals: dict[str, int] = {}
    for number in range(draws):
        for name, count in cell.draw(np.random.default_rng([11, number])).items():
            totals[name] = totals.get(name, 0) + count
    return {name: total / draws for name, total in totals.items()}


def table(title: str, lines: list[tuple[str, dict[str, float]]], draws: int) -> Iterator[str]:
    """Yield a table of shares as Markdown."""
    names = list(dict.fromkeys(name for _, found in lines for name in found))
    yield f"\n{title} ({draws:,} draws each)\n"
    yield f"| | {' | '.join(name.replace('_', ' ') for name in names)} |"
    yield f"|---|{'---|' * len(names)}"
    for name, found in lines:
        yield f"| {name} | {' | '.join(f'{found[n]:.3f}' if n in found else '' for n in names)} |"


def main() -> None:
    """Print the tables and the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute: fewer draws and cells")
    parser.add_argument("--draws", type=int, default=0, help="for each line (2,000; 300 with --quick)")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    options = parser.parse_args()
    draws = options.draws or (300 if options.quick else 2000)
    print(__doc__)
    print(f"Standard error of a share near 0.95 with {draws:,} draws: {math.sqrt(0.95 * 0.05 / draws):.4f}")
    coverage, rejected = [], []
    with ProcessPoolExecutor(options.workers) as pool:
        for title, lines in cells(options.quick).items():
            found = list(pool.map(shares, lines, [draws] * len(lines)))
            print("\n".join(table(title, [(c.name, f) for c, f in zip(lines, found, strict=True)], draws)), flush=True)
            into = coverage if title.startswith("Coverage") else rejected
            # CKA's own figures stand in the table; few images hold less than the scores' target.
            into += [f["accuracy"] for f in found if "accuracy" in f]
    figures = {
        "lowest_coverage": {"value": min(coverage), "target": 0.93, "better": "higher"},
        "highest_rejection": {"value": max(rejected), "target": 0.06, "better": "lower"},
    }
    machine = {"machine": platform.machine(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "coverage", "machine": machine, "draws": draws, "figures": figures}))


if __name__ == "__main__":
    main()
