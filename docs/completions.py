"""The completion scripts, made by shtab from the parsers of the command line; `docs/generate.py` writes them."""

from __future__ import annotations

import argparse
import re

import shtab

from medvlm_tui.cli import COMMANDS, batch_parser, command_parser

_FILES = ("CSV", "F.npy", "F.npz", "FILE", "FILE.toml", "IMAGE", "PATH", "RUN.toml")
_FOLDERS = ("DIR", "FOLDER", "RUN_A", "RUN_B")


def scripts(shells: tuple[str, ...]) -> dict[str, str]:
    """Return shell -> its script."""
    return {shell: _plain(shtab.complete(_parser(), shell=shell)) for shell in shells}


def _parser() -> argparse.ArgumentParser:
    """Return one parser with all commands, `--batch`, and the options of a run beside it."""
    parser = command_parser(list(COMMANDS))
    parser.add_argument("--batch", action="store_true", help="run without the screens")
    for action in batch_parser()._actions:
        if action.option_strings and not set(action.option_strings) & set(parser._option_string_actions):
            parser._add_action(action)
    _mark_paths(parser)
    return parser


def _mark_paths(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _mark_paths(command)
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]


def _plain(script: str) -> str:
    """Return the script without spaces at line ends, and with a line feed at its end."""
    return re.sub(r"[ \t]+$", "", script, flags=re.MULTILINE).rstrip("\n") + "\n"
