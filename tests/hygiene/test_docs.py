"""What the documents say is what the code does."""

import re
import subprocess
import sys
from pathlib import Path

from medvlm_tui.cli import batch_parser, command_parser, request_flags, shared_flags

ROOT = Path(__file__).parents[2]


def test_generated_tables_are_fresh() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_line_of_the_readme_parses() -> None:
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^    (?:\.venv/bin/)?medvlm-tui(.*)$", text, re.MULTILINE)
    assert len(lines) >= 8
    for line in lines:
        arguments = line.split()
        if "--batch" in arguments:
            request_flags(batch_parser().parse_args(arguments))
        else:
            shared_flags(command_parser(arguments).parse_args(arguments))
