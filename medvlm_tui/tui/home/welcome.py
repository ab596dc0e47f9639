"""Offers in an empty workspace."""

from __future__ import annotations

from functools import partial

from rich.text import Text

from medvlm_tui.core.safe_text import error_text
from medvlm_tui.errors import MedvlmError
from medvlm_tui.tui.shared.rows import Row, plain
from medvlm_tui.tui.states import GREY

# Actions in an empty workspace: name, key, line, remarks of at most 64 columns.
_OFFERS = (
    (
        "phantom",
        "enter",
        "try the phantom",
        ("SYNTHETIC ultrasound-like images with a lesion of known shape,", "the packaged encoder, every stage"),
    ),
    ("open", "o", "point to a data folder", ("class folders, a CSV, or one of the study's eight datasets",)),
    (
        "missing",
        "m",
        "what is missing to run the paper",
        ("weights and datasets; medvlm-tui doctor checks the machine itself",),
    ),
)


def welcome_rows(surveyed: bool, gone: MedvlmError | None) -> list[Row]:
    """Return the offers; before the first survey that it is under way, or why none can come."""
    if not surveyed and gone is not None:
        return [plain(Text(line, style=GREY)) for line in error_text(gone).splitlines()]
    if not surveyed:
        return [plain(Text("looking at what is here ...", style=GREY))]
    rows: list[Row] = [plain(Text())]
    for name, key, text, more in _OFFERS:
        rows.append(Row(name, partial(_welcome_line, f" {key:<7}{text}")))
        rows += [plain(Text(f"        {line}", style=GREY)) for line in more]
        rows.append(plain(Text()))
    return rows


def _welcome_line(text: str, _width: int) -> Text:
    return Text(text, style="bold")
