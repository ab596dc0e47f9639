"""Whether a 95 % interval holds the truth 95 times in a hundred: 500 draws of a hold-out whose truth is known."""

import numpy as np
import pytest
from scipy.stats import norm

from medvlm_tui.engine.comparison.intervals_step import interval, resample_weights, resampled_metrics

DRAWS = 500
# Five classifiers that agree on much, as a cross-validation's do: a part of the noise is the image's own.
FOLDS, SHARED = 5, 0.7


def share_covered(truth, draw, draws=DRAWS):
    """Return metric -> share of the draws whose interval holds the truth."""
    held = dict.fromkeys(truth, 0)
    for number in range(draws):
        codes, scores, groups = draw(np.random.default_rng([7, number]))
        weights = resample_weights(codes, 1000, np.random.default_rng([8, number]), groups)
        found = resampled_metrics(codes, weights, scores, 1)
        for name, value in truth.items():
            low, high = interval(found[name], 0.95)
            held[name] += low <= value <= high
    return {name: count / draws for name, count in held.items()}


def noise(rng, n):
    own, fold = rng.normal(size=n), rng.normal(size=(FOLDS, n))
    return np.sqrt(SHARED) * own + np.sqrt(1 - SHARED) * fold


def both_sides(values):
    """Decision values (F, n, 2) of two classes, which mirror each other."""
    return np.stack([-values, values], axis=2)


@pytest.mark.slow
def test_intervals_of_images_cover():
    sizes, shift = (240, 160), 1.1
    right = norm.cdf(shift)  # of either class: the threshold lies in the middle
    codes = np.repeat([0, 1], sizes)
    n_0, n_1 = sizes
    hit_1, false_1 = n_1 * right, n_0 * (1 - right)
    truth = {
        "accuracy": right,
        "balanced_accuracy": right,
        "f1_positive": 2 * hit_1 / (2 * hit_1 + false_1 + n_1 * (1 - right)),
        "auroc": norm.cdf(2 * shift / np.sqrt(2)),
    }

    def draw(rng):
        return codes, both_sides(noise(rng, len(codes)) + shift * (2 * codes - 1)), None

    for name, share in share_covered(truth, draw).items():
        assert 0.93 <= share <= 0.97, f"{name}: {share}"


@pytest.mark.slow
def test_intervals_of_groups_cover_where_those_of_images_do_not():
    # 80 patients of a class with three images each, whose noise is for the most part the patient's.
    patients, images, shift, within = 80, 3, 1.0, 0.8
    codes = np.repeat([0, 1], patients * images)
    groups = np.arange(2 * patients * images) // images

    def scores(rng):
        own = rng.normal(size=2 * patients)[groups]
        each = np.sqrt(within) * own + np.sqrt(1 - within) * rng.normal(size=(FOLDS, len(codes)))
        return both_sides(each + shift * (2 * codes - 1))

    truth = {"accuracy": norm.cdf(shift)}
    by_group = share_covered(truth, lambda rng: (codes, scores(rng), groups))
    by_image = share_covered(truth, lambda rng: (codes, scores(rng), None), 100)
    assert 0.93 <= by_group["accuracy"] <= 0.97, by_group
    assert by_image["accuracy"] < 0.85, by_image


def test_whole_groups_are_drawn_and_classes_keep_their_number_of_groups():
    codes = np.array([0, 0, 1, 1, 1, 0, 1, 0, 2])
    groups = np.array([5, 5, 3, 3, 3, 9, 9, 1, 4])
    weights = resample_weights(codes, 400, np.random.default_rng(0), groups)
    for group in np.unique(groups):
        assert (np.ptp(weights[:, groups == group], axis=1) == 0).all()
    # Groups 5, 9, 1 are of class 0; 3 and 4 stand alone in theirs and are drawn with them.
    assert (weights[:, [0, 2, 5, 7, 8]].sum(axis=1) == 5).all()
    assert (weights[:, 8] == 0).any()
    single = resample_weights(codes, 50, np.random.default_rng(1), np.arange(9))
    assert (single.sum(axis=1) == 9).all()


def test_a_lost_class_has_no_say_in_the_area():
    codes = np.array([0, 0, 1, 1])
    scores = both_sides(np.array([[-1.0, 0.2, 0.1, 1.0]]))
    weights = np.array([[2.0, 2.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    found = resampled_metrics(codes, weights, scores, 1)["auroc"]
    assert np.isnan(found[0])
    assert found[1] == 0.75
    assert interval(found, 0.95) == [0.75, 0.75]
