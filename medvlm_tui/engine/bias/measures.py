"""The bias lab's numbers, from features alone: how far an overlay moves them, and what a classifier makes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.bench.measures import fitted
from medvlm_tui.engine.features.neighbours import cosine_neighbours, unit_rows
from medvlm_tui.measures.intervals import share_interval
from medvlm_tui.stages.records.measure import Measure

Floats = NDArray[np.float64]
Features = NDArray[np.floating]
Ints = NDArray[np.int64]


def decodability(first: Features, second: Features, seed: int, folds: int = 5) -> NDArray[np.bool_]:
    """Return (2n,) whether the overlay of each picture is told right (b).

    Rows of `first` and `second` are the same images with two words; both stand on the same side of a fold.
    """
    n = len(first)
    fold = np.random.default_rng(seed).permutation(n) % min(folds, n)
    right = np.zeros((2, n), dtype=bool)
    for f in range(min(folds, n)):
        train, test = fold != f, fold == f
        model = fitted(np.concatenate([first[train], second[train]]), np.repeat([0, 1], int(train.sum())), 2)
        right[0, test] = model.scores(first[test]).argmax(axis=1) == 0
        right[1, test] = model.scores(second[test]).argmax(axis=1) == 1
    return right.ravel()


def robustness(features: Features, codes: Ints, words: Ints, k: int) -> tuple[float, Floats]:
    """Return the index SO / (SO + OS) and (n, 2) each row's SO and OS among its k nearest neighbours (d).

    SO: neighbours of the same class with another overlay; OS: of another class with the same overlay (PathoROB, de
    Jong et al. 2025). An index above `robustness_chance` says that neighbourhoods follow the class, one below it
    that they follow the overlay. NaN where there is no neighbour of either kind.
    """
    near = cosine_neighbours(unit_rows(features), min(k + 1, len(features)), lambda: None).indices[:, 1:]
    same_class, same_word = codes[near] == codes[:, None], words[near] == words[:, None]
    counts = np.stack([(same_class & ~same_word).sum(axis=1), (~same_class & same_word).sum(axis=1)], axis=1)
    return float(_index(counts.sum(axis=0, dtype=np.float64))), counts.astype(np.float64)


def robustness_chance(codes: Ints, words: Ints) -> float:
    """Return the index that features without class or word would give: neighbours drawn from all other rows.

    Counted over all ordered pairs of different rows: those of one class with two words, over these and those of two
    classes with one word. About 1 / k for k classes of equal size and two words: 1 / 2 for two classes only.
    """
    table = np.zeros((int(codes.max()) + 1, int(words.max()) + 1))
    np.add.at(table, (codes, words), 1.0)
    same = (table**2).sum()
    so, os_ = (table.sum(axis=1) ** 2).sum() - same, (table.sum(axis=0) ** 2).sum() - same
    return float(_index(np.array([so, os_])))


def robustness_measure(
    features: Features, codes: Ints, words: Ints, k: int, seed: int, drawn: tuple[str, ...] = (), draws: int = 2000
) -> Measure | None:
    """Return the robustness index with a bootstrap interval over rows, None where it is not defined.

    The neighbours are found once. Where every row agrees, so that all draws do, the interval is Wilson's of as many
    rows: it has a width.
    """
    value, counts = robustness(features, codes, words, k)
    if np.isnan(value):
        return None
    picks = np.random.default_rng(seed).integers(0, len(counts), size=(draws, len(counts)))
    low, high = (float(end) for end in np.nanpercentile(_index(counts[picks].sum(axis=1)), [2.5, 97.5]))
    interval = (low, high) if low < high else share_interval(value * len(counts), len(counts))
    chance = robustness_chance(codes, words)
    known = None if np.isnan(chance) else chance
    bounds = interval or (None, None)
    return Measure("robustness", f"k={k}", value, bounds[0], bounds[1], len(counts), known, drawn)


def _index(counts: Floats) -> Floats:
    """Return SO / (SO + OS) of counts (..., 2), NaN where both are 0."""
    total = counts.sum(axis=-1)
    return np.asarray(np.divide(counts[..., 0], total, out=np.full(total.shape, np.nan), where=total > 0))


def correlated_words(codes: Ints, n_words: int, share: float, seed: int) -> Ints:
    """Return the word of each image, `share` of each class's images bearing their own class's (class modulo words).

    The share is exact up to rounding to whole images. The other images bear the other words, each as often as the
    next up to one image; so at a share of 1 / n_words every word is equally common in every class and tells nothing.
    """
    random, words = np.random.default_rng(seed), np.empty(len(codes), dtype=np.int64)
    for c in np.unique(codes):
        rows = random.permutation(np.flatnonzero(codes == c))
        own = round(share * len(rows))
        others = random.permutation(np.delete(np.arange(n_words), c % n_words))
        words[rows[:own]] = c % n_words
        words[rows[own:]] = np.resize(others, len(rows) - own)
    return words


def reversed_words(codes: Ints, n_classes: int, n_words: int) -> Ints:
    """Return for each image the word of the next class (the first one's after the last) that has another word."""
    after = (np.arange(n_classes)[:, None] + np.arange(1, n_classes)) % n_classes % n_words
    other = after != (np.arange(n_classes) % n_words)[:, None]
    return np.asarray(after[np.arange(n_classes), other.argmax(axis=1)][codes], dtype=np.int64)
