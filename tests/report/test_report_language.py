"""The charts of language, from the examples of its records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from medvlm_tui.report.language.figures import charts_of, language_figures
from medvlm_tui.report.language.files import tables
from medvlm_tui.report.language.section import sections
from medvlm_tui.report.page.blocks import Drawing
from medvlm_tui.report.results.run_results import Gathered
from tests.made.examples import filled


def test_every_dataset_has_a_chart_of_each_kind_with_the_numbers_of_the_records(tmp_path: Path) -> None:
    source = filled(tmp_path / "store")
    charts = {chart.name: chart for dataset in source.datasets for chart in charts_of(source, dataset)}
    assert set(charts) == {"zero_shot", "alignment", "reading"}
    ((model, series),) = charts["zero_shot"].rows.items()
    assert series["ensemble"] == (0.75, 0.5, 0.9375)
    assert charts["zero_shot"].chance == pytest.approx(0.5)
    assert charts["alignment"].rows[model]["modality gap"] == (0.75, 0.5, 0.9375)
    assert charts["reading"].rows[model] == {"text": (0.875, 0.5, 1.0)}
    files = [Path(event.path) for event in language_figures(source, tmp_path / "figures")]
    assert sorted(path.suffix for path in files) == [".png"] * 3 + [".svg"] * 3
    (png,) = [path for path in files if path.name.startswith("reading") and path.suffix == ".png"]
    with Image.open(png) as picture:
        said = next(text for text in picture.info.values() if isinstance(text, str) and "chance" in text)
    assert json.loads(said)["values"][model]["text"] == [0.875, 0.5, 1.0]
    (section,) = sections(Gathered(source), files)
    assert [block.path for block in section.blocks if isinstance(block, Drawing)] == [
        path for path in files if path.suffix == ".svg"
    ]
    source.store.close()


def test_the_printed_table_has_a_row_per_model_and_dataset(tmp_path: Path) -> None:
    source = filled(tmp_path / "store")
    written = [Path(event.path).name for event in tables(Gathered(source), tmp_path)]
    assert written[-2:] == ["language.tex", "language.md"]
    row = next(line for line in (tmp_path / "language.md").read_text().replace("\\", "").split("\n") if "75.0" in line)
    for text in ("[50.0, 93.8]", "0.75", "[0.50, 0.94]", "87.5", "[50.0, 100.0]"):
        assert text in row
    assert "75.0" in (tmp_path / "language.tex").read_text()
    source.store.close()
