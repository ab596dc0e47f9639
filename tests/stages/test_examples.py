"""Every stage's example goes the way of a result: into the store and out of it, to the report, the screens and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store import keys
from medvlm_tui.core.store.records import from_object, to_object
from medvlm_tui.core.store.store import Store, Stored
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.scores.verdicts import Verdicts
from medvlm_tui.stages.stage import Stage
from medvlm_tui.tui.bias.data import flips, group_gap, model_bias
from medvlm_tui.tui.data.report import report_rows
from medvlm_tui.tui.data.screen import pictures_of
from medvlm_tui.tui.map.data import aligned, map_data, reference_words, similarity_words
from medvlm_tui.tui.saliency.words import asked, decision, made, quality
from medvlm_tui.tui.scores.cell_detail import whole
from medvlm_tui.tui.scores.ranks import RanksScreen
from tests.made.examples import STORED, arrays_of, filled, key_of

WRITTEN: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "check": ("", {}),  # it has a section of the page, a screen and a command of its own, and no file
    "extract": ("cost.csv", {"model": "one", "images_per_second": "312.5"}),
    "probe": ("folds.csv", {"metric": "accuracy", "value": "0.8125"}),
    "repeat": ("folds.csv", {"model": "one", "seed": "0"}),
    "project": ("projection_scores.csv", {"score": "trustworthiness", "value": "0.96"}),
    "grid": ("projection_scores.csv", {"proposed": "true"}),
    "separability": ("separability.csv", {"measure": "silhouette", "value": "0.25"}),
    "similarity": ("similarity.csv", {"measure": "mutual_knn", "value": "0.625"}),
    "references": ("similarity_references.csv", {"reference": "random weights", "measure": "cka", "value": "0.125"}),
    "saliency": ("saliency_quality.csv", {"measure": "mass_over_area_lesion", "mean": "0.25"}),
    "bias": ("bias.csv", {"measure": "flip_rate", "condition": "text", "value": "0.25"}),
    "bias_groups": ("bias_groups.csv", {"trait": "medical", "difference": "0.031"}),
    "preprocessing": ("preprocessing.csv", {"change": "jpeg:25", "measure": "shift", "value": "0.19", "changed": "4"}),
    "preprocessing_ranks": ("preprocessing_ranks.csv", {"model": "three", "rank": "1.0", "rank_unchanged": "1.0"}),
    "statistics": ("statistics.csv", {"model": "one", "metric": "accuracy"}),
    "zero_shot": ("zero_shot.csv", {"metric": "accuracy", "mean": "0.75"}),
    "alignment": ("alignment.csv", {"measure": "modality_gap", "value": "0.75"}),
    "reading": ("reading.csv", {"measure": "word_retrieval", "condition": "text", "value": "0.875", "chance": "0.5"}),
    "verdict": ("verdict.csv", {"model": "one", "protocol": "paper"}),
    "pairs": ("statistics.csv", {"statistic": "paired_exchange", "metric": "accuracy", "p_adjusted": "0.01"}),
    "ranking": ("statistics.csv", {"statistic": "mean_rank", "model": "two", "value": "1.75"}),
}
"""Kind -> the file of the report that tells its result, and what a row of it must say."""


def _map(found: Stored[Any], store: Store, table: FeatureTable) -> bool:
    shown = map_data(found.key, found, table)
    return len(shown.ids) == len(table.ids) and shown.scores["trustworthiness"] == 0.96


def _grid(found: Stored[Any], store: Store, table: FeatureTable) -> bool:
    from medvlm_tui.stages.projection import PROJECT

    shown = store.read(found.record.proposed, PROJECT.record)
    assert shown is not None
    return np.array_equal(aligned(map_data(shown.key, shown, table), found).xy, found.arrays["xy"][0])


def _saliency(found: Stored[Any], store: Store, table: FeatureTable) -> bool:
    item = found.record.items[0]
    said = [*decision("one", item, item.explained), quality(item), made(found.record, item)]
    return all(line.plain for line in said) and asked(found.record) == found.record.params


def _bias(found: Stored[Any], store: Store, table: FeatureTable) -> bool:
    flipped = [flip.image for flip in flips(found, "text")]
    shown = model_bias("one", "One", "medical", found.record)
    return flipped == ["smooth/2.png"] and shown.over_control is not None


def _ranks(found: Stored[Any], store: Store, table: FeatureTable) -> bool:
    return any("Friedman" in line.plain for line in RanksScreen(found.record, "paper", "accuracy")._test())


SHOWN: Mapping[str, Callable[[Stored[Any], Store, FeatureTable], object]] = {
    "check": lambda found, store, table: report_rows(found.record, 80) and len(pictures_of(found, 0)) == 2,
    "probe": lambda found, store, table: whole(found, table, 100, ("#000000", "#ffffff")),
    "repeat": lambda found, store, table: whole(found, table, 100, ("#000000", "#ffffff")),
    "project": _map,
    "grid": _grid,
    "similarity": lambda found, store, table: "0.62" in similarity_words(found.record, "one", "two"),
    "references": lambda found, store, table: "random weights 0.12" in reference_words(found.record),
    "saliency": _saliency,
    "bias": _bias,
    "bias_groups": lambda found, store, table: group_gap(found.record, "over control"),
    "pairs": lambda found, store, table: not Verdicts.of(found.record).tied("one", "two", "accuracy"),
    "ranking": _ranks,
}
"""Kind -> what its screen makes of a result."""
NOT_SHOWN = (
    "extract",
    "statistics",
    "separability",
    "verdict",
    "zero_shot",
    "alignment",
    "reading",
    "preprocessing",
    "preprocessing_ranks",
)
"""Stages whose records no screen reads: features and intervals reach the screens by the survey, the others by files."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReportInput]:
    made = filled(tmp_path_factory.mktemp("examples"))
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def out(source: ReportInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a report on all examples."""
    folder, results = tmp_path_factory.mktemp("out"), Gathered(source)
    for module in dict.fromkeys(stage.outputs for stage in STORED if stage.outputs):
        list(import_module(module).tables(results, folder))
    return folder


@pytest.fixture(params=STORED, ids=lambda stage: stage.kind)
def stage(request: pytest.FixtureRequest) -> Stage[Any]:
    return request.param  # type: ignore[no-any-return]


def test_what_is_stored_is_what_is_read(stage: Stage[Any], source: ReportInput) -> None:
    example, key, store = stage.record.example(), key_of(stage.kind), source.store
    if stage.kind == "extract":
        assert store.tables.read_record(key, stage.record) == example
        return
    found = store.read(key, stage.record)
    assert found is not None
    assert found.record == example == store.read_record(key, stage.record)
    assert set(found.arrays) == set(arrays_of(example, np.random.default_rng(0)))
    assert keys.result(key) in store.keys("result/")


def test_its_summary_and_its_record_are_json(stage: Stage[Any]) -> None:
    example = stage.record.example()
    summary = json.loads(json.dumps(dict(stage.summary(example)), allow_nan=False))
    assert any(value is not None for value in summary.values())
    record = to_object(example)
    assert json.loads(json.dumps(record, allow_nan=False)).keys() == record.keys()


def test_the_report_tells_it(stage: Stage[Any], out: Path) -> None:
    name, wanted = WRITTEN[stage.kind]
    if not name:
        assert stage.kind == "check"
        return
    with open(out / name, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row for row in rows if wanted.items() <= row.items()]


def test_its_screen_can_show_it(stage: Stage[Any], source: ReportInput) -> None:
    if stage.kind not in SHOWN:
        assert stage.kind in NOT_SHOWN
        return
    found, table = source.store.read(key_of(stage.kind), stage.record), source.store.tables.read(key_of("extract"))
    assert found is not None
    assert table is not None
    assert SHOWN[stage.kind](found, source.store, table)


def test_numbers_of_numpy_are_stored_as_plain_numbers() -> None:
    @dataclass(frozen=True)
    class Numbers:
        low: float | None
        count: int

    stored = to_object(Numbers(np.float64(0.5), np.int64(3)))
    assert stored == {"low": 0.5, "count": 3}
    assert type(stored["low"]) is float
    assert from_object(json.loads(json.dumps(stored)), Numbers) == Numbers(0.5, 3)
    with pytest.raises(TypeError, match="does not hold what it declares"):
        to_object(Numbers("high", 3))  # type: ignore[arg-type]
