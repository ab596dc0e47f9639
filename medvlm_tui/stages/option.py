"""An option of a run, declared once: as a field of the parameter record that it belongs to.

The command line, RUN.toml, the settings file, the copied command line, the table in README and the settings screen are
made from these fields (`settings/options.py`), so that no option exists in one of them and is missing in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Record = TypeVar("Record", bound="DataclassInstance")
_OPTION, _FOLLOWS = "option", "follows"


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that a value must fulfil."""

    words: str
    """Text of the error for a value that does not, after the option's name: `must be at least 2`."""
    accepts: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Option:
    """Description of an option, beside the type and the default value of its field."""

    name: str
    """In RUN.toml, in the settings file, and with hyphens on the command line."""
    help: str
    metavar: str = ""
    """Placeholder for the value in the help; empty: the choices, or the name in capitals."""
    choices: tuple[str, ...] = ()
    """The values that exist, of a list those of its items; empty: any."""
    check: Check | None = None
    words: Mapping[str, Any] = field(default_factory=dict)
    """Words that stand for a value, such as `grid`."""
    default_words: str | None = None
    """Text of the help for the default, where the value itself says nothing to a reader; empty: no text."""
    flag: str = ""
    """The flag without its hyphens, where it is another word than the name. The file takes both."""
    repeated: bool = False
    """The flag is given once for each item of the list."""
    normal: Callable[[Any], Any] | None = None
    """Returns the one spelling of a value that has several; raises UsageError for a wrong one."""
    read: Callable[[Any], Mapping[str, Any]] | None = None
    """Returns the fields of the record that the value sets, where these are several."""
    write: Callable[[Any], Any] | None = None
    """Returns the value from a record: the inverse of `read`."""
    section: str = ""
    """Heading in the help and on the settings screen; empty: the title of the stage."""
    other_results: bool = False
    """Another value asks for other results, so that those of the present one are no longer shown. So does every option
    of an analysis, whatever stands here."""


def option(default: T, declared: Option) -> T:
    """Return a field with a default value that is an option."""
    return field(default=default, metadata={_OPTION: declared})


def table_option(declared: Option) -> dict[str, str]:
    """Return a field for a table of names and paths that is an option; empty by default."""
    return field(default_factory=dict, metadata={_OPTION: declared})


def follows(default: T, name: str) -> T:
    """Return a field that has the value of an option of another record."""
    return field(default=default, metadata={_FOLLOWS: name})


def at_least(least: float) -> Check:
    """Return the check of a number's lower bound."""
    return Check(f"must be at least {least:g}" if least else "must not be negative", lambda value: value >= least)


def between(low: float, high: float) -> Check:
    """Return the check of a range that includes its ends."""
    return Check(f"must lie between {low:g} and {high:g}", lambda value: low <= value <= high)


def each(check: Check) -> Check:
    """Return the check of every item of a list."""
    return Check(check.words, lambda items: all(check.accepts(item) for item in items))


@dataclass(frozen=True, slots=True)
class Declared:
    """An option with the field that declares it."""

    option: Option
    record: type
    field: str
    default: Any
    section: str
    other_results: bool
    """Another value asks for other results, so that those of the present one are no longer shown."""

    @property
    def name(self) -> str:
        """Its name in RUN.toml."""
        return self.option.name

    @property
    def flag(self) -> str:
        """Its flag, with the hyphens."""
        return f"--{self.option.flag or self.option.name.replace('_', '-')}"

    @property
    def kind(self) -> type:
        """The type of its value: str, int, float, bool, tuple or dict."""
        return type(self.default)

    @property
    def item(self) -> type:
        """The type of an item of a list; of any other value its own."""
        if self.kind is not tuple:
            return self.kind
        return type(self.default[0]) if self.default else str

    def of(self, record: Any) -> Any:
        """Return its value in a parameter record."""
        return self.option.write(record) if self.option.write else getattr(record, self.field)


def declared_in(record: type, section: str = "", other_results: bool = False) -> Iterator[Declared]:
    """Yield the options that a record declares, in the order of its fields."""
    for each_field in fields(record):
        declared: Option | None = each_field.metadata.get(_OPTION)
        if declared is not None:
            default = declared.write(record()) if declared.write else _default(each_field)
            other = other_results or declared.other_results
            yield Declared(declared, record, each_field.name, default, declared.section or section, other)


def filled(record: type[Record], value: Callable[[str], Any]) -> Record:
    """Return a record with the value of each of its options; `value(name)` returns MISSING for the default."""
    values: dict[str, Any] = {}
    for each_field in fields(record):
        declared: Option | None = each_field.metadata.get(_OPTION)
        given = value(declared.name if declared else each_field.metadata.get(_FOLLOWS, ""))
        if given is not MISSING:
            values |= declared.read(given) if declared and declared.read else {each_field.name: given}
    return record(**values)


def values_in(record: DataclassInstance) -> dict[str, Any]:
    """Return the value of each option that a parameter record declares or follows, by the option's name."""
    followed = {
        each.metadata[_FOLLOWS]: getattr(record, each.name) for each in fields(record) if _FOLLOWS in each.metadata
    }
    return {**followed, **{each.name: each.of(record) for each in declared_in(type(record))}}


def _default(of: Field[Any]) -> Any:
    return of.default_factory() if of.default_factory is not MISSING else of.default
