"""The critical difference diagram, as text and as PNG."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from medvlm_tui.render.critical_difference import RankedModels, diagram
from medvlm_tui.report.comparison.critical_difference import draw_critical_difference
from medvlm_tui.report.results.run_results import Gathered
from tests.made.report_store import MODELS, filled

RANKED = RankedModels(
    {"a": "Alpha", "b": "Beta with a name", "c": "C", "d": "Delta"},
    {"c": 3.0, "a": 1.25, "b": 1.75, "d": 4.0},
    1.5,
    (("a", "b"), ("b", "c"), ("c", "d")),
)


def test_models_stand_by_rank_beside_their_bars() -> None:
    assert diagram(RANKED, 60) == [
        "                CD 1.50 ├───────────────┤",
        "              mean rank 1         2                    4",
        "Alpha              1.25 ···●                              ┐",
        "Beta with a name   1.75 ········●                         ┘┐",
        "C                  3.00 ·····················●            ┐┘",
        "Delta              4.00 ·······························●  ┘",
    ]


@pytest.mark.parametrize("width", [24, 40, 80, 160])
def test_no_line_is_wider_than_asked(width: int) -> None:
    lines = diagram(RANKED, width)
    assert len(lines) == 6
    assert max(map(len, lines)) <= width


def test_a_difference_beyond_all_ranks_is_an_arrow() -> None:
    wide = RankedModels({"a": "A", "b": "B", "c": "C"}, {"a": 1.0, "b": 2.0, "c": 3.0}, 2.4, (("a", "b", "c"),))
    head = diagram(wide, 60)[0]
    assert head.endswith("▶")
    assert "CD 2.40" in head


def test_the_figure_carries_its_ranks(tmp_path: Path) -> None:
    source = filled(tmp_path)
    [compared] = Gathered(source).rankings
    names = {model.id: model.name for model in MODELS}
    groups = {model.id: model.group for model in MODELS}
    draw_critical_difference(tmp_path / "a.png", compared, "accuracy", names, groups)
    draw_critical_difference(tmp_path / "b.png", compared, "accuracy", names, groups)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        parameters = json.loads(image.text["parameters"])  # type: ignore[attr-defined]
        assert image.width == 1440
    assert parameters["mean_ranks"] == [1.25, 1.75, 3.0]
    assert (parameters["critical_difference"], parameters["key"], parameters["datasets"]) == (2.34375, "ranking", 2)
    with pytest.raises(ValueError, match="no ranks"):
        draw_critical_difference(tmp_path / "c.png", compared, "f1", names, groups)
    source.store.close()
