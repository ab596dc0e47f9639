"""The bias lab over models: ranking, and the permutation test of medical against general ones."""

from dataclasses import asdict, replace

import pytest
from statsmodels.stats.multitest import multipletests

from medvlm_tui.core.events import ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.engine.bias import groups_step
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.bias import BIAS_GROUPS
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.records.bias import BiasGroupsRecord, BiasRecord
from medvlm_tui.stages.records.measure import Measure
from tests.made.jobs import Bench, blobs, table_of
from tests.made.plans import gathering_jobs

SHIFTS = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.3, "e": 0.2, "f": 0.1}
MEDICAL = frozenset("abc")


@pytest.fixture
def bench(tmp_path):
    matrix, codes = blobs([10, 10], 4, 3.0)
    return Bench(tmp_path, table_of(matrix, codes, names=("x", "y")))


def cells(bench, only_on_one=""):
    found = []
    for dataset in ("one", "two"):
        for model, value in SHIFTS.items():
            key, measures = f"bias-{model}-{dataset}", [Measure("shift", "text", value, None, None, 4)]
            if model != only_on_one or dataset == "one":
                measures.append(Measure("flip_rate", "text", 1 - value, None, None, 4))
            bench.store.put_result(key, {}, replace(BiasRecord.example(), measures=tuple(measures)))
            found.append(asdict(CellInput(model, dataset, "table", key, {"medical": model in MEDICAL})))
    return found


def run(bench, params):
    job = bench.job("bias_groups", params)
    events = list(groups_step.run(job, bench.context))
    assert isinstance(events[-1], ResultReady)
    return bench.store.result(job.step.key).record


def test_medical_models_that_are_all_moved_more(bench):
    record = run(bench, {"seed": 0, "cells": cells(bench)})
    ranking = next(r for r in record["rankings"] if r["measure"] == "shift")
    assert [m["model"] for m in ranking["models"]] == list("abcdef")
    assert ranking["models"][0]["mean"] == pytest.approx(0.9)
    test = next(g for g in record["groups"] if (g["measure"], g["trait"]) == ("shift", "medical"))
    assert test["difference"] == pytest.approx(0.6)
    assert test["p_value"] == pytest.approx(2 / 20)  # of 20 divisions of six models this one and its mirror image
    assert (test["inside"], test["outside"], test["datasets"], test["exhaustive"]) == (3, 3, 2, True)


def test_one_test_is_primary_and_all_others_are_adjusted_together(bench):
    """Holm over every measure and trait but the primary test, by statsmodels."""
    tests = [
        replace(BiasGroupsRecord.example().groups[0], measure=measure, condition=condition, trait=trait, p_value=p)
        for p, (measure, condition, trait) in zip(
            (0.03, 0.01, 0.02, 0.2, 0.004),
            [
                ("shift_over_control", "every control", "medical"),
                ("shift", "text", "medical"),
                ("shift", "text", "pmc_15m"),
                ("flip_rate", "box", "medical"),
                ("shift_over_control", "every control", "pmc_15m"),
            ],
            strict=True,
        )
    ]
    found = groups_step.adjusted_together(tests)
    assert [one.primary for one in found] == [True, False, False, False, False]
    assert found[0].holm == 0.03
    wanted = multipletests([one.p_value for one in tests[1:]], method="holm")[1]
    assert [one.holm for one in found[1:]] == pytest.approx(wanted.tolist())
    record = run(bench, {"seed": 0, "cells": cells(bench)})
    together = multipletests([one["p_value"] for one in record["groups"]], method="holm")[1]
    assert len(together) == 2  # two measures, one trait, no primary measure in this run
    assert [one["holm"] for one in record["groups"]] == pytest.approx(together.tolist())


def test_a_model_that_lacks_a_measure_is_not_ranked_by_it(bench):
    record = run(bench, {"seed": 0, "cells": cells(bench, only_on_one="c")})
    ranking = next(r for r in record["rankings"] if r["measure"] == "flip_rate")
    assert [m["model"] for m in ranking["models"]] == list("fedba")


def test_a_missing_lab_is_told(bench):
    known = cells(bench)
    known[0]["probe"] = "gone"
    with pytest.raises(MedvlmError, match="bias lab's result of a on one"):
        run(bench, {"seed": 0, "cells": known})


def test_two_models_make_a_comparison(bench):
    labs = []
    for model in ("clip_b16", "biomedclip"):
        job = bench.job("bias", {})
        step = Step(f"bias:{model}:made", "bias", model, "made", {}, f"key-{model}")
        labs.append(replace(job, step=step, model=replace(job.model, id=model)))
    assert list(gathering_jobs(BIAS_GROUPS, labs[:1], bench.store)) == []
    [job] = gathering_jobs(BIAS_GROUPS, labs, bench.store)
    assert job.step.needs == ("bias:clip_b16:made", "bias:biomedclip:made")
    assert [cell["probe"] for cell in job.step.params["cells"]] == ["key-clip_b16", "key-biomedclip"]
