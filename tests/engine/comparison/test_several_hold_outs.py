"""Comparisons over several hold-outs, against the same numbers worked out from the stored probes by other means."""

import numpy as np
import pytest
from scipy.stats import friedmanchisquare, rankdata, t
from sklearn.metrics import balanced_accuracy_score, f1_score
from statsmodels.stats.multitest import multipletests

from medvlm_tui.catalog.models import load_models
from medvlm_tui.engine.run.gathered_steps import without
from medvlm_tui.measures.many_models.confidence_set import confidence_set
from medvlm_tui.stages.comparison import PAIRS, RANKING
from medvlm_tui.stages.gathered import CellInput
from medvlm_tui.stages.records.comparison import PairsRecord, RankingsRecord
from medvlm_tui.stages.records.verdict import VerdictRecord
from medvlm_tui.stages.verdict import VERDICT
from tests.made.plans import gathering_jobs
from tests.made.probes import done, further_hold_outs, probes

MODELS = tuple(load_models()[name] for name in ("biomedclip", "conch", "clip_b16"))
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three models on two small data sets under three seeds: eight held-out images of forty each time."""
    folder = tmp_path_factory.mktemp("hold_outs")
    context, jobs = probes(folder, MODELS, ("one", "two"), lambda m: (2.5, 1.6, 0.3)[m], counts=(16, 12, 12))
    further = further_hold_outs(context, jobs, SEEDS)
    found = {
        job.step.id: (job, done(job, context)[1][-1])
        for stage in (PAIRS, RANKING, VERDICT)
        for job in gathering_jobs(stage, jobs, context.store, further)
    }
    yield context, jobs, found
    context.store.close()


def read(context, model, dataset=0):
    """Return (ids, truth, predicted (F, n)) of a model on each hold-out."""
    parts = []
    for end in ("", *(f"-{seed}" for seed in SEEDS)):
        arrays = context.store.result(f"probe-{model}-{dataset}-paper{end}").arrays
        rows = arrays["hold_out"]
        parts.append((rows, arrays["labels"][rows], arrays["predicted_test"]))
    return parts


def accuracies(context, model, dataset=0):
    return np.array([(predicted == truth).mean() for _, truth, predicted in read(context, model, dataset)])


def test_a_step_names_the_probes_of_every_hold_out(made):
    _, jobs, found = made
    job, _ = found["pairs:*:one:paper"]
    assert [cell.probes for cell in CellInput.all_of(job.step.params)] == [
        (f"probe-{m}-0-paper", f"probe-{m}-0-paper-1", f"probe-{m}-0-paper-2") for m in range(3)
    ]
    ids = [job.step.id for job in jobs if job.step.dataset == "one"]
    assert job.step.needs == (*ids, *(each.replace("probe", "repeat", 1) + f":{s}" for s in SEEDS for each in ids))
    # A model whose probe failed on one hold-out takes no part in the comparison.
    left = without(job.step, {job.step.needs[4]})
    assert [cell["model"] for cell in left.params["cells"]] == [MODELS[0].id, MODELS[2].id]
    assert left.needs == tuple(need for i, need in enumerate(job.step.needs) if i % 3 != 1)


def test_one_hold_out_keeps_its_key(made):
    context, jobs, found = made
    alone = next(iter(gathering_jobs(PAIRS, jobs, context.store)))
    assert all(set(cell) == {"model", "dataset", "table", "probe", "traits"} for cell in alone.step.params["cells"])
    assert alone.step.key != found["pairs:*:one:paper"][0].step.key


def exchanged(parts_a, parts_b, score, signs):
    """Return the mean over the hold-outs of the difference of two models' scores after exchanging images by sign."""
    gaps = []
    for (rows, truth, one), (_, _, other) in zip(parts_a, parts_b, strict=True):
        swap = np.array([signs[row] < 0 for row in rows])
        first, second = np.where(swap, other, one), np.where(swap, one, other)
        gaps.append(np.mean([score(truth, a) for a in first]) - np.mean([score(truth, b) for b in second]))
    return np.mean(gaps)


def accuracy(truth, predicted):
    return np.mean(truth == predicted)


def macro_f1(truth, predicted):
    return f1_score(truth, predicted, average="macro")


@pytest.mark.parametrize(
    ("name", "score"), [("accuracy", accuracy), ("macro_f1", macro_f1), ("balanced_accuracy", balanced_accuracy_score)]
)
def test_exchange_goes_through_every_hold_out_of_an_image(made, name, score):
    context, _, found = made
    record = context.store.read_record(found["pairs:*:one:paper"][0].step.key, PairsRecord)
    one, other = read(context, 0), read(context, 1)
    images = sorted({row for rows, _, _ in one for row in rows.tolist()})
    assert (record.n, record.seeds) == (len(images), 3)
    observed = exchanged(one, other, score, dict.fromkeys(images, 1))
    pair = record.pairs[0]
    assert pair.differences[name].value == pytest.approx(observed)
    rng = np.random.default_rng(5)
    drawn = [exchanged(one, other, score, dict(zip(images, rng.choice((-1, 1), len(images)), strict=True)))
             for _ in range(400)]  # fmt: skip
    share = np.mean(np.abs(drawn) >= abs(observed) - 1e-12)
    # 400 exchanges know a share to 0.025 (one standard error).
    assert pair.differences[name].p_value == pytest.approx(share, abs=0.09)


def test_accuracy_s_exchange_is_exact(made):
    context, _, found = made
    record = context.store.read_record(found["pairs:*:one:paper"][0].step.key, PairsRecord)
    steps: dict[int, int] = {}
    for (rows, truth, one), (_, _, other) in zip(read(context, 0), read(context, 2), strict=True):
        for row, step in zip(rows.tolist(), ((one == truth).sum(0) - (other == truth).sum(0)).tolist(), strict=True):
            steps[row] = steps.get(row, 0) + int(step)
    moving = [step for step in steps.values() if step]
    # All signs of up to sixteen images that differ, the first one's fixed: the other half mirrors it.
    assert len(moving) <= 20
    sums = np.zeros(1)
    for step in moving:
        sums = np.concatenate([sums + step, sums - step])
    expected = np.mean(np.abs(sums) >= abs(sum(moving)))
    found_ = record.pairs[1].differences["accuracy"]
    assert (record.pairs[1].a, record.pairs[1].b) == (MODELS[0].id, MODELS[2].id)
    assert found_.p_value == pytest.approx(expected)
    assert found_.method == "exact"


def test_differences_have_the_corrected_interval_and_test(made):
    context, _, found = made
    record = context.store.read_record(found["pairs:*:one:paper"][0].step.key, PairsRecord)
    n_test, n_train = 8, 32
    expected = []
    for a, b in ((0, 1), (0, 2), (1, 2)):
        gains = accuracies(context, a) - accuracies(context, b)
        error = max(np.sqrt((1 / 3 + n_test / n_train) * np.var(gains, ddof=1)), 0.5 / n_test)
        expected.append((gains.mean(), t.ppf(0.975, 2) * error, 2 * t.sf(abs(gains.mean()) / error, 2)))
    adjusted = multipletests([p for _, _, p in expected], method="holm")[1]
    for pair, (value, half, p), holm in zip(record.pairs, expected, adjusted, strict=True):
        known = pair.differences["accuracy"]
        assert (known.value, known.resampled_p, known.resampled_holm) == pytest.approx((value, p, holm))
        assert (known.low, known.high) == pytest.approx((max(-1, value - half), min(1, value + half)))


def test_the_verdict_is_over_all_hold_outs(made):
    context, _, found = made
    record = context.store.read_record(found["verdict:*:one:paper"][0].step.key, VerdictRecord)
    assert record.seeds == 3
    parts = [read(context, m) for m in range(3)]
    totals = np.zeros((40, 3))
    times = np.zeros(3, dtype=int)
    for j in range(3):
        rows = parts[0][j][0]
        right = np.stack([(parts[m][j][2] == parts[m][j][1]).mean(axis=0) for m in range(3)], axis=1)
        totals[rows] += right
        times += confidence_set(right).inside
    held = totals[sorted({row for rows, _, _ in parts[0] for row in rows.tolist()})]
    expected = confidence_set(held)
    by_name = {candidate.model: candidate for candidate in record.candidates}
    for m, model in enumerate(MODELS):
        candidate = by_name[model.id]
        assert candidate.accuracy == pytest.approx(accuracies(context, m).mean())
        assert candidate.p_value == pytest.approx(expected.p_values[m], abs=0.02)
        assert candidate.hold_outs_inside == times[m]
    best = accuracies(context, 0)
    last = by_name[MODELS[2].id]
    assert last.behind == pytest.approx((best - accuracies(context, 2)).mean())
    error = max(np.sqrt((1 / 3 + 8 / 32) * np.var(best - accuracies(context, 2), ddof=1)), 0.5 / 8)
    assert last.behind_low == pytest.approx(max(-1.0, last.behind - t.ppf(0.975, 2) * error))


def test_ranks_are_of_the_means_and_have_a_spread(made):
    context, _, found = made
    record = context.store.read_record(found["ranking:*:*:paper"][0].step.key, RankingsRecord)
    by_seed = np.array([[accuracies(context, m, d) for m in range(3)] for d in range(2)]).transpose(2, 0, 1)
    ranks = record.rankings["accuracy"].ranks
    assert ranks is not None
    assert record.seeds == 3
    means = by_seed.mean(axis=0)
    assert ranks.mean_ranks == pytest.approx(rankdata(-means, axis=1).mean(axis=0))
    assert ranks.chi2 == pytest.approx(friedmanchisquare(*means.T).statistic)
    each = np.array([rankdata(-scores, axis=1).mean(axis=0) for scores in by_seed])
    assert ranks.lowest_ranks == pytest.approx(each.min(axis=0))
    assert ranks.highest_ranks == pytest.approx(each.max(axis=0))
