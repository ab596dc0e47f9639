"""The step of the verdict: the confidence set of the stored probes, computed again from their arrays."""

import numpy as np
import pytest

from medvlm_tui.catalog.models import load_models
from medvlm_tui.measures.many_models.confidence_set import confidence_set
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.verdict import VERDICT
from tests.made.plans import gathering_jobs
from tests.made.probes import done, probes

MODELS = tuple(load_models()[name] for name in ("biomedclip", "conch", "clip_b16", "vgg16"))


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Four models of falling quality on one data set, and what the step says of them."""
    context, jobs = probes(tmp_path_factory.mktemp("probes"), MODELS, ("one",), lambda m: (5.0, 4.5, 2.0, 0.2)[m])
    (job,) = gathering_jobs(VERDICT, jobs, context.store)
    done(job, context)
    yield context, context.store.read_record(job.step.key, VerdictRecord)
    context.store.close()


def right(context, model):
    arrays = context.store.result(f"probe-{model}-0-paper").arrays
    truth = arrays["labels"][arrays["hold_out"]]
    return (arrays["predicted_test"] == truth).mean(axis=0)


def test_the_set_is_that_of_the_stored_predictions(judged):
    context, record = judged
    totals = np.stack([right(context, model) for model in range(4)], axis=1)
    expected = confidence_set(totals)
    by_name = {candidate.model: candidate for candidate in record.candidates}
    for number, model in enumerate(MODELS):
        assert by_name[model.id].accuracy == pytest.approx(totals[:, number].mean())
        assert by_name[model.id].p_value == pytest.approx(expected.p_values[number])
        assert by_name[model.id].inside == expected.inside[number]
    assert record.n == len(totals)


def test_the_best_comes_first_and_the_worst_is_outside(judged):
    _, record = judged
    accuracies = [candidate.accuracy for candidate in record.candidates]
    assert accuracies == sorted(accuracies, reverse=True)
    assert record.best.inside
    assert record.best.behind == 0
    worst = record.candidates[-1]
    assert not worst.inside
    assert worst.behind_low > 0
    assert worst.behind == pytest.approx(accuracies[0] - accuracies[-1])
    assert not record.too_few


def test_one_model_is_its_own_verdict(tmp_path):
    context, jobs = probes(tmp_path, MODELS[:1], ("one",), lambda m: 5.0)
    (job,) = gathering_jobs(VERDICT, jobs, context.store)
    done(job, context)
    record = context.store.read_record(job.step.key, VerdictRecord)
    context.store.close()
    assert [candidate.inside for candidate in record.candidates] == [True]
    assert record.too_few is False
