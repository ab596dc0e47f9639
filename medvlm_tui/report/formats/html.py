"""Tables as HTML, and the environment in which every page is made: all values escaped, controls written out."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import count, groupby

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from medvlm_tui.core.counts import counted
from medvlm_tui.core.safe_text import clean
from medvlm_tui.report.formats.table import RAISED, SIGNS, Column, Heading, Printed, Row, Table, Value, text_of

MOST_ROWS = 300
"""Rows of a table on a page; the others are in its CSV file."""
_TABLE = "table.html"


def environment(package: str) -> Environment:
    """Return the environment of the templates in `package`: what they insert is escaped, unless it is Markup."""
    made = Environment(
        loader=PackageLoader(package),
        autoescape=select_autoescape(default=True, default_for_string=True),
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["number"] = functools.partial(next, count(1))
    return made


def table_html(table: Table, number: int) -> Markup:
    """Return a table with its caption and notes; `number` makes its ids differ from those of other tables."""
    rows = list(table.rows)
    kept = [index for index, column in enumerate(table.columns) if index == 0 or _filled(rows, index)]
    columns = [table.columns[index] for index in kept]
    shown = [row if isinstance(row, Heading) else [row[index] for index in kept] for row in rows[:MOST_ROWS]]
    template = _environment().get_template(_TABLE)
    return Markup(  # noqa: S704  the template escapes
        template.render(
            table=table,
            number=number,
            columns=columns,
            groups=_groups(columns),
            rows=shown,
            left_out=len(rows) - len(shown),
            signs=SIGNS,
            raised=RAISED,
        )
    )


def _shown(value: object) -> object:
    """Return what a template inserts: outside text with everything that acts instead of being seen written out."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.cache
def _environment() -> Environment:
    made = environment("medvlm_tui.report.formats")
    made.filters["counted"] = counted
    made.filters["text_of"] = text_of
    made.filters["sort_key"] = _sort_key
    made.tests["heading"] = lambda row: isinstance(row, Heading)
    made.tests["printed"] = lambda value: isinstance(value, Printed)
    return made


def _filled(rows: Sequence[Row | Heading], index: int) -> bool:
    return any(text_of(row[index]) for row in rows if not isinstance(row, Heading))


def _groups(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Return the headings over the columns with the number of columns under each; none where no column has one."""
    found = [(group, len(list(under))) for group, under in groupby(columns, key=lambda column: column.group)]
    return found if any(group for group, _ in found) else []


def _sort_key(value: Value) -> str:
    """Return what a column is sorted by: a number in full precision, else the text."""
    number = value.value if isinstance(value, Printed) else value
    if number is None or isinstance(number, str | bool):
        return text_of(value)
    return repr(float(number))
