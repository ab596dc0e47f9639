"""Options as flags of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from medvlm_tui.errors import UsageError
from medvlm_tui.settings.options import OPTIONS, help_of
from medvlm_tui.settings.values import checked, parsed
from medvlm_tui.stages.option import Declared


def add_sections(parser: argparse.ArgumentParser, names: Iterable[str]) -> None:
    """Add the flags of options to a parser, each below the heading of its section."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for each in (OPTIONS[name] for name in names):
        group = groups.get(each.section) or groups.setdefault(each.section, parser.add_argument_group(each.section))
        add_flag(group, each)


def add_flag(parser: argparse._ActionsContainer, each: Declared, absent: Any = None) -> None:
    """Add the flag of one option."""
    shared = {"dest": each.name, "default": absent, "help": help_of(each)}
    if each.kind is bool:
        parser.add_argument(each.flag, action="store_true", **shared)
        return
    if each.option.repeated or each.kind is dict:
        shared["action"] = "append"
    if each.option.choices and (each.kind is not tuple or each.option.repeated):
        parser.add_argument(each.flag, choices=each.option.choices, **shared)
        return
    parser.add_argument(each.flag, type=_reader(each), metavar=each.option.metavar or each.name.upper(), **shared)


def _reader(each: Declared) -> Callable[[str], Any]:
    """Return the function that reads the text after a flag; its name stands in the message of argparse."""

    def read(text: str) -> Any:
        return parsed(each, text)

    if each.kind is dict:
        return str
    read.__name__ = f"list of {each.item.__name__}" if each.kind is tuple else each.item.__name__
    return read


def values_of(options: argparse.Namespace, names: Iterable[str] = OPTIONS) -> dict[str, Any]:
    """Return the values of those of the options `names` that a command line gives.

    A command has arguments of its own that may bear the name of an option.
    """
    given = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    return checked({name: _table(name, value) for name, value in given.items()}, "command line")


def _table(name: str, value: Any) -> Any:
    return dict(_assignment(item, name) for item in value) if OPTIONS[name].kind is dict else value


def _assignment(text: str, option: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(
            f"--{option} {text}: expected NAME=PATH", f"write for example --{option} brain_mr=/data/brain_mri"
        )
    return name, path
