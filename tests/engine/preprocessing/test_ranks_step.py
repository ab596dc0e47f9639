"""The order of the models under each change, from stored labs."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from medvlm_tui.core.events import ResultReady
from medvlm_tui.engine.preprocessing import ranks_step
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.preprocessing import PREPROCESSING_RANKS
from medvlm_tui.stages.records.preprocessing import PreprocessingRecord
from tests.made.jobs import Bench, blobs, table_of

N = 30
RIGHT = {"a": (28, 12), "b": (24, 26), "c": (18, 20)}
"""Model -> images that are right without a change, and under it."""


@pytest.fixture
def bench(tmp_path):
    matrix, codes = blobs([10, 10], 4, 3.0)
    return Bench(tmp_path, table_of(matrix, codes, names=("x", "y")))


def cells(bench, models=RIGHT, missing=""):
    """Labs whose hold-out images stand in another order for each model."""
    found = []
    for number, model in enumerate(models):
        order = np.random.default_rng(number).permutation(N)
        right = np.stack([np.arange(N) < count for count in RIGHT[model]])[:, order]
        record = replace(PreprocessingRecord.example(), images=tuple(f"{i}.png" for i in order), n_test=N)
        if model != missing:
            bench.store.put_result(f"lab-{model}", {"retrained": right, "transfer": right}, record)
        found.append(asdict(CellInput(model, "made", "table", f"lab-{model}", {})))
    return found


def run(bench, listed):
    job = bench.job("preprocessing_ranks", {"seed": 0, "cells": listed})
    assert isinstance(list(ranks_step.run(job, bench.context))[-1], ResultReady)
    return bench.store.read_record(job.step.key, PREPROCESSING_RANKS.record).datasets[0]


def test_images_are_matched_by_name_and_the_order_is_compared(bench):
    found = run(bench, cells(bench))
    assert (found.models, found.n) == (("a", "b", "c"), N)
    assert found.unchanged == pytest.approx([28 / N, 24 / N, 18 / N])
    assert [(each.change, each.way) for each in found.changes] == [("jpeg:25", "retrained"), ("jpeg:25", "transfer")]
    assert found.changes[0].tau == pytest.approx(kendalltau([28, 24, 18], [12, 26, 20]).statistic)
    assert found.changes[0].reversed_pairs == 2  # a falls behind both


def test_two_models_have_no_agreement_and_the_reason_is_said(bench):
    found = run(bench, cells(bench, ("a", "b")))
    assert found.changes == ()
    assert "2 models" in found.note


def test_a_lab_that_is_gone_is_named(bench):
    with pytest.raises(MedvlmError, match="preprocessing lab of b on made"):
        run(bench, cells(bench, missing="b"))
