"""Every export format of a made run, byte for byte against files that a person has looked at.

`MEDVLM_WRITE_GOLDEN=1 pytest tests/report/test_report_golden.py` writes them anew; read the difference before
committing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.write import write_report, write_tables
from tests.made.report_store import filled

GOLDEN = Path(__file__).with_name("golden")
FILES = (
    "results.csv",
    "folds.csv",
    "statistics.csv",
    "projection_scores.csv",
    "cost.csv",
    "t_grid.csv",
    "per_class.csv",
    "published.csv",
    "models.csv",
    "datasets.csv",
    "supplement.tex",
    "supplement.md",
    "table.tex",
    "table.md",
    "predictions/biomedclip_brain_mr_paper.csv",
    "projections/local-net-ad893b16_phantom_15_0.1.csv",
)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("report")
    source: ReportInput = filled(folder)
    # Figures have their own tests; here they would cost seconds and their bytes depend on the release of matplotlib.
    for _ in write_tables(Gathered(source), folder / "out"):
        pass
    yield folder / "out"
    source.store.close()


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_the_golden_one(out: Path, name: str) -> None:
    golden = GOLDEN / name.replace("/", "__")
    if os.environ.get("MEDVLM_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes((out / name).read_bytes())
    assert (out / name).read_bytes().decode() == golden.read_bytes().decode()


def test_every_file_is_told(tmp_path: Path) -> None:
    source = filled(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medvlm_tui.report.write.draw_figures", lambda *_: iter(()))
        told = {Path(event.path) for event in write_report(source, tmp_path / "out")}
    assert told == {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert len(told) == 12 + 5 + 6 + 6 + 2
