"""Hold-out and folds: stratified, seeded, disjoint, and clear about classes that are too small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from medvlm_tui.engine.datasets.splits.stratified import split
from medvlm_tui.errors import MedvlmError, UsageError
from medvlm_tui.stages.params.probe import SplitParams


def test_it_is_sklearn_s_split():
    labels = np.repeat(["a", "b", "c"], [150, 100, 50])
    held = np.sort(next(StratifiedShuffleSplit(1, test_size=0.2, random_state=3).split(labels, labels))[1])
    rest = np.setdiff1d(np.arange(300), held)
    ours = split(labels, SplitParams(seed=3))
    np.testing.assert_array_equal(ours.hold_out, held)
    for fold, (train, val) in enumerate(
        StratifiedKFold(5, shuffle=True, random_state=3).split(labels[rest], labels[rest])
    ):
        np.testing.assert_array_equal(ours.validation(fold), rest[val])
        np.testing.assert_array_equal(ours.training(fold), rest[train])


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(8, 60), min_size=2, max_size=5),
    folds=st.integers(2, 5),
    hold_out=st.sampled_from([0.2, 0.25, 0.3]),
    seed=st.integers(0, 10**6),
    order=st.randoms(use_true_random=False),
)
def test_every_row_is_somewhere_once_and_classes_are_in_proportion(sizes, folds, hold_out, seed, order):
    labels = [f"class {i}" for i, n in enumerate(sizes) for _ in range(n)]
    order.shuffle(labels)
    labels = np.array(labels)
    params = SplitParams(hold_out, folds, seed)
    drawn = split(labels, params)
    again = split(labels, params)
    np.testing.assert_array_equal(drawn.hold_out, again.hold_out)
    np.testing.assert_array_equal(drawn.fold, again.fold)
    assert drawn.fold.dtype == np.int8
    np.testing.assert_array_equal(np.flatnonzero(drawn.fold == -1), drawn.hold_out)
    assert set(drawn.fold) == {-1, *range(folds)}
    assert len(drawn.hold_out) == int(np.ceil(hold_out * len(labels)))
    for name in np.unique(labels):
        members = labels == name
        held = members[drawn.hold_out].sum()
        assert abs(held - len(drawn.hold_out) / len(labels) * members.sum()) <= 1
        per_fold = [np.sum(members & (drawn.fold == k)) for k in range(folds)]
        assert max(per_fold) - min(per_fold) <= 1
    for k in range(folds):
        assert not set(drawn.training(k)) & set(drawn.validation(k))
        assert not set(drawn.training(k)) & set(drawn.hold_out)


def test_the_seed_matters():
    labels = np.repeat(["a", "b"], 100)
    assert not np.array_equal(split(labels, SplitParams(seed=0)).hold_out, split(labels, SplitParams(seed=1)).hold_out)


def test_a_class_too_small_is_named_with_its_count():
    labels = ["big"] * 100 + ["tiny"] * 5
    with pytest.raises(MedvlmError, match="tiny 5") as caught:
        split(labels, SplitParams())
    assert "big" not in caught.value.message
    assert caught.value.hint
    assert len(split(["big"] * 100 + ["tiny"] * 6, SplitParams()).hold_out) == 22


@pytest.mark.parametrize("params", [SplitParams(hold_out=0.0), SplitParams(hold_out=1.0), SplitParams(folds=1)])
def test_parameters_out_of_range(params):
    with pytest.raises(UsageError):
        split(["a"] * 50 + ["b"] * 50, params)


def test_one_class_cannot_be_split():
    with pytest.raises(MedvlmError, match="two classes"):
        split(["a"] * 50, SplitParams())


def test_a_hold_out_too_small_for_the_classes():
    with pytest.raises(MedvlmError, match="hold-out"):
        split(["a"] * 20 + ["b"] * 20 + ["c"] * 20, SplitParams(hold_out=0.01))
