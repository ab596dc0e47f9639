"""Paths as they are typed: NAME=DIR, a home directory, and their completion."""

from __future__ import annotations

import os
from itertools import takewhile
from pathlib import Path

from medvlm_tui.core.safe_text import clean

_LISTS = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".parquet", ".npz")


def named_folder(typed: str) -> tuple[str, str, str]:
    """Return (name, absolute path, problem) of what was typed; the name is empty where none stands before a `=`."""
    name, equals, folder = typed.strip().partition("=")
    if not equals or os.sep in name:
        name, folder = "", typed.strip()
    if not folder.strip():
        return "", "", "type a folder, or NAME=DIR"
    try:
        path = Path(folder.strip()).expanduser().absolute()
        exists = path.exists()
    except (OSError, ValueError, RuntimeError) as error:
        return "", "", clean(f"{folder}: {error}")
    if not exists:
        return "", "", clean(f"there is nothing at {path}")
    return name.strip(), os.path.normpath(path), ""


def completed(typed: str) -> tuple[str, list[str]]:
    """Return the line as far as it can only go on in one way, and what it can go on with: folders and lists."""
    name, equals, path = typed.partition("=")
    head = f"{name}=" if equals and os.sep not in name else ""
    path = path if head else typed
    folder, _, start = path.rpartition(os.sep)
    base = folder + os.sep if os.sep in path else ""
    try:
        options = sorted(_going_on(os.path.expanduser(base or "."), start))
    except OSError:
        return typed, []
    shared = _beginning(options)
    return (head + base + shared if len(shared) > len(start) else typed), options


def _beginning(names: list[str]) -> str:
    """Return what all of them begin with; of sorted names the first and the last differ most."""
    if not names:
        return ""
    pairs = zip(names[0], names[-1], strict=False)
    return "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _going_on(folder: str, start: str) -> list[str]:
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.startswith(start) and (start or entry.name[0] != ".")]
        folders = [entry.name + os.sep for entry in found if entry.is_dir()]
        return folders + [entry.name for entry in found if entry.name.lower().endswith(_LISTS)]
