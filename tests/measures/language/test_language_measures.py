"""Measures of texts and images against formulas written out here, and against scikit-learn."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, balanced_accuracy_score, cohen_kappa_score

from medvlm_tui.measures.language import geometry, retrieval, zero_shot


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_a_class_vector_is_the_mean_of_unit_vectors_at_unit_length(rng):
    prompts = [rng.normal(size=(3, 6)) * 10, rng.normal(size=(2, 6))]
    found = zero_shot.class_vectors(prompts)
    for one, of in zip(found, prompts, strict=True):
        mean = sum(vector / np.sqrt((vector**2).sum()) for vector in of) / len(of)
        assert np.allclose(one, mean / np.sqrt((mean**2).sum()))
    kept = zero_shot.class_vectors(prompts, last_unit=False)
    assert np.linalg.norm(kept[0]) < 1


def test_probabilities(rng):
    cosines = rng.uniform(-1, 1, size=(5, 3))
    powers = np.exp(7 * cosines)
    assert np.allclose(zero_shot.probabilities(cosines, 7.0, None), powers / powers.sum(axis=1, keepdims=True))
    each = 1 / (1 + np.exp(-(7 * cosines - 2)))
    assert np.allclose(zero_shot.probabilities(cosines, 7.0, -2.0), each / each.sum(axis=1, keepdims=True))


def test_quadratic_kappa_is_scikit_learns(rng):
    codes, predicted = rng.integers(0, 5, 60), rng.integers(0, 5, 60)
    expected = cohen_kappa_score(codes, predicted, weights="quadratic", labels=range(5))
    assert zero_shot.quadratic_kappa(codes, predicted, 5) == pytest.approx(expected)


def test_names_at_random_score_as_chance_does(rng):
    codes = np.repeat(np.arange(4), 25)
    mean, p_value = zero_shot.chance_by_names(codes, codes, 4, 999, 0)
    assert mean == pytest.approx(0.25, abs=0.03)
    assert p_value < 0.1  # the identity is one of 24 permutations
    mean, p_value = zero_shot.chance_by_names(codes, rng.integers(0, 4, 100), 4, 999, 0)
    assert p_value > 0.1


def test_the_best_threshold(rng):
    positive = rng.random(40) < 0.4
    score = rng.normal(size=40) + positive
    cut = zero_shot.best_threshold(score, positive)
    best = max(balanced_accuracy_score(positive, score > other) for other in [score.min() - 1, *score])
    assert balanced_accuracy_score(positive, score > cut) == pytest.approx(best)


def test_geometry_of_classes(rng):
    first, second = rng.normal(size=(6, 8)), rng.normal(size=(6, 4))
    pairs = [(a, b) for a in range(6) for b in range(a + 1, 6)]

    def cosine(space, a, b):
        return space[a] @ space[b] / np.linalg.norm(space[a]) / np.linalg.norm(space[b])

    similar = [[cosine(space, *pair) for pair in pairs] for space in (first, second)]
    assert geometry.rsa(first, second) == pytest.approx(spearmanr(*similar).statistic)
    grams = [(space - space.mean(axis=0)) @ (space - space.mean(axis=0)).T for space in (first, second)]
    top = (grams[0] * grams[1]).sum()
    expected = top / np.sqrt((grams[0] ** 2).sum() * (grams[1] ** 2).sum())
    assert geometry.linear_cka(first, second) == pytest.approx(expected)
    turned = first @ np.linalg.qr(rng.normal(size=(8, 8)))[0] * 3
    assert geometry.linear_cka(first, turned) == pytest.approx(1.0)
    assert geometry.rsa(first[:3], second[:3]) is None
    assert geometry.linear_cka(first[:2], second[:2]) is None


def test_the_permutation_test_of_few_classes_is_exact(rng):
    first, second = rng.normal(size=(5, 8)), rng.normal(size=(5, 8))
    observed = geometry.linear_cka(first, second)
    every = [geometry.linear_cka(first, second[list(order)]) for order in permutations(range(5))]
    mean, p_value = geometry.permutation_p(geometry.linear_cka, first, second, 10, 0)
    assert mean == pytest.approx(np.mean(every))
    assert p_value == pytest.approx(np.mean([value >= observed - 1e-12 for value in every]))
    assert geometry.permutation_p(geometry.rsa, first[:3], second[:3], 10, 0) is None


def test_directions_of_texts_and_of_a_classifier(rng):
    texts = rng.normal(size=(4, 6))
    assert np.allclose(geometry.direction_cosines(texts, 3 * texts + 7), 1.0)
    two = geometry.direction_cosines(texts[:2], np.array([-texts[0], texts[0]]))
    difference = texts[1] - texts[0]
    expected = difference @ texts[0] / np.linalg.norm(difference) / np.linalg.norm(texts[0])
    assert np.allclose(two, expected)


def test_retrieval(rng):
    codes = rng.integers(0, 3, 40)
    cosines = rng.normal(size=(40, 3)).round(1)  # with ties
    expected = np.mean([average_precision_score(codes == number, cosines[:, number]) for number in range(3)])
    assert retrieval.mean_average_precision(codes, cosines) == pytest.approx(expected, abs=0.02)
    exact = rng.normal(size=(40, 3))
    expected = np.mean([average_precision_score(codes == number, exact[:, number]) for number in range(3)])
    assert retrieval.mean_average_precision(codes, exact) == pytest.approx(expected)
    nearest = [np.mean(codes[np.argsort(-exact[:, number])[:5]] == number) for number in range(3)]
    assert retrieval.precision_at(codes, exact, 5) == pytest.approx(np.mean(nearest))
    assert retrieval.average_precision(codes > 5, exact[:, 0]) is None
