"""The scores screen by keys: sorting, metric, protocol, views, filter, a cell's detail, ranks, export."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from rich.text import Text

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.store.store import Store
from medvlm_tui.stages.records.language import AlignmentRecord, PromptRecord, ScoreRecord, ZeroShotRecord
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.scores.cell_detail import flowed, warning_lines
from medvlm_tui.tui.scores.table import VIEWS, mean_ranks, score_table
from medvlm_tui.tui.state.board import Board
from tests.made.recorded import KEYS, RecordedClient, changed
from tests.made.study import fill, survey
from tests.made.whole_study import survey as whole_survey
from tests.tui.conftest import SIZES, seen, until
from tests.tui.test_hostile import NAMES, RAW


@pytest.fixture
def app(tmp_path: Path) -> MedvlmApp:
    fill(tmp_path)
    return MedvlmApp(tmp_path, client=RecordedClient(shown=survey()))


def line(screen: str, name: str) -> str:
    """Return the model's line of the table."""
    return next(row for row in screen.splitlines() if f"│ {name} " in row)


@pytest.mark.parametrize("size", SIZES)
async def test_the_table_has_ties_marks_ranks_and_groups(app: MedvlmApp, size) -> None:
    async with app.run_test(size=size) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        screen = await until(pilot, "94.0±1.1=")
        assert "accuracy, paper protocol, by catalog" in screen
        assert "95.0±1.1 †" in line(screen, "MedSigLIP")
        # Not told apart on Brain MR, told apart on BreastUS.
        assert "80.0±1.1 †" in line(screen, "MedSigLIP")
        assert "1.5" in line(screen, "CLIP (B/16)")
        assert "Mine [/]" in screen
        assert "= not told apart from the best" in screen
        if size == SIZES[0]:
            await pilot.press("d")
        await until(pilot, "true \\ predicted")
        assert "95.0 ± 1.1   95 % 50.0–75.0   published 97.0 ± 0.5" in seen(app)
        await pilot.press("d")
        await pilot.pause()
        assert "true \\ predicted" not in seen(app)


async def test_the_whole_study_stands_in_120_columns_under_one_heading_for_each_group(tmp_path: Path) -> None:
    app = MedvlmApp(tmp_path, client=RecordedClient(shown=whole_survey()))
    async with app.run_test(size=(120, 60)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        screen = await until(pilot, "paper protocol")
        row = line(screen, "MedSigLIP")
        assert len(re.findall(r"\d\d\.\d", row)) == 1 + 9
        assert "ViLa-MIL's patch encoder" in screen
        assert "…" not in row
        for group in ("Medical", "Modality-specific", "General"):
            assert len([one for one in screen.splitlines() if one.strip("│ ") == group]) == 1
        # By rank: the sign stands at the column's head, and the cursor stays on its model.
        await pilot.press("s")
        screen = await until(pilot, "by mean rank")
        assert "▲rank" in screen
        numbers = [re.findall(r"\d+\.\d", row) for row in screen.splitlines() if row.startswith("│")]
        ranks = [float(found[-10]) for found in numbers if len(found) >= 10]
        assert len(ranks) == len(load_models())
        assert ranks == sorted(ranks)
        assert "▸" in line(screen, "MedSigLIP")


async def test_names_keep_twenty_cells_where_the_datasets_do_not_fit(tmp_path: Path) -> None:
    app = MedvlmApp(tmp_path, client=RecordedClient(shown=whole_survey()))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        assert "LLaVA-Med++ (S2) " in await until(pilot, "datasets 1-5 of 9")


async def test_views_metrics_and_protocols(app: MedvlmApp) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("c")
        assert "50.0–75.0" in line(await until(pilot, "accuracy, interval"), "MedSigLIP")
        assert "95 % interval over the held-out images" in seen(app)
        await pilot.press("c")
        assert "97.0≠n" in line(await until(pilot, "accuracy, published"), "MedSigLIP")
        await pilot.press("c")
        assert "-2.0≠n" in line(await until(pilot, "accuracy, difference"), "MedSigLIP")
        await pilot.press("c")
        assert "+4.0" in line(await until(pilot, "accuracy, leakage"), "MedSigLIP")
        await pilot.press("c")
        assert "1s→0.001" in line(await until(pilot, "accuracy, grid"), "MedSigLIP")
        await pilot.press("c", "c", "m")
        # CLIP's F1 is told apart where its accuracy is not.
        assert "93.0±1.3=" not in await until(pilot, "macro f1, paper")
        await pilot.press("m")
        assert "0.050±0.010" in line(await until(pilot, "ece, paper"), "MedSigLIP")
        await pilot.press("m", "t")
        screen = await until(pilot, "grouped protocol")
        assert "91.0±1.1" in line(screen, "MedSigLIP")
        assert "=" not in line(screen, "CLIP (B/16)")


async def test_sorting_by_rank_and_by_a_column(app: MedvlmApp) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("right", "s")
        screen = await until(pilot, "by mean rank")
        assert "General" not in screen
        await pilot.press("s")
        screen = await until(pilot, "by BreastUS")
        order = [screen.index(f"│ {name} ") for name in ("CLIP (B/16)", "MedSigLIP", "Mine [/]")]
        assert "▼BreastUS" in screen
        assert order == sorted(order)


async def test_the_filter_narrows_models_or_datasets(app: MedvlmApp) -> None:
    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("slash", *"clip", "enter")
        await pilot.pause()
        screen = seen(app)
        assert "CLIP (B/16)" in screen
        assert "Mine [/]" not in screen
        assert "BreastUS" in screen
        await pilot.press("escape")
        await until(pilot, "Mine [/]")
        assert app.screen.place == "scores"
        await pilot.press("escape")
        await pilot.pause()
        assert app.screen.place == "home"


@pytest.mark.parametrize("size", SIZES)
async def test_a_cell_opens_and_leads_to_saliency(app: MedvlmApp, size) -> None:
    async with app.run_test(size=size) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "= not told apart")
        await pilot.press("enter")
        screen = await until(pilot, "→")
        assert "folds" in screen
        assert "prec." in screen
        # The recorded data set lies nowhere: the picture's place says so.
        await until(pilot, "needs the data folder")
        await pilot.press("escape")
        await until(pilot, "= not told apart")
        await pilot.press("enter")
        await until(pilot, "prec.")
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen.place == "saliency"


@pytest.mark.parametrize("size", SIZES)
async def test_the_ranks_are_a_view_with_their_pairs(app: MedvlmApp, size) -> None:
    async with app.run_test(size=size) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("v")
        screen = await until(pilot, "Friedman")
        assert "2.34" in screen
        assert any("CLIP (B/16)" in row and "●" in row for row in screen.splitlines())
        assert "better  –  worse" in screen
        assert "MedSigLIP  –  Mine [/]" in screen
        await pilot.press("a")
        assert "no pair is told apart" in await until(pilot, "told apart")
        await pilot.press("m")
        assert "2 models cannot be ranked" in await until(pilot, "cannot be ranked")
        await pilot.press("escape", "t", "v")
        await until(pilot, "No ranking under the grouped protocol")
        await pilot.press("v")
        await until(pilot, "grouped protocol, by catalog")


def texts_app(tmp_path: Path, name: str = "") -> MedvlmApp:
    """Return the program over a study in which one cell has zero-shot and alignment."""
    fill(tmp_path)
    example = ZeroShotRecord.example()
    shown = replace(
        example.sets[0],
        name=name or "ensemble",
        hold_out={
            "accuracy": ScoreRecord(value=0.613, low=0.5, high=0.7),
            "balanced_accuracy": ScoreRecord(value=0.571, low=0.412, high=0.7),
        },
        prompts=(
            PromptRecord(prompt=f"a scan of {{}}{name}", scores={"balanced_accuracy": 0.4}, flips=0.25),
            PromptRecord(prompt="{}", scores={"balanced_accuracy": 0.6}, flips=0.1),
        ),
    )
    with Store(tmp_path / "store") as store:
        store.put_result("zero-1", {}, replace(example, sets=(shown,)))
        gap = replace(AlignmentRecord.example().measures[0], condition=name, chance=0.25, p_value=0.01)
        store.put_result("align-1", {}, replace(AlignmentRecord.example(), measures=(gap,)))
    said = survey()
    cells = [
        changed(cell, zero_shot="zero-1", alignment="align-1")
        if (cell.model, cell.dataset) == ("medsiglip", "brain_mr")
        else cell
        for cell in said.cells
    ]
    return MedvlmApp(tmp_path, client=RecordedClient(shown=replace(said, cells=tuple(cells))))


@pytest.mark.parametrize("size", SIZES)
async def test_zero_shot_stands_beside_the_probe(tmp_path: Path, size) -> None:
    app = texts_app(tmp_path)
    async with app.run_test(size=size) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        for _ in range(len(VIEWS) - 1):
            await pilot.press("c")
        screen = await until(pilot, "61.3 (-33.7)")
        assert "accuracy, zero-shot, paper protocol" in screen
        assert "by the model's own texts" in screen
        assert line(screen, "CLIP (B/16)").count("–") == 2
        await pilot.press("m")
        assert "(-" not in line(await until(pilot, "macro f1, zero-shot"), "MedSigLIP"), "macro F1 was not scored"


async def test_a_cell_tells_of_its_texts(tmp_path: Path) -> None:
    app = texts_app(tmp_path)
    app.selection.model, app.selection.dataset = "medsiglip", "brain_mr"
    async with app.run_test(size=(160, 60)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("enter")
        screen = await until(pilot, "zero-shot, 8 held-out images")
        assert re.search(r"ensemble +57\.1 \[41\.2, 70\.0\] +50\.0 +61\.3", screen)
        assert "accuracy less the probe's (paper) -25.0 [-50.0, +12.5]" in screen
        assert re.search(r"best +60\.0  \{\}", screen)
        assert re.search(r"worst +40\.0  a scan of \{\}", screen)
        assert re.search(r"modality gap +0\.750  \[0\.500, 0\.938\] +0\.250  p 0\.01", screen)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_hostile_prompts_are_text(tmp_path: Path, name: str) -> None:
    app = texts_app(tmp_path, name.encode("utf-8", "replace").decode())
    app.selection.model, app.selection.dataset = "medsiglip", "brain_mr"
    async with app.run_test(size=(160, 60)) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("enter")
        assert not RAW.search(await until(pilot, "texts and images"))


async def test_export_writes_the_table(app: MedvlmApp, tmp_path: Path) -> None:
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("x")
        await until(pilot, "results.csv, published.csv", tries=600)
    [folder] = (tmp_path / "exports").iterdir()
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "results.csv",
        "results.parquet",
        "published.csv",
        "table.tex",
        "table.md",
        "critical_difference.png",
        "critical_difference.svg",
    }
    rows = list(csv.DictReader((folder / "results.csv").open()))
    assert pyarrow.parquet.read_table(folder / "results.parquet").column("metric").to_pylist() == [
        r["metric"] for r in rows
    ]
    assert {row["model"] for row in rows} == {"medsiglip", "clip_b16", "mine"}
    assert "Mine \\[/\\]" in (folder / "table.md").read_text()
    assert "\\begin{table}" in (folder / "table.tex").read_text()
    bounds = {
        (row["ci_low"], row["ci_high"]) for row in rows if (row["metric"], row["protocol"]) == ("accuracy", "paper")
    }
    assert bounds == {("0.5", "0.75")}
    assert {row["mean"] for row in rows if row["protocol"] == "paper/final"} == {"0.8"}


async def test_an_exported_table_of_two_precisions_marks_the_reduced_one(tmp_path: Path) -> None:
    fill(tmp_path)
    with Store(tmp_path / "store") as store:
        table = store.tables.read(KEYS["extract"])
        assert table is not None
        store.seal("reduced", replace(table, encoder=replace(table.encoder, precision="bf16", feature="other")))
    whole = survey()
    first, *others = whole.cells
    shown = replace(whole, cells=(changed(first, table="reduced"), *others))
    app = MedvlmApp(tmp_path, client=RecordedClient(shown=shown))
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("x")
        await until(pilot, "results.csv, published.csv", tries=600)
    [folder] = (tmp_path / "exports").iterdir()
    cell = survey().cells[0]
    text = (folder / "table.md").read_text()
    assert text.count(" bf16 ") == 2 + 1  # accuracy, F1 and the note below
    assert "- bf16: features computed in this precision; the table mixes bf16 and fp32" in text
    assert "bf16" in (folder / "table.tex").read_text().split(r"\bottomrule")[0]
    rows = list(csv.DictReader((folder / "results.csv").open()))
    features = {(row["model"], row["dataset"]): row["feature"] for row in rows}
    assert features.pop((cell.model, cell.dataset)) == "other"
    assert set(features.values()) == {"pooled"}


async def test_export_of_a_protocol_without_intervals_leaves_them_empty(app: MedvlmApp, tmp_path: Path) -> None:
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        await pilot.press("t")
        await until(pilot, "90.0±1.1")
        await pilot.press("x")
        await until(pilot, "results.csv, published.csv", tries=600)
    [folder] = (tmp_path / "exports").iterdir()
    rows = list(csv.DictReader((folder / "results.csv").open()))
    assert {(row["ci_low"], row["ci_high"]) for row in rows} == {("", "")}


def test_equal_scores_share_a_rank_and_a_hole_has_none() -> None:
    board = Board()
    board.apply(survey())
    table = score_table(board, "paper", "accuracy", {})
    assert table.ranks == {"medsiglip": 1.5, "clip_b16": 1.5, "mine": 3.0}
    same = dict.fromkeys(table.scores, table.scores["mine", "brain_mr"])
    assert mean_ranks(same) == {"medsiglip": 2.0, "clip_b16": 2.0, "mine": 2.0}
    del same["mine", "breast_us"]
    assert mean_ranks(same) == {"medsiglip": 1.5, "clip_b16": 1.5}
    # A calibration error is best where it is lowest.
    errors = score_table(board, "paper", "ece", {})
    assert errors.ranks == table.ranks
    assert errors.scores["medsiglip", "brain_mr"].best


def test_a_cells_blocks_and_warnings_use_the_width_there_is() -> None:
    blocks = ([Text("a" * 30)] * 3, [Text("b" * 40)] * 2, [Text("c" * 20)])
    beside = [line.plain for line in flowed(blocks, 96)]
    assert beside[0] == f"{'a' * 30}   {'b' * 40}   {'c' * 20}"
    assert len(beside) == 3
    below = [line.plain for line in flowed(blocks, 80)]
    assert below[0] == f"{'a' * 30}   {'b' * 40}"
    assert below[-2:] == ["", "c" * 20]
    said = "the hold-out has few images of one class, and its scores move by several points from split to split"
    record = replace(ProbeRecord.example(), warnings=(said,))
    assert len(warning_lines(record, 150)) == 1
    assert max(line.cell_len for line in warning_lines(record, 40)) <= 40


async def test_a_cell_a_line_and_the_table_are_copied(app: MedvlmApp, tmp_path: Path) -> None:
    file = tmp_path / "clipboard.txt"
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "MedSigLIP")
        await pilot.press("f4")
        await until(pilot, "94.0±1.1=")
        for number, start in (
            (1, "MedSigLIP × Brain MR  95.0 ± 1.1   95 % 50.0–75.0"),
            (2, "MedSigLIP\t95.0±1.1 †\t80.0±1.1 †"),
            (3, "| model | Brain MR | BreastUS |\n| --- | ---: | ---: |\n| MedSigLIP | 95.0±1.1 † |"),
        ):
            await pilot.press("y")
            await until(pilot, "table as Markdown")
            await pilot.press(*["down"] * number, "enter")
            await pilot.pause(0.05)
            assert file.read_text().startswith(start)
        assert "Mine \\[/\\]" in file.read_text()
