"""The data folders of a workspace: given once, with `o` in the screens or --data, known at the next start.

`datasets.toml` has the shape of the settings file: [datasets.NAME] and below it root = "PATH".
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from medvlm_tui.core.atomic_files import write_atomic
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import StoreError, UsageError

FILE = "datasets.toml"
PHANTOM = "phantom"
_HEAD = "# Data folders of this workspace, given with `o` in the screens or with --data.\n"


def read(workspace: Path) -> dict[str, str]:
    """Return name -> folder or list; raises UsageError where the file is wrong, StoreError where it cannot be read."""
    path = workspace / FILE
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return {str(name): _root(entry) for name, entry in table.get("datasets", {}).items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        if not os.access(workspace, os.X_OK):
            return {}  # a workspace that cannot be entered is named by what opens it
        raise StoreError(f"{path}: {error.strerror}", "check the path and the rights of the file") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        hint = 'write [datasets.brain_mr] and below it root = "/data/brain_mri", or remove the file'
        raise UsageError(f"{path} cannot be read: {error}", hint) from error


def remember(workspace: Path, given: Mapping[str, str]) -> None:
    """Add folders that exist to those that are known; raises StoreError where the workspace refuses.

    A path that is no UTF-8 cannot be written in TOML and is not remembered, nor is anything in a workspace that can
    only be read. The phantom stays where the workspace makes it.
    """
    there = {name: os.path.abspath(os.path.expanduser(path)) for name, path in given.items() if name != PHANTOM}
    kept = {name: path for name, path in there.items() if os.path.exists(path) and _is_text(name + path)}
    known = read(workspace)
    if {**known, **kept} != known and not Workspace(workspace).is_read_only:
        _write(workspace, {**known, **kept})


def forget(workspace: Path, name: str) -> bool:
    """Take a folder out and return whether it was known; what was computed of it stays."""
    known = read(workspace)
    if name not in known:
        return False
    _write(workspace, {each: path for each, path in known.items() if each != name})
    return True


def _write(workspace: Path, folders: Mapping[str, str]) -> None:
    entries = [f"\n[datasets.{_quoted(name)}]\nroot = {_quoted(path)}\n" for name, path in sorted(folders.items())]
    place = Workspace(workspace)
    place.make()
    try:
        write_atomic(workspace / FILE, (_HEAD + "".join(entries)).encode("utf-8"))
    except OSError as error:
        raise place.refusal(error) from error


def _root(entry: Mapping[str, object]) -> str:
    root = entry["root"]
    if not isinstance(root, str):
        raise TypeError(f"root = {root!r} is no text")
    return root


def _quoted(text: str) -> str:
    # A JSON string is a TOML string, but for DEL, which TOML wants written out.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
