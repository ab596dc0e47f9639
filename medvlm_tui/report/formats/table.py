"""The one model of a table: named columns, rows of values, notes. CSV, LaTeX, Markdown and HTML are forms of it.

The marks of a printed value (best, tied, trained on) are data in `Printed`; each form decides how they look. Everything
here is unescaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Scalar = str | bool | int | float | np.generic | None
Kind = Literal["text", "number"]
Align = Literal["left", "right", "wrapped"]
Mark = Literal["", "dagger", "star"]
RAISED = {"n": "ⁿ", "c": "ᶜ", "p": "ᵖ"}
"""Letter of what differs from a published score -> the letter raised, where a form has no markup for that."""
SIGNS: dict[Mark, str] = {"": "", "dagger": "†", "star": "★"}
TIED = "="
TOO_FEW = "too few"


@dataclass(frozen=True, slots=True)
class Printed:
    """A value with the text that printed tables show for it, and its marks."""

    text: str
    """Rounded for print, without unit and marks."""
    value: Scalar = None
    """In full precision, for CSV and for sorting."""
    unit: str = ""
    best: bool = False
    """The best of its column."""
    tied: bool = False
    """Not the best, and not told apart from it."""
    too_few: bool = False
    """Compared with the best on so few images that no difference could have shown."""
    mark: Mark = ""
    """dagger: the modality was in the model's training data; star: the dataset itself was."""
    raised: str = ""
    """Letters of RAISED: what differs from the published score beside the model."""
    interval: str = ""
    """`[low, high]`."""
    precision: str = ""
    """Number format of the features, where a table mixes several and this one is not fp32."""


Value = Scalar | Printed
Row = Sequence[Value]


@dataclass(frozen=True, slots=True)
class Heading:
    """A line between the rows that names those below it."""

    title: str


@dataclass(frozen=True, slots=True)
class Aside:
    """A companion table of narrow pages: it takes the columns that the main one has no room for."""

    title: str
    suffix: str
    """Of its label in LaTeX."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    """In CSV, and the key of a column in HTML."""
    title: str = ""
    """In LaTeX, Markdown and HTML; the name where empty."""
    kind: Kind = "text"
    align: Align | None = None
    """By kind where None: text left, numbers right. A wrapped column is `width_pt` wide."""
    width_pt: float = 0.0
    """In print: width of a wrapped column, estimated width of a column under a group."""
    group: str = ""
    """Heading over neighbouring columns with the same one; empty: a column that names the rows."""
    short: str = ""
    """The title under a printed group heading; the title where empty."""
    aside: Aside | None = None
    """The table that the column goes into if not all fit a page's width."""

    @property
    def heading(self) -> str:
        """The title, or the name of a column without one in words."""
        return self.title or self.name.replace("_", " ")

    @property
    def alignment(self) -> Align:
        """As asked for, or by the kind."""
        return self.align or ("right" if self.kind == "number" else "left")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of any form."""

    name: str
    """Of its file below the report's folder, without a suffix; its slug is the label in LaTeX."""
    columns: tuple[Column, ...]
    rows: Iterable[Row | Heading]
    """Each row has a value for each column. An iterator can be read once; printed forms need a sequence."""
    title: str = ""
    """The caption."""
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def values(self) -> Iterator[Row]:
        """The rows without headings."""
        return (row for row in self.rows if not isinstance(row, Heading))


def texts(*names: str) -> tuple[Column, ...]:
    """Return columns of text."""
    return tuple(Column(name) for name in names)


def numbers(*names: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(Column(name, kind="number") for name in names)


def wrapped(name: str, width_pt: float) -> Column:
    """Return a column of long text, broken into lines in print."""
    return Column(name, align="wrapped", width_pt=width_pt)


def right(*names: str) -> tuple[Column, ...]:
    """Return columns of short text at the right."""
    return tuple(replace(column, align="right") for column in texts(*names))


def number(value: float | None, spec: str, unit: str = "") -> Printed | None:
    """Return a number printed by a format specification such as `.1f`; None stays None."""
    return None if value is None else Printed(format(value, spec), value, unit)


def text_of(value: Value) -> str:
    """Return a value as printed forms show it, without unit and marks; empty where there is none."""
    match value:
        case Printed():
            return value.text
        case None:
            return ""
        case bool() | np.bool_():
            return "yes" if value else "no"
        case float() | np.floating():
            return "" if np.isnan(value) else f"{value:.4g}"
        case _:
            return str(value)
