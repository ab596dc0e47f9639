"""What is compared with print, and when it must not be; ties, bold and marks of the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.published import PAPER, POSTER, SOURCES, published
from medvlm_tui.core.specs import Dataset
from medvlm_tui.report.formats import latex, markdown
from medvlm_tui.report.results.cells import Cell, Interval, Metric
from medvlm_tui.report.results.run_results import Gathered
from medvlm_tui.report.scores.layout import printed
from medvlm_tui.report.scores.published_difference import compare, f1_metric, printed_classes, training_mark
from medvlm_tui.report.scores.score_table import percent, points, score_tables
from medvlm_tui.report.scores.verdicts import Verdicts
from medvlm_tui.stages.protocols import LINEAR_PROTOCOLS
from tests.made.comparisons import pair, pairs_record
from tests.made.report_store import filled


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    return Gathered(filled(tmp_path_factory.mktemp("store"))).cells[0]


def of_catalog(cell: Cell, name: str) -> Dataset:
    """Return the cell's dataset as one of the catalog's."""
    return replace(cell.dataset, spec=load_datasets()[name], view="")


def scored(cell: Cell, name: str, mean: float, metric: str = "accuracy") -> Cell:
    """Return the cell as another model's, with one metric of this mean."""
    model = replace(cell.model, id=name, name=name)
    return replace(cell, model=model, metrics=(Metric(metric, mean, 0.01, (mean,), ()),))


def test_the_difference_is_ours_minus_the_printed_one(cell: Cell) -> None:
    found = compare(scored(cell, "x", 0.93), "accuracy")
    assert found is not None
    assert (found.source, found.published, "n" in found.differs) == (PAPER, 0.91, True)
    assert found.delta == pytest.approx(0.02)


def test_the_studys_number_of_images_is_not_marked(cell: Cell) -> None:
    found = compare(replace(cell, n_train=2296, n_test=574), "accuracy")
    assert found is not None
    assert "n" not in found.differs


def test_another_protocol_and_another_number_of_classes_are_marked(cell: Cell) -> None:
    four = ("a", "b", "c", "d")
    own = replace(cell, n_train=2296, n_test=574, classes=four, dataset=of_catalog(cell, "brain_mr"))
    marks = {p: compare(replace(own, protocol=p), "accuracy", PAPER).marks for p in LINEAR_PROTOCOLS}  # type: ignore[union-attr]
    assert marks == {"paper": "", "poster": "p", "tuned": "p", "grouped": "p"}
    assert compare(replace(own, protocol="poster"), "accuracy").marks == ""  # type: ignore[union-attr]
    assert compare(replace(own, classes=four[:3]), "accuracy").marks == "c"  # type: ignore[union-attr]
    for name, ours in {"hicervix": 26, "isic2019": 8}.items():
        classes = tuple(f"c{i}" for i in range(ours))
        other = replace(cell, classes=classes, dataset=of_catalog(cell, name))
        assert compare(other, "accuracy").marks == "nc"  # type: ignore[union-attr]


def test_the_printed_numbers_of_classes() -> None:
    printed = {
        "hicervix": 29,
        "isic2019": 9,
        "breakhis": 2,
        "breast_us": 3,
        "pneumoniamnist": 2,
        "sars_cov_2_ct": 2,
        "deepdrid": 5,
    }
    specs = load_datasets()
    assert {name: printed_classes(specs[name]) for name in printed} == printed
    assert printed_classes(specs["brain_mr"]) == 4


def test_each_protocol_is_compared_where_it_was_published(cell: Cell) -> None:
    poster = compare(replace(cell, protocol="poster"), "accuracy")
    assert poster is not None
    assert poster.source == POSTER
    assert compare(replace(cell, protocol="tuned"), "accuracy").source == PAPER  # type: ignore[union-attr]


def test_readings_without_the_studys_classifier_are_compared_with_nothing(cell: Cell) -> None:
    for protocol in ("knn", "few_shot"):
        assert compare(replace(cell, protocol=protocol), "accuracy") is None


def test_another_task_or_model_is_compared_with_nothing(cell: Cell) -> None:
    assert compare(replace(cell, dataset=replace(cell.dataset, view="tumor")), "accuracy") is None
    assert compare(replace(cell, model=replace(cell.model, published="")), "accuracy") is None
    assert compare(cell, "auroc") is None
    assert compare(cell, "f1_positive") is None


def test_breakhis_prints_the_positive_class(cell: Cell) -> None:
    spec = replace(cell.dataset.spec, id="breakhis")
    breakhis = replace(scored(cell, "x", 0.9, "f1_positive"), dataset=replace(cell.dataset, spec=spec))
    assert f1_metric(breakhis) == "f1_positive"
    assert compare(breakhis, "f1_positive") is not None
    assert f1_metric(cell) == "macro_f1"


def test_the_star_outranks_the_dagger(cell: Cell) -> None:
    assert training_mark(cell.model, cell.dataset.spec) == "dagger"
    assert training_mark(replace(cell.model, trained_on=("brain_mr",)), cell.dataset.spec) == "star"
    assert training_mark(replace(cell.model, modalities=("CT",)), cell.dataset.spec) == ""


def verdicts(p_values: dict[tuple[str, str], float], too_few: bool = False) -> Verdicts:
    pairs = [
        pair(a, b, {"accuracy": p, "macro_f1": 1 - p}, None if too_few else 0.03125 + p / 100)
        for (a, b), p in p_values.items()
    ]
    return Verdicts.of(pairs_record(*pairs, n=9, too_few=too_few))


def test_ties_are_what_the_comparison_does_not_tell_apart(cell: Cell) -> None:
    cells = [scored(cell, "a", 0.9104), scored(cell, "b", 0.9096), scored(cell, "c", 0.90), scored(cell, "d", 0.88)]
    known = verdicts({("a", "b"): 0.9, ("c", "a"): 0.2, ("a", "d"): 0.01, ("c", "d"): 0.9})
    made = score_tables(cells, {("brain_mr", "paper"): known})[0]
    entries = made.columns[0].entries
    # a and b print the same: both are best. c looks worse and is not told apart; d is.
    assert {name: (s.text.split()[0], s.best, s.tied) for name, entry in entries.items() if (s := entry.accuracy)} == {
        "a": ("91.0", True, False), "b": ("91.0", True, False), "c": ("90.0", False, True), "d": ("88.0", False, False),
    }  # fmt: skip
    assert any(note.startswith("=: not told apart") and "level 0.05" in note for note in made.notes)
    assert not any("not compared" in note for note in made.notes)
    [smallest] = [note for note in made.notes if note.startswith("Smallest difference")]
    assert smallest.endswith("in percent points: Brain MR 3.1 to 4.0.")


def test_too_few_images_are_no_tie(cell: Cell) -> None:
    cells = [scored(cell, "a", 0.9), scored(cell, "b", 0.6)]
    made = score_tables(cells, {("brain_mr", "paper"): verdicts({("a", "b"): 0.7}, too_few=True)})[0]
    score = made.columns[0].entries["b"].accuracy
    assert score is not None
    assert (score.tied, score.too_few) == (False, True)
    assert not any(note.startswith(("=:", "Smallest")) for note in made.notes)
    [few] = [note for note in made.notes if note.startswith("too few:")]
    assert few.endswith("Brain MR 9.")
    assert "60.0 ± 1.0 % too few" in markdown.render(printed([made]))
    assert "too few" in latex.render(printed([made]))


def test_the_interval_stands_beside_the_spread_and_the_notes_say_what_each_is(cell: Cell) -> None:
    whole = replace(cell, metrics=(Metric("accuracy", 0.7, 0.01, (0.7,), (), 0.5, 0.8125),))
    made = score_tables([whole], {})[0]
    assert "70.0 ± 1.0 %† \\[50.0, 81.2\\]" in markdown.render(printed([made]))
    assert r"{\scriptsize {[}50.0, 81.2{]}}" in latex.render(printed([made]))
    assert any("leaves out which images were held out, which [low, high] takes in" in note for note in made.notes)
    assert any(note.startswith("[low, high]: 95 % interval over held-out images") for note in made.notes)
    grouped = replace(whole, protocol="grouped", interval=Interval(0.95, 7))
    notes = score_tables([grouped], {})[0].notes
    assert any("over whole groups of held-out images (groups: Brain MR 7)" in note for note in notes)
    without = score_tables([replace(whole, interval=None)], {})[0].notes
    assert "No intervals: the stage statistics did not run." in without


def test_without_a_comparison_nothing_is_called_tied(cell: Cell) -> None:
    made = score_tables([scored(cell, "a", 0.91), scored(cell, "b", 0.91)], {})[0]
    assert not any(entry.accuracy.tied for entry in made.columns[0].entries.values() if entry.accuracy)
    assert "Models were not compared on Brain MR: ties are not marked there." in made.notes


def test_each_score_is_decided_by_its_own_test_and_accuracy_not_by_mcnemar() -> None:
    known = verdicts({("a", "b"): 0.01})
    assert (known.tied("a", "b", "accuracy"), known.tied("b", "a", "macro_f1")) == (False, True)
    assert known.p_value("a", "b", "auroc") is None
    assert not known.tied("a", "x", "accuracy")
    assert not known.tied("a", "a", "accuracy")


def test_a_comparison_of_an_earlier_release_says_nothing() -> None:
    old = replace(pairs_record(pair("a", "b", {"accuracy": 0.4})), draws=0, resamples=2000)
    assert Verdicts.of(old).p_value("a", "b", "accuracy") is None


def test_the_draws_of_training_images_are_named(cell: Cell) -> None:
    known = replace(verdicts({("a", "b"): 0.4}), protocol="few_shot")
    cells = [replace(scored(cell, name, mean), protocol="few_shot") for name, mean in (("a", 0.9), ("b", 0.8))]
    made = score_tables(cells, {("brain_mr", "few_shot"): known})[0]
    assert any("exchanged image by image; the draws of training images count too" in note for note in made.notes)


def test_the_paper_and_the_poster_have_a_difference_each(cell: Cell) -> None:
    assert cell.model.published == "biomedclip"
    made = score_tables([scored(cell, "biomedclip", 0.90)], {})[0]
    [entry] = made.columns[0].entries.values()
    assert made.columns[0].sources == SOURCES
    for source in SOURCES:
        score = published("brain_mr", "biomedclip", "accuracy", source)
        assert score is not None
        shown = entry.differences[source]
        assert (shown.text, shown.value) == (points(0.90 - score.mean), pytest.approx(0.90 - score.mean))
    assert any(note.startswith("Δ: accuracy minus the paper's") for note in made.notes)
    assert any(note.startswith("Δ′: accuracy minus the poster's") for note in made.notes)


def test_a_lone_model_is_best_of_nothing(cell: Cell) -> None:
    score = score_tables([cell], {})[0].columns[0].entries[cell.model.id].accuracy
    assert score is not None
    assert not score.best


def test_a_metric_that_is_undefined_leaves_its_place_empty(cell: Cell) -> None:
    none = replace(cell, metrics=(Metric("accuracy", None, None, (None,), ()),))
    entry = score_tables([none], {})[0].columns[0].entries[cell.model.id]
    assert (entry.accuracy, entry.differences) == (None, {})


def test_percent_and_points() -> None:
    assert [percent(x) for x in (1.0, 0.91234, 0.0)] == ["100.0", "91.2", "0.0"]
    assert [points(x) for x in (0.012, -0.093, 0.0, -0.0001)] == ["+1.2", "−9.3", "0.0", "0.0"]


def test_a_run_without_results_says_so(tmp_path: Path) -> None:
    from medvlm_tui.report.write import write_report

    source = filled(tmp_path)
    empty = replace(source, plan=replace(source.plan, steps=source.plan.steps[-1:]))
    assert [Path(event.path).name for event in write_report(empty, tmp_path / "out")] == [
        "report.html",
        "manifest.json",
    ]
