"""One value written into a TOML file of the user's, with everything else in it as it stands, comments too."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.core.atomic_files import make_directory, write_atomic, write_export
from medvlm_tui.errors import UsageError
from medvlm_tui.settings.options import OPTIONS

_TABLE = re.compile(r"\s*\[")
_LONGEST = 500
"""Lines of the longest value that is looked for."""


def write_option(path: Path, name: str, value: Any) -> None:
    """Write the value of an option into a settings file; its default takes the option out of the file."""
    each = OPTIONS[name]
    write_value(path, (name, each.option.flag), None if value == each.default else value)


def write_value(path: Path, names: Sequence[str], value: Any) -> None:
    """Write `names[0] = value`, whichever of its names the file has now; None takes it out.

    Raises UsageError where the file is no TOML or cannot be written.
    """
    path = path.resolve()
    try:
        text = path.read_text("utf-8") if path.exists() else ""
        new = with_value(text, [name for name in names if name], value).encode()
        if path.exists():
            write_atomic(path, new, path.stat().st_mode & 0o777)
        else:
            make_directory(path.parent)
            write_export(path, new)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "check the rights of the folder") from error
    except ValueError as error:
        raise UsageError(f"{path} cannot be changed: {error}", f"write it by hand: {_line(names[0], value)}") from error


def with_value(text: str, names: Sequence[str], value: Any) -> str:
    """Return the TOML `text` with another value of a key above all tables; raises ValueError where that fails."""
    before = tomllib.loads(text)
    expected = {key: kept for key, kept in before.items() if key not in names}
    if value is not None:
        expected[names[0]] = list(value) if isinstance(value, tuple) else value
    lines = text.removesuffix("\n").split("\n") if text else []  # other ends of lines may stand in a string
    table = next((number for number, line in enumerate(lines) if _TABLE.match(line)), len(lines))
    here = re.compile(rf"\s*(?:{'|'.join(map(re.escape, names))})\s*=")
    first = next((number for number, line in enumerate(lines[:table]) if here.match(line)), None)
    written = [] if value is None else [_line(names[0], value)]
    if first is None:
        place = _end_of_keys(lines, table)
        lines[place:place] = written
    else:
        last, comment = _extent(lines, first)
        lines[first:last] = [f"{line}{comment}" for line in written]
    new = "\n".join(lines) + "\n" if lines else ""
    if tomllib.loads(new) != expected:
        raise ValueError("its form is not one that this program can edit")
    return new


def _line(name: str, value: Any) -> str:
    return f"{name} = {in_toml(value)}"


def in_toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _end_of_keys(lines: Sequence[str], table: int) -> int:
    """Return where a new key goes: above the first table and the comment that belongs to it."""
    place = table
    if table < len(lines):
        while place and lines[place - 1].lstrip().startswith("#"):
            place -= 1
        while place and not lines[place - 1].strip():
            place -= 1
    return place


def _extent(lines: Sequence[str], first: int) -> tuple[int, str]:
    """Return the line after a value that begins at `first`, and the comment behind it."""
    for last in range(first + 1, min(len(lines), first + _LONGEST) + 1):
        whole = "\n".join(lines[first:last])
        if (value := _parsed(whole)) is not None:
            ends = (number for number, letter in enumerate(whole) if letter == "#" and _parsed(whole[:number]) == value)
            end = next(ends, len(whole))
            return last, whole[len(whole[:end].rstrip()) :]
    raise ValueError(f"line {first + 1} begins a value without an end")


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except ValueError:
        return None
