"""Splits by group: no group on both sides, classes everywhere, seeded, clear refusals."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvlm_tui.engine.datasets.splits.by_group import split_by_group
from medvlm_tui.errors import MedvlmError, UsageError
from medvlm_tui.stages.params.probe import SplitParams


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=40, max_size=80),
    classes=st.integers(2, 4),
    mixed=st.booleans(),
    folds=st.integers(2, 5),
    seed=st.integers(0, 10**6),
)
def test_no_group_is_on_both_sides(sizes, classes, mixed, folds, seed):
    groups = [f"p{g}" for g, n in enumerate(sizes) for _ in range(n)]
    labels = [f"c{(g + (i if mixed else 0)) % classes}" for g, n in enumerate(sizes) for i in range(n)]
    params = SplitParams(0.2, folds, seed)
    drawn = split_by_group(labels, groups, params)
    again = split_by_group(labels, groups, params)
    np.testing.assert_array_equal(drawn.fold, again.fold)
    sides = {}
    for group, fold in zip(groups, drawn.fold, strict=True):
        assert sides.setdefault(group, fold) == fold
    np.testing.assert_array_equal(np.flatnonzero(drawn.fold == -1), drawn.hold_out)
    assert set(drawn.fold) == {-1, *range(folds)}
    counts, held = Counter(labels), Counter(labels[i] for i in drawn.hold_out)
    for name, n in counts.items():
        assert 0 < held[name] < n
        for fold in range(folds):
            assert name in {labels[i] for i in drawn.training(fold)}


def test_groups_of_one_are_as_even_as_a_split_by_image():
    labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 25
    groups = [f"g{i}" for i in range(175)]
    drawn = split_by_group(labels, groups, SplitParams())
    assert Counter(labels[i] for i in drawn.hold_out) == {"a": 20, "b": 10, "c": 5}
    for fold in range(5):
        counts = Counter(labels[i] for i in drawn.validation(fold))
        assert all(abs(counts[name] - n) <= 1 for name, n in (("a", 16), ("b", 8), ("c", 4)))


@pytest.mark.parametrize(("hold_out", "expected"), [(0.2, 0.2), (0.25, 0.25), (0.3, 0.3), (0.05, 0.1)])
def test_the_hold_out_has_the_share_asked_for(hold_out, expected):
    labels = ["a", "b"] * 200
    groups = [f"g{i // 2}" for i in range(400)]
    drawn = split_by_group(labels, groups, SplitParams(hold_out=hold_out))
    assert len(drawn.hold_out) / 400 == pytest.approx(expected, abs=0.03)


def test_images_without_a_group_stand_alone():
    labels = ["a", "b"] * 100
    groups = ["lesion"] * 20 + [""] * 180
    drawn = split_by_group(labels, groups, SplitParams())
    assert len(set(drawn.fold[:20])) == 1
    assert len(set(drawn.fold[20:])) == 6


def test_refusals_name_the_class_and_its_groups():
    with pytest.raises(MedvlmError, match="names no groups"):
        split_by_group(["a", "b"] * 20, [""] * 40, SplitParams())
    labels = ["common"] * 90 + ["rare"] * 10
    groups = [f"g{i // 3}" for i in range(90)] + ["one"] * 10
    with pytest.raises(MedvlmError, match=r"rare 1$"):
        split_by_group(labels, groups, SplitParams())
    with pytest.raises(MedvlmError, match="2 groups cannot be divided"):
        split_by_group(["a", "b"] * 10, ["x", "y"] * 10, SplitParams())
    with pytest.raises(UsageError):
        split_by_group(labels, groups, SplitParams(folds=1))


def test_three_patients_of_a_class_are_enough():
    labels = ["common"] * 90 + ["rare"] * 9
    groups = [f"g{i // 3}" for i in range(90)] + [f"r{i // 3}" for i in range(9)]
    drawn = split_by_group(labels, groups, SplitParams())
    assert Counter(labels[i] for i in drawn.hold_out)["rare"] == 3
