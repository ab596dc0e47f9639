"""The published tables: every row is read, and the traps of comparing with them are avoided."""

from __future__ import annotations

from pathlib import Path

import pytest

from medvlm_tui.catalog.published import PAPER, POSTER, load_published, metric_for, published
from medvlm_tui.errors import MedvlmError


def test_every_cell_of_paper_and_poster_is_read() -> None:
    rows = load_published()
    assert sum(row.source == PAPER for row in rows) == 336
    assert sum(row.source == POSTER for row in rows) == 272
    assert all(row.model and row.dataset and 0 <= row.mean <= 1 and 0 <= row.std < 0.2 for row in rows)


def test_the_paper_has_each_model_on_each_dataset_once() -> None:
    cells = {(r.model, r.dataset, r.metric) for r in load_published() if r.source == PAPER}
    assert len(cells) == 21 * 8 * 2


def test_the_paper_prints_one_spread_for_both_metrics() -> None:
    rows = [row for row in load_published() if row.source == PAPER]
    spread = {(r.model, r.dataset, r.metric): r.std for r in rows}
    pairs = [(m, d) for m, d, metric in spread if metric == "f1"]
    assert sum(spread[m, d, "accuracy"] == spread[m, d, "f1"] for m, d in pairs) == 168


def test_a_score_is_a_fraction_with_its_mark() -> None:
    score = published("brain_mr", "biomedclip", "accuracy")
    assert score is not None
    assert (score.mean, score.std, score.mark, score.source) == (0.91, 0.005, "dagger", PAPER)
    assert published("brain_mr", "medsiglip", "macro_f1").mean == 0.97  # type: ignore[union-attr]


def test_f1_is_macro_except_on_breakhis() -> None:
    assert metric_for("brain_mr", "f1") == "macro_f1"
    assert published("breakhis", "medsiglip", "macro_f1") is None
    accuracy, f1 = published("breakhis", "medsiglip", "accuracy"), published("breakhis", "medsiglip", "f1_positive")
    assert accuracy is not None
    assert f1 is not None
    assert f1.mean > accuracy.mean
    assert published("brain_mr", "medsiglip", "f1_positive") is None


def test_copied_columns_are_never_compared_with() -> None:
    copied = [row for row in load_published() if row.note == "copy_error"]
    assert len(copied) == 32
    for row in copied:
        assert published(row.dataset, row.model, metric_for(row.dataset, row.metric), row.source) is None


def test_what_was_not_published_is_none() -> None:
    assert published("phantom", "medsiglip", "accuracy") is None
    assert published("brain_mr", "efficientnet_lite0", "accuracy") is None
    assert published("brain_mr", "medsiglip", "accuracy", "another source") is None


@pytest.mark.parametrize("broken", ["arXiv 2026,3,g,M,d,accuracy,101,0.5,,,m", "arXiv 2026,3,g,M,d,recall,91,0.5,,,m"])
def test_a_broken_row_is_named(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "published.csv"
    file.write_text("source,table,group,model,dataset,metric,mean_percent,std_percent,mark,note,id\n" + broken + "\n")
    with pytest.raises(MedvlmError, match="line 2"):
        load_published(file)
