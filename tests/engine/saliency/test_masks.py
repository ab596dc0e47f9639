"""Sums of masks by their grids against sums of the masks, and both estimators on functions whose answer is known."""

import numpy as np
import pytest

from medvlm_tui.engine.saliency.mask_sums import ShiftSums
from medvlm_tui.engine.saliency.masks import CHUNK, MaskStream
from medvlm_tui.engine.saliency.rise import covariance, estimate, relative_error


def all_masks(stream, count):
    chunks = range(-(-count // CHUNK))
    return np.concatenate([stream.masks(c, CHUNK, "cpu").double().numpy() for c in chunks])[:count]


@pytest.mark.parametrize(("cells", "height", "width"), [(7, 32, 40), (4, 30, 30), (7, 5, 6), (1, 8, 8)])
def test_sums_by_grid_are_sums_of_masks(cells, height, width):
    stream = MaskStream(cells, 0.5, 3, height, width)
    masks, weights = all_masks(stream, CHUNK), np.random.default_rng(0).normal(size=(CHUNK, 2))
    grids, shift = stream.draw(0)
    for squares, power in ((False, 1), (True, 2)):
        sums = ShiftSums(stream, 2, squares)
        sums.add(grids[:100], shift[:100], weights[:100])
        sums.add(grids[100:], shift[100:], weights[100:])
        np.testing.assert_allclose(sums.image(), np.einsum("nr,nhw->rhw", weights, masks**power), atol=2e-5)


def test_pairs_are_complements_at_one_shift():
    stream = MaskStream(7, 0.5, 0, 33, 47, paired=True)
    masks = all_masks(stream, 64)
    np.testing.assert_allclose(masks[::2] + masks[1::2], 1.0, atol=1e-6)
    assert not np.allclose(masks[0], masks[2])


def centred(image):
    return image - image.mean()


def linear(side=48):
    y, x = np.mgrid[:side, :side]
    bump = np.exp(-((y - 14) ** 2 + (x - 30) ** 2) / 60) - 0.6 * np.exp(-((y - 36) ** 2 + (x - 10) ** 2) / 40)
    return bump / 10


def test_plain_map_of_a_linear_score_is_the_masks_covariance_times_its_weights():
    stream, weights, offset = MaskStream(7, 0.5, 1, 48, 48), linear(), 0.3
    scores = all_masks(stream, 4096).reshape(4096, -1) @ weights.ravel() + offset
    found = estimate(stream, scores[:, None], "plain")
    wanted = covariance(stream, weights) / 0.5
    assert (np.abs(centred(found.maps[0]) - centred(wanted)) < 3 * found.errors[0]).mean() > 0.99
    assert found.maps[0].mean() == pytest.approx(wanted.mean() + weights.sum() / 2 + offset, abs=0.05)


def test_covariance_is_that_of_many_masks():
    stream, weights = MaskStream(5, 0.5, 0, 20, 20), np.random.default_rng(0).normal(size=(20, 20))
    masks = all_masks(stream, 16384).reshape(16384, -1)
    scores = masks @ weights.ravel()
    seen = ((scores - scores.mean())[:, None] * masks).mean(axis=0).reshape(20, 20)
    exact = covariance(stream, weights)
    assert np.corrcoef(seen.ravel(), exact.ravel())[0, 1] > 0.99
    assert np.abs(seen - exact).max() < 0.1 * np.abs(exact).max()


def test_reduced_map_of_a_linear_score_is_nearly_exact():
    stream, weights = MaskStream(7, 0.5, 1, 48, 48, paired=True), linear()
    scores = all_masks(stream, 4096).reshape(4096, -1) @ weights.ravel() + 5.0
    found = estimate(stream, scores[:, None], "reduced").maps[0]
    wanted = covariance(stream, weights) / 0.5
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.98
    assert np.abs(found - wanted).max() < 0.02 * np.ptp(wanted)  # the score's mean, above 5, is no part of it


def bent(masks, random):
    """A score with even and odd parts beyond the linear one."""
    flat = masks.reshape(len(masks), -1)
    z = flat @ random.normal(size=(flat.shape[1], 20)) / 15
    return flat @ linear(masks.shape[1]).ravel() + 0.2 * np.tanh(z - z.mean()).sum(axis=1) + 0.1 * (z[:, 0] ** 2)


@pytest.mark.parametrize(("estimator", "offset"), [("plain", 0.0), ("plain", 3.0), ("reduced", 3.0)])
def test_standard_error_predicts_the_spread_of_centred_maps_over_seeds(estimator, offset):
    """Also where the score has an offset, whose noise moves all pixels together and which no picture shows."""
    maps, errors, ratios = [], [], []
    for seed in range(40):
        stream = MaskStream(7, 0.5, seed, 24, 24, paired=estimator == "reduced")
        scores = bent(all_masks(stream, 256), np.random.default_rng(0)) + offset
        found = estimate(stream, scores[:, None], estimator)
        maps.append(centred(found.maps[0]))
        errors.append(found.errors[0])
        ratios.append(relative_error(found)[0])
    spread = np.sqrt(np.stack(maps).var(axis=0, ddof=1).mean())
    assert np.sqrt((np.stack(errors) ** 2).mean()) / spread == pytest.approx(1.0, abs=0.15)
    assert np.mean(ratios) == pytest.approx(np.mean([spread / one.std() for one in maps]), rel=0.15)


def test_the_error_is_that_of_each_masks_contribution_to_the_centred_map():
    """The formula with every mask in memory: the spread over masks of s_i (m_i - mean of m_i) / p."""
    stream = MaskStream(5, 0.5, 3, 20, 26)
    masks = all_masks(stream, 600)
    scores = np.stack([bent(masks[:, :20, :20], np.random.default_rng(4)) + 2.0, masks[:, 3, 4]], axis=1)
    found = estimate(stream, scores, "plain")
    centred_masks = masks - masks.mean(axis=(1, 2), keepdims=True)
    for series in range(2):
        parts = scores[:, series, None, None] * centred_masks / 0.5
        np.testing.assert_allclose(found.errors[series], parts.std(axis=0, ddof=1) / np.sqrt(600), rtol=2e-4)


def test_pure_noise_has_a_relative_error_of_one():
    """A score that no mask changes on average: the map's spread is its error (1.15 and more, were the offset in it)."""
    ratios = []
    for seed in range(60):
        stream = MaskStream(7, 0.5, seed, 24, 24)
        scores = 5.0 + np.random.default_rng(seed).normal(size=(512, 1))
        ratios.append(relative_error(estimate(stream, scores, "plain"))[0])
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)


def test_reduced_needs_a_quarter_of_the_masks():
    error = {}
    for estimator, count in (("plain", 2048), ("reduced", 512)):
        maps = []
        for seed in range(6):
            stream = MaskStream(7, 0.5, seed, 24, 24, paired=estimator == "reduced")
            scores = bent(all_masks(stream, count), np.random.default_rng(0))
            one = estimate(stream, scores[:, None], estimator).maps[0]
            maps.append(one - one.mean())
        error[estimator] = np.sqrt(np.stack(maps).var(axis=0, ddof=1).mean())
    assert error["reduced"] < error["plain"]


@pytest.mark.parametrize("estimator", ["plain", "reduced"])
def test_a_constant_score_gives_a_constant_map_by_the_reduced_estimator_and_noise_by_the_plain(estimator):
    stream = MaskStream(7, 0.5, 0, 16, 16, paired=estimator == "reduced")
    found = estimate(stream, np.full((256, 1), 2.0), estimator)
    assert np.isfinite(found.maps).all()
    if estimator == "reduced":
        np.testing.assert_allclose(found.maps, 0.0, atol=1e-12)
        assert relative_error(found)[0] == 0
    else:
        assert (np.abs(centred(found.maps)) < 5 * found.errors).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_masks_give_finite_numbers(count):
    for estimator in ("plain", "reduced"):
        stream = MaskStream(7, 0.5, 0, 16, 16, paired=estimator == "reduced")
        found = estimate(stream, np.ones((count, 1)), estimator)
        assert np.isfinite(found.maps).all()
        assert np.isfinite(found.errors).all()
        assert np.isinf(relative_error(found)).all() == (count < 3 or estimator == "reduced")
