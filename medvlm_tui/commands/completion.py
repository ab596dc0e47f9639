"""`medvlm-tui completion`: the script that completes commands and options in a shell.

The scripts are files of the package, made by `docs/generate.py` from the parsers.
"""

from __future__ import annotations

import argparse
from importlib.resources import files

from medvlm_tui.errors import ExitCode
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest

SHELLS = ("bash", "zsh", "fish")
_EPILOG = (
    "bash: medvlm-tui completion bash > ~/.local/share/bash-completion/completions/medvlm-tui; "
    "zsh: medvlm-tui completion zsh > FOLDER/_medvlm-tui, with FOLDER in $fpath; "
    "fish: medvlm-tui completion fish > ~/.config/fish/completions/medvlm-tui.fish. Then open a new shell."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that the script is for")
    parser.epilog = _EPILOG


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Print the script."""
    print(script(options.shell), end="")
    return int(ExitCode.OK)


def script(shell: str) -> str:
    """Return the script for one of SHELLS."""
    return (files("medvlm_tui") / "commands" / "completions" / f"medvlm-tui.{shell}").read_text(encoding="utf-8")
