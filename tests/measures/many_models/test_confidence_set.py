"""The model confidence set: against all sign flips written out, and its coverage in simulation."""

from itertools import product

import numpy as np
import pytest

from medvlm_tui.measures.many_models.confidence_set import confidence_set


def by_hand(totals: np.ndarray, models: list[int]) -> float:
    """The p-value of equal models over all sign flips, pair by pair."""

    def statistic(values: np.ndarray) -> float:
        best = 0.0
        for i in models:
            for j in models:
                difference = values[:, i] - values[:, j]
                size = np.sqrt((difference**2).sum())
                best = max(best, difference.sum() / size if size else 0.0)
        return best

    observed = statistic(totals)
    flips = [statistic(totals * np.array(signs)[:, None]) for signs in product((-1, 1), repeat=len(totals))]
    return float(np.mean([flip >= observed - 1e-12 for flip in flips]))


def test_the_first_p_value_is_that_of_all_sign_flips() -> None:
    totals = np.random.default_rng(3).integers(0, 5, (7, 3)).astype(float)
    found = confidence_set(totals)
    assert found.exhaustive
    assert found.p_values[found.removal[0]] == pytest.approx(by_hand(totals, [0, 1, 2]))
    rest = sorted(found.removal[1:])
    second = max(by_hand(totals, [0, 1, 2]), by_hand(totals, rest))
    assert found.p_values[found.removal[1]] == pytest.approx(second)


def test_a_clearly_worse_model_leaves_and_the_order_of_models_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    totals = (rng.random((200, 3)) < [0.9, 0.9, 0.6]).astype(float)
    assert confidence_set(totals).inside.tolist() == [True, True, False]
    turned = confidence_set(totals[:, ::-1])
    assert turned.inside.tolist() == [False, True, True]
    assert turned.p_values[::-1] == pytest.approx(confidence_set(totals).p_values)


def test_few_images_remove_nobody_and_one_model_stands_alone() -> None:
    totals = np.array([[1.0, 0.0]] * 4)
    assert confidence_set(totals).inside.all()  # the smallest p-value of four images is 2 / 2^4
    alone = confidence_set(np.ones((4, 1)))
    assert alone.inside.all()
    assert alone.p_values.tolist() == [1.0]
    with pytest.raises(ValueError, match="needs a model"):
        confidence_set(np.ones((4, 0)))


def test_models_that_never_differ_share_their_p_value() -> None:
    column = np.random.default_rng(1).integers(0, 2, 60).astype(float)
    found = confidence_set(np.stack([column, column, column], axis=1))
    assert found.p_values == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("images", [40, 150, 600])
@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_the_set_holds_the_best_at_its_level(images: int, shared: float) -> None:
    """Two equal models and one that is 8 points worse, whose errors are independent or mostly the same."""
    rng = np.random.default_rng([images, int(10 * shared)])
    draws, kept, removed = 500, 0, 0
    for _ in range(draws):
        common, own = rng.random((images, 1)), rng.random((images, 3))
        chance = np.where(rng.random((images, 1)) < shared, common, own)
        found = confidence_set((chance < [0.88, 0.88, 0.80]).astype(float), draws=999)
        kept += bool(found.inside[:2].all())
        removed += not found.inside[2]
    assert kept / draws >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / draws)  # both equal models are best: three standard errors
    if images == 600:
        assert removed / draws > 0.8
