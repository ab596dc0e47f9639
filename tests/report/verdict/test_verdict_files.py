"""The verdict in a run's folder: its sentences, the order within the set, and numbers that stand elsewhere too."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import t

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.plan import Step
from medvlm_tui.report.comparison import rows as comparison
from medvlm_tui.report.formats.table import Table
from medvlm_tui.report.page.blocks import VERDICT, Caution, Fold, Paragraph
from medvlm_tui.report.results.cells import HoldOut
from medvlm_tui.report.results.hold_outs import over_hold_outs
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores import group_gap, layout
from medvlm_tui.report.verdict import cards
from medvlm_tui.report.verdict.cards import DatasetVerdict, sentences, verdicts
from medvlm_tui.report.verdict.evidence import evidence
from medvlm_tui.report.verdict.files import tables
from medvlm_tui.report.verdict.preference import Candidate, is_open, preferred
from medvlm_tui.report.verdict.section import sections
from medvlm_tui.report.write import page_sections, write_tables
from medvlm_tui.stages.records.background import BackgroundRecord
from medvlm_tui.stages.records.language import ZeroShotRecord
from medvlm_tui.stages.records.verdict import CandidateRecord, VerdictRecord
from tests.made import examples
from tests.made.report_store import MODELS, filled

RANKED = ("vgg16", "biomedclip", "local:net")


def record(**changes: object) -> VerdictRecord:
    """The verdict of the made store's models: the first two are not separated, the third is worse."""
    rows = zip(RANKED, VerdictRecord.example().candidates, strict=True)
    candidates = tuple(replace(candidate, model=model) for model, candidate in rows)
    return replace(replace(VerdictRecord.example(), candidates=candidates), **changes)  # type: ignore[arg-type]


def judged(folder: Path, stored: VerdictRecord) -> Gathered:
    """The made run with a verdict on brain_mr."""
    source = filled(folder)
    source.store.put_result("verdict", {}, stored)
    step = Step("verdict:*:brain_mr:paper", "verdict", "", "brain_mr", {"protocol": "paper"}, "verdict")
    return Gathered(replace(source, plan=replace(source.plan, steps=(*source.plan.steps, step))))


def test_what_several_parts_of_a_report_show_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Counter[str] = Counter()

    def count(name: str, make: Any, *arguments: Any) -> Any:
        counted[name] += 1
        return make(*arguments)

    for module, name in ((group_gap, "gap_rows"), (cards, "evidence"), (layout, "score_tables"), (comparison, "rows")):
        monkeypatch.setattr(module, name, partial(count, name, getattr(module, name)))
    results = judged(tmp_path / "run", record())
    written = [Path(event.path) for event in write_tables(results, tmp_path)]
    assert {"verdict", "scores", "comparisons"} < {section.name for section in page_sections(results, written)}
    assert counted == dict.fromkeys(("gap_rows", "evidence", "score_tables", "rows"), 1)


def said(folder: Path, stored: VerdictRecord) -> str:
    (verdict,) = verdicts(judged(folder, stored))
    return " ".join(sentences(verdict))


def test_the_table_has_a_row_for_each_model_with_what_stands_in_other_tables(tmp_path: Path) -> None:
    results = judged(tmp_path / "run", record())
    list(tables(results, tmp_path))
    with open(tmp_path / "verdict.csv", newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert [rows[model]["in_set"] for model in RANKED] == ["true", "true", "false"]
    assert rows["local:net"]["place"] == ""
    assert rows["local:net"]["reason"] == "behind the best by 37.5 [25.0, 50.0] points, p 0.01"
    cell = next(cell for cell in results.cells if (cell.model.id, cell.dataset.spec.id) == ("vgg16", "brain_mr"))
    metric = cell.metric("accuracy")
    assert metric is not None
    assert (float(rows["vgg16"]["ci_low"]), float(rows["vgg16"]["ci_high"])) == (metric.low, metric.high)
    assert float(rows["vgg16"]["images_per_second"]) == 312.5
    assert rows["vgg16"]["grouped"] == ""  # the run did not measure it
    known = {model.id: "MR" in model.modalities for model in MODELS}
    assert {rows[model]["trained_on"]: known[model] for model in RANKED} == {"": False, "its modality": True}


def test_zero_shot_stands_beside_the_probe_where_the_run_has_it(tmp_path: Path) -> None:
    source = judged(tmp_path / "run", record()).source
    source.store.put_result("zero", {}, ZeroShotRecord.example())
    step = Step("zero_shot:vgg16:brain_mr", "zero_shot", "vgg16", "brain_mr", {}, "zero")
    results = Gathered(replace(source, plan=replace(source.plan, steps=(*source.plan.steps, step))))
    (verdict,) = verdicts(results)
    card = next(card for card in verdict.cards if card.model.id == "vgg16")
    assert card.number("zero_shot") == 0.75


def test_the_document_says_what_it_rests_on_and_what_would_change_it(tmp_path: Path) -> None:
    list(tables(judged(tmp_path / "run", record()), tmp_path))
    text = (tmp_path / "verdict.md").read_text()
    assert "The best of 3 models is among these 2" in text
    assert "64 held-out images" in text
    assert "level 95%" in text
    assert "differences to the best below 12.5 points are likely to stay unseen" in text
    assert "images per second on cpu, fp32: 312 (cost.csv)" in text


def test_names_are_no_markup(tmp_path: Path) -> None:
    worst_first = record(candidates=tuple(replace(c, inside=True) for c in record().candidates))
    list(tables(judged(tmp_path / "run", worst_first), tmp_path))
    assert "[/]" not in (tmp_path / "verdict.md").read_text()
    assert r"\[/\]" in (tmp_path / "verdict.md").read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"too_few": True}, "no model can be separated from another"),
        ({"candidates": record().candidates[:1]}, "VGG_16 & co is the only model that was measured"),
        ({"candidates": record().candidates[:2]}, "none of 2 models is separated from the best"),
    ],
)
def test_too_little_evidence_is_a_verdict(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    text = said(tmp_path, replace(record(), **changes))  # type: ignore[arg-type]
    assert text.startswith("Not enough evidence")
    assert words in text


def test_one_model_that_all_others_are_separated_from_is_named(tmp_path: Path) -> None:
    best, *others = record().candidates
    text = said(tmp_path, record(candidates=(best, *(replace(other, inside=False) for other in others))))
    assert text.startswith("VGG_16 & co is the best of 3 models")


def test_groups_are_named_as_what_the_test_rests_on(tmp_path: Path) -> None:
    assert "21 groups of 64 held-out images" in said(tmp_path, record(protocol="grouped", groups=21))


def test_the_order_is_training_data_then_licence_then_speed(tmp_path: Path) -> None:
    results = judged(tmp_path, record())
    dataset = results.source.datasets["brain_mr"]
    base = replace(MODELS[1], licence="MIT")
    seen = replace(base, id="seen", trained_on=("brain_mr",))
    gated = replace(base, id="gated", gated=True)
    slow, fast, unmeasured = (replace(base, id=name) for name in ("slow", "fast", "unmeasured"))
    rates = {"seen": 900.0, "gated": 800.0, "slow": 5.0, "fast": 50.0, "unmeasured": None}
    candidates = [Candidate(model, rates[model.id]) for model in (seen, gated, slow, fast, unmeasured)]
    order = [each.model for each in preferred(candidates, dataset)]
    assert order == ["fast", "slow", "unmeasured", "gated", "seen"]
    twins = [replace(candidate, images_per_second=5.0) for candidate in candidates[2:4]]
    assert [each.place for each in preferred(twins, dataset)] == [1, 1]


def test_open_licences_of_the_catalog_are_recognised() -> None:
    models = load_models()
    assert is_open(models["biomedclip"])
    for name in ("medsiglip", "conceptclip", "uni", "llava_1_5", "chief"):
        assert not is_open(models[name]), name


def test_the_smallest_difference_counts_every_model_but_the_best(tmp_path: Path) -> None:
    (verdict,) = verdicts(judged(tmp_path, record()))
    assert isinstance(verdict, DatasetVerdict)
    assert verdict.smallest_difference == 0.125
    unseen: CandidateRecord = replace(record().candidates[1], smallest_seen=None)
    blind = replace(verdict, cards=(verdict.cards[0], replace(verdict.cards[1], candidate=unseen)))
    assert blind.smallest_difference is None


def test_the_page_begins_with_the_verdict_and_its_cards(tmp_path: Path) -> None:
    (section,) = sections(judged(tmp_path, record()), ())
    assert section.place == VERDICT
    texts = [block.text for block in section.blocks if isinstance(block, Paragraph)]
    assert any(text.startswith("The best of 3 models is among these 2") for text in texts)
    (fold,) = [block for block in section.blocks if isinstance(block, Fold)]
    assert [table.title for table in fold.blocks if isinstance(table, Table)] == ["VGG_16 & co", "BiomedCLIP"]


def test_too_little_evidence_is_a_caution_on_the_page(tmp_path: Path) -> None:
    (section,) = sections(judged(tmp_path, record(candidates=record().candidates[:2])), ())
    (caution,) = [block.text for block in section.blocks if isinstance(block, Caution)]
    assert caution.startswith("Not enough evidence")


def test_over_several_hold_outs_accuracy_and_interval_belong_together(tmp_path: Path) -> None:
    found = record(seeds=3)
    times = zip(found.candidates, (3, 2, 0), strict=True)
    stored = replace(found, candidates=tuple(replace(each, hold_outs_inside=n) for each, n in times))
    results = judged(tmp_path / "run", stored)
    # The scores of this run are of one hold-out: their interval is not that of a mean over three.
    (verdict,) = verdicts(results)
    assert {(card.low, card.high) for card in verdict.cards} == {(None, None)}
    text = " ".join(sentences(verdict))
    assert "the mean over 3 hold-outs, over 64 different held-out images" in text
    assert "Of 3 hold-outs alone, in the set of: " in text
    list(tables(results, tmp_path))
    with open(tmp_path / "verdict.csv", newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert [rows[model]["hold_outs_inside"] for model in RANKED] == ["3", "2", "0"]
    assert {row["hold_outs"] for row in rows.values()} == {"3"}


def test_the_interval_beside_a_mean_over_hold_outs_is_the_corrected_one(tmp_path: Path) -> None:
    results = judged(tmp_path / "run", record(seeds=2))
    cells = results.cells
    results.__dict__["cells"] = tuple(
        over_hold_outs(cell, [HoldOut(cell.seed + 1, cell.t, cell.metrics, cell.final)]) for cell in cells
    )
    (verdict,) = verdicts(results)
    for card in verdict.cards:
        cell = next(c for c in results.cells if (c.model, c.dataset.spec.id) == (card.model, "brain_mr"))
        metric = cell.metric("accuracy")
        assert metric is not None
        assert (card.low, card.high) == (metric.low, metric.high)
        # Two equal hold-outs: the error is that of a quarter of an image, with one degree of freedom.
        half = t.ppf(0.975, 1) * 0.5 / cell.n_test
        assert card.high == pytest.approx(min(1.0, (metric.mean or 0.0) + half))


def test_covered_lesions_stand_on_the_card(tmp_path: Path) -> None:
    source = examples.filled(tmp_path)
    found = evidence(Gathered(source))
    source.store.close()
    quoted = {one.name: one for each in found.values() for one in each}
    example = BackgroundRecord.example().by_name
    for name in ("cost_of_cover", "shortcut_index"):
        expected = example[name, "mean"]
        assert (quoted[name].value, quoted[name].low, quoted[name].high) == (
            expected.value,
            expected.low,
            expected.high,
        )
        assert (quoted[name].n, quoted[name].file) == (expected.n, "background.csv")
