"""The bias lab's words, chance levels and leads over controls, each against an independent count."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from medvlm_tui.engine.bench.measures import About
from medvlm_tui.engine.bias import measures
from medvlm_tui.engine.bias.experiments import over_every_control

WORDS = 4


def counted_chance(codes, words):
    """SO and OS over every ordered pair of different rows, one by one."""
    pairs = [(i, j) for i in range(len(codes)) for j in range(len(codes)) if i != j]
    so = sum(codes[i] == codes[j] and words[i] != words[j] for i, j in pairs)
    os_ = sum(codes[i] != codes[j] and words[i] == words[j] for i, j in pairs)
    return so / (so + os_)


@pytest.mark.parametrize("counts", [(12, 12), (8, 8, 8), (20, 6, 4), (5,) * 8])
def test_chance_of_robustness_is_that_of_the_classes_and_words_at_hand(counts):
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(len(counts)), counts)
    words = rng.integers(0, 2, len(codes))
    assert measures.robustness_chance(codes, words) == pytest.approx(counted_chance(codes, words), abs=1e-12)


@pytest.mark.parametrize(("classes", "about"), [(2, 1 / 2), (3, 1 / 3), (4, 1 / 4), (8, 1 / 8)])
def test_noise_has_the_chance_of_robustness_and_not_a_half(classes, about):
    """24 rows per class of features that hold neither class nor word."""
    rng, found, said = np.random.default_rng(1), [], []
    for _ in range(20):
        codes = np.repeat(np.arange(classes), 24)
        words = rng.integers(0, 2, len(codes))
        found.append(measures.robustness(rng.normal(size=(len(codes), 16)), codes, words, 10)[0])
        said.append(measures.robustness_chance(codes, words))
    error = stats.sem(found)
    assert np.mean(found) == pytest.approx(np.mean(said), abs=3 * error + 0.01)
    assert np.mean(said) == pytest.approx(about, abs=0.03)


def test_permuted_classes_and_words_have_the_chance_of_robustness():
    """As on unbalanced classes: the index after class and word were shuffled together over the rows."""
    rng = np.random.default_rng(3)
    codes, words = np.repeat([0, 1, 2], [44, 21, 13]), rng.integers(0, 2, 78)
    features = rng.normal(size=(78, 8)) + 2 * np.eye(3)[codes] @ rng.normal(size=(3, 8))
    orders = [rng.permutation(78) for _ in range(100)]
    null = [measures.robustness(features, codes[order], words[order], 10)[0] for order in orders]
    assert measures.robustness_chance(codes, words) == pytest.approx(np.mean(null), abs=0.02)


def test_a_robustness_index_that_all_rows_share_still_has_a_width():
    angles = np.deg2rad([0, 1, 2, 90, 91, 92])
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = measures.robustness_measure(features, np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 0, 1]), 2, 0)
    assert (found.value, found.high) == (1.0, pytest.approx(1.0))
    assert found.low == pytest.approx(stats.binomtest(6, 6).proportion_ci(method="wilson").low)


def test_an_index_without_such_neighbours_is_not_defined():
    features = np.random.default_rng(0).normal(size=(8, 4))
    assert measures.robustness_measure(features, np.zeros(8, int), np.zeros(8, int), 3, 0) is None
    assert np.isnan(measures.robustness_chance(np.zeros(8, int), np.zeros(8, int)))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_level_is_the_share_of_images_with_their_own_word(share, classes):
    codes = np.random.default_rng(5).permutation(np.repeat(np.arange(classes), 40))
    words = measures.correlated_words(codes, WORDS, share, 0)
    for c in range(classes):
        assert (words[codes == c] == c % WORDS).mean() == share  # 40 images: every level is a whole number of them


def test_at_the_even_level_every_word_is_as_common_in_every_class():
    codes = np.repeat(np.arange(3), 40)
    words = measures.correlated_words(codes, WORDS, 1 / WORDS, 7)
    assert all(Counter(words[codes == c].tolist()) == dict.fromkeys(range(WORDS), 10) for c in range(3))


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 8, 26])
@pytest.mark.parametrize("words", [2, 3, 4])
def test_a_reversed_word_is_another_word_of_another_class(classes, words):
    codes = np.arange(classes)
    own, found = codes % words, measures.reversed_words(codes, classes, words)
    assert (found != own).all()
    assert set(found) <= set(own)  # of a class that exists
    following = (codes + 1) % classes % words
    assert (found[following != own] == following[following != own]).all()  # the next class's, where it is another


def test_the_lead_over_every_control_is_the_smallest_and_its_interval_holds_for_that():
    """Two controls as good as the word: the lower end is above zero no more often than one test in forty."""
    rng, false, held = np.random.default_rng(0), 0, 0
    for _ in range(1000):
        differences = [rng.normal(0.0, 1, 12), rng.normal(0.0, 1, 12), rng.normal(2.0, 1, 12)]
        found = over_every_control(differences, ("A",))
        assert found.value == min(one.mean() for one in differences)
        false += found.low > 0
        held += found.low <= 0.0 <= found.high
    assert false / 1000 <= 0.025
    assert held / 1000 >= 0.93
    strong = over_every_control([np.full(8, 1.0) + rng.normal(0, 0.1, 8), np.full(8, 2.0) + rng.normal(0, 0.1, 8)], ())
    assert (strong.low > 0, strong.chance, strong.condition) == (True, 0.0, "every control")


def test_measures_name_the_words_they_are_about():
    assert About("flip_rate", "text", words=("A",)).share(np.array([True, False])).words == ("A",)
