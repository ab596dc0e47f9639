"""LaTeX: nothing from outside acts, everything compiles, the page is not overfull."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.catalog.published import PAPER, POSTER
from medvlm_tui.core.specs import Dataset
from medvlm_tui.report.formats import latex, markdown
from medvlm_tui.report.formats.latex_text import escape
from medvlm_tui.report.formats.table import Mark, Printed
from medvlm_tui.report.scores.layout import printed
from medvlm_tui.report.scores.supplement import datasets_printed, models_printed
from medvlm_tui.report.scores.table_records import DatasetColumns, Entry, Group, ScoreTable

HOSTILE = (
    "\\input{/etc/passwd}", "&%_#${}~^", "=cmd|' /C calc'!A0", "[/] *", "\x1b[31mred", "$$\\alpha", "--",
    "a\\\\[9cm]", "\u202ertl", "日本語 😀", "Zürich œuvre Łódź ñ ș", "α-SMA Ω µ ± ★ † Δ °", "\udcff",
    "<b>\"quoted\"</b> `tick` | x", "%",
)  # fmt: skip


def compile_latex(folder: Path, body: str) -> str:
    """Return pdflatex's log; asserts that it made a page."""
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        assert not os.environ.get("CI"), "pdflatex is missing: install texlive-latex-base and texlive-latex-recommended"
        pytest.skip("pdflatex is not installed")
    (folder / "table.tex").write_text(body, encoding="utf-8")
    document = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\\input{table.tex}\\end{document}"
    (folder / "document.tex").write_text(document)
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "document.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
    log = (folder / "document.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert (folder / "document.pdf").stat().st_size > 1000
    return log


def table(models: tuple[str, ...], datasets: tuple[str, ...], compared: bool = True) -> ScoreTable:
    sources = (PAPER, POSTER) if compared else ()
    entries = {model: entry("dagger" if index else "star", index == 0, compared) for index, model in enumerate(models)}
    columns = tuple(DatasetColumns(name, "F1", entries, sources) for name in datasets)
    groups = (Group("Modality-specific VLMs or pre-trained models & more", tuple((m, m) for m in models)),)
    return ScoreTable("paper", groups, columns, ("†: a note with 5 % and ± in it.",))


def entry(mark: Mark, first: bool, compared: bool) -> Entry:
    differences = {PAPER: Printed("−10.2", raised="ncp"), POSTER: Printed("+0.3", raised="n")}
    return Entry(
        accuracy=Printed("91.2 ± 0.5", unit="%", best=first, tied=first, mark=mark),
        f1=Printed("90.0 ± 1.6", unit="%", best=first, mark=mark),
        balanced=Printed("88.1", unit="%"),
        differences=differences if compared else {},
    )


def test_the_golden_table_compiles_and_fits(tmp_path: Path) -> None:
    golden = Path(__file__).with_name("golden") / "table.tex"
    assert "Overfull" not in compile_latex(tmp_path, golden.read_text(encoding="utf-8"))


def test_the_golden_supplement_compiles_and_fits(tmp_path: Path) -> None:
    golden = Path(__file__).with_name("golden") / "supplement.tex"
    assert "Overfull" not in compile_latex(tmp_path, golden.read_text(encoding="utf-8"))


def test_tables_1_and_2_of_the_whole_catalog_compile_and_fit(tmp_path: Path) -> None:
    models, datasets = tuple(load_models().values()), load_datasets().values()
    shown = tuple(Dataset(spec, Path("/nowhere"), "", (), spec.classes, HOSTILE) for spec in datasets)
    made = (models_printed(models), datasets_printed(shown, HOSTILE))
    text = latex.render(made)
    assert text.count("\\begin{table}") > 2
    assert all(count in text for count in ("2,870", "7,909", "LLM2CLIP"))
    log = compile_latex(tmp_path, text)
    assert "Overfull \\hbox" not in log
    assert "Float too large" not in log


def test_hostile_names_compile_and_stay_text(tmp_path: Path) -> None:
    made = table(HOSTILE, (HOSTILE[0], HOSTILE[1]))
    made = replace(made, protocol=HOSTILE[1], notes=HOSTILE)
    text = latex.render(printed([made]))
    assert not re.search(r"(?<!textbackslash\{\})\\input", text)
    assert "passwd" in text
    compile_latex(tmp_path, text)


def test_the_papers_size_fits_the_text_block(tmp_path: Path) -> None:
    models = tuple(f"LLaVA-1.6 Mistral {number}" for number in range(40))
    datasets = ("Brain MR", "SARS-CoV-2 CT", "PneumoniaMNIST", "BreastUS", "BreakHis", "HiCervix", "DeepDRiD", "ISIC")
    made = table(models, datasets)
    log = compile_latex(tmp_path, latex.render(printed([made])))
    assert "Overfull \\hbox" not in log
    text = latex.render(printed([made]))
    assert (text.count("part 1 of 4"), text.count("percent points"), text.count("\\begin{table}")) == (1, 3, 9)
    assert (text.count("Balanced accuracy, protocol"), text.count(r"88.1\,\%")) == (2, 8 * 40)
    assert "Overfull \\hbox" not in compile_latex(
        tmp_path, latex.render(printed([table(models, datasets, compared=False)]))
    )


def test_a_table_longer_than_a_page_is_split_under_its_heading(tmp_path: Path) -> None:
    made = table(tuple(f"model {number}" for number in range(30)), ("Brain MR",))
    columns = made.columns[0]
    intervals = {
        name: replace(one, accuracy=replace(one.accuracy, interval="[50.0, 93.8]"))
        for name, one in columns.entries.items()
        if one.accuracy is not None
    }
    text = latex.render(printed([replace(made, columns=(replace(columns, entries=intervals),))]))
    assert (text.count(r"\begin{table}"), text.count("Modality-specific VLMs")) == (2, 2)
    assert all(text.count(f"\nmodel {number} &") == 1 for number in range(30))
    assert "Float too large" not in compile_latex(tmp_path, text)


def test_no_result_is_a_comment(tmp_path: Path) -> None:
    assert latex.render([]).startswith("%")
    assert markdown.render([]) == "No cell has a result yet.\n"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50 % & more_", r"50 \% \& more\_"),
        ("é", r"\'{e}"),
        ("α", r"$\alpha$"),
        ("日", "U+65E5"),
        ("\x1b[0m", r"\textbackslash{}x1b{[}0m"),
        ("±", r"$\pm$"),
    ],
)
def test_escape(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("[x](javascript:y)", r"\[x\](javascript:y)"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_markdown_escape(text: str, escaped: str) -> None:
    assert markdown.escape(text) == escaped
