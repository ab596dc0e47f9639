"""The options of a run as rows of a form, and what is said of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.settings.options import OPTIONS, in_words, typed_words, value_of
from medvlm_tui.stages import FIRST_LOOK, STAGES
from medvlm_tui.stages.option import Declared
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.shared.rows import Row, plain
from medvlm_tui.tui.state.survey_rows import Cell
from medvlm_tui.tui.states import GREY, YELLOW

ELSEWHERE = ("models", "datasets", "stages", "demo")
"""Options that the marks on home decide, and the keys of the places."""
THIS_PROGRAM = "this program"
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Form:
    """The values that the screens start runs with, and where they come from."""

    given: RunRequest
    """As the program was started."""
    now: RunRequest
    origins: Mapping[str, str]
    """Option -> where the program got its value at the start: settings file, environment, command line."""

    def value(self, name: str) -> Any:
        """Return the value of an option now."""
        return value_of(self.now, name)

    def source(self, name: str) -> str:
        """Return where the value of an option comes from, in words."""
        if self.value(name) != value_of(self.given, name) or (name in self.now.options) != (name in self.given.options):
            return THIS_PROGRAM
        return self.origins.get(name, _DEFAULT)


def form_rows(form: Form) -> list[Row]:
    """Return a heading for each section, and a row for each option."""
    shown = [each for each in OPTIONS.values() if each.name not in ELSEWHERE]
    sections = dict.fromkeys(each.section for each in shown)
    ordered = sorted(shown, key=lambda each: list(sections).index(each.section))
    rows: list[Row] = []
    for section, members in groupby(ordered, key=lambda each: each.section):
        rows.append(plain(Text(section, style=f"bold {GREY}")))
        rows += [Row(each.name, _drawn(each, form)) for each in members]
    return rows


def _drawn(each: Declared, form: Form) -> Any:
    source, value = form.source(each.name), shown_value(each, form.value(each.name))

    def line(width: int) -> Text:
        name, room = Text(each.name), max(8, width - 24 - 16)
        name.truncate(23, overflow="ellipsis", pad=True)
        written = Text(value, style="" if source == _DEFAULT else "bold")
        written.truncate(room, overflow="ellipsis", pad=True)
        return Text.assemble(name, " ", written, " ", (source, YELLOW if source == THIS_PROGRAM else GREY))

    return line


def shown_value(each: Declared, value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, dict):
        return f"{len(value)} given" if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == each.default and each.option.default_words:
        return clean(each.option.default_words)
    return clean(typed_words(each, value)) or "none"


def told(each: Declared, form: Form) -> Iterator[Text]:
    """Yield what is said of an option below the list."""
    value = form.value(each.name)
    yield Text(f"{each.option.help[0].upper()}{each.option.help[1:]}.")
    if isinstance(value, dict):
        yield from (Text(clean(f"{name} = {path}")) for name, path in value.items())
        yield Text(f"Given by {each.flag} {each.option.metavar}; data also by o on home.", style=GREY)
        return
    if each.option.choices:
        yield Text(f"One of: {', '.join(each.option.choices)}." if each.kind is not tuple else _several(each))
    if each.option.check:
        yield Text(f"It {each.option.check.words}.")
    if each.name in FIRST_LOOK and each.name not in form.now.options:
        yield Text(
            f"A run from these screens is a first look and takes {in_words(FIRST_LOOK[each.name]) or 'none'}; "
            "a value that is set here is taken as it is.",
            style=YELLOW,
        )
    whole = clean(in_words(value)) or shown_value(each, value)
    yield Text(f"Default: {shown_value(each, each.default)}.  Value: {whole}.", style=GREY)
    yield Text(f"On the command line {each.flag}, in the settings file {each.name}.", style=GREY)
    if each.other_results:
        yield Text("Another value asks for other results; those of this one stay stored.", style=GREY)


def _several(each: Declared) -> str:
    return f"Any of: {', '.join(each.option.choices)}, with commas between them."


def hidden_results(each: Declared, cells: Iterable[Cell]) -> int:
    """Return how many results of today's settings belong to the present value of an option."""
    if not each.other_results:
        return 0
    current = [cell for cell in cells if not cell.differs]
    kinds = {stage.kind for stage in STAGES if stage.options is each.record} - {"probe"}
    if kinds:
        return sum(bool(kinds & cell.keys.keys()) for cell in current)
    return sum(bool(cell.keys or cell.probes) for cell in current)
