"""Completion in a shell: scripts that are fresh, name every option, and complete."""

import argparse
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from medvlm_tui.cli import COMMANDS, batch_parser, command_parser, main
from medvlm_tui.commands.completion import SHELLS, script

ROOT = Path(__file__).parents[2]
BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
complete_with=$(complete -p medvlm-tui | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$complete_with" medvlm-tui "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a parser and of its commands that the help shows."""
    found = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= set().union(*map(options_of, action.choices.values()))
        elif action.help != argparse.SUPPRESS:
            found |= {name for name in action.option_strings if name.startswith("--")}
    return found


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_names_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text == script(shell)
    wanted = options_of(command_parser(list(COMMANDS))) | options_of(batch_parser()) | {"--batch"}
    assert len(wanted) > 60
    named = {option for option in wanted if option in text or f"-l {option.removeprefix('--')} " in text}
    assert wanted - named == set()
    assert [command for command in COMMANDS if command not in text] == []


def test_the_scripts_are_fresh() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "completions.py"))["scripts"](SHELLS)
    stale = [shell for shell in SHELLS if made[shell] != script(shell)]
    assert stale == [], "run `.venv/bin/python docs/generate.py`"


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--batch", "--rise-m"], {"--rise-masks"}),
        (["repro"], {"reproduce"}),
        (["store", "ver"], {"verify"}),
        (["encode", "--text-"], {"--text-vectors"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], offered: set[str]) -> None:
    file = tmp_path / "medvlm-tui.bash"
    file.write_text(script("bash"))
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", file, "medvlm-tui", *words], capture_output=True, text=True, check=True
    )
    assert offered <= set(done.stdout.split()), done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_can_read_their_script(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script(shell))
    subprocess.run([shell, "-n", tmp_path / "script"], check=True)
