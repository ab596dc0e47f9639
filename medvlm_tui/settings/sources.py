"""The settings of a run. Later sources win: defaults, settings file, environment, RUN.toml, command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from medvlm_tui.core.workspace import data_folders
from medvlm_tui.errors import UsageError
from medvlm_tui.settings.screens import Appearance, taken_from
from medvlm_tui.settings.values import checked, in_range
from medvlm_tui.stages.request import RunRequest

APP = "medvlm-tui"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings file and the environment, read."""

    workspace: Path
    file: Path
    """The settings file, whether it exists or not."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Values of options that the file or the environment sets."""
    from_environment: frozenset[str] = frozenset()
    """Those of them that the environment sets."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Ids of the screens' actions -> keys, separated by commas."""
    engine_idle_s: float = 600.0
    """Time after which an engine without run and connection ends."""
    appearance: Appearance = field(default_factory=Appearance)
    """Look of the screens."""


def config_file() -> Path:
    """Return the path of the settings file on this platform."""
    return Path(os.environ.get("MEDVLM_CONFIG") or platformdirs.user_config_path(APP) / "settings.toml")


def is_reachable(path: Path) -> bool:
    """Return whether this process can read one of the user's own files.

    A file in the home of another user (`sudo -u`, a container under another uid) counts as absent, unless the user
    named it with MEDVLM_CONFIG: then reading it raises an error that explains the problem.
    """
    return os.access(path, os.R_OK) or (bool(os.environ.get("MEDVLM_CONFIG")) and os.path.exists(path))


def load(workspace: str | None = None) -> Settings:
    """Read the settings file and the environment; raises UsageError when the file is wrong."""
    path = config_file()
    table = read_toml(path) if is_reachable(path) else {}
    datasets = table.pop("datasets", {})
    chosen = workspace or os.environ.get("MEDVLM_WORKSPACE") or table.pop("workspace", None)
    table.pop("workspace", None)
    idle = table.pop("engine_idle_minutes", 10)
    keys, appearance = _keys(table.pop("keys", {}), path), taken_from(table, path)
    values = checked(table, path)
    if not isinstance(datasets, dict) or not all(isinstance(d, dict) for d in datasets.values()):
        raise UsageError(
            f"{path}: every entry of [datasets] must be a table",
            "write [datasets.brain_mr] and below it root = '/data/brain_mri'",
        )
    roots = {name: str(entry["root"]) for name, entry in datasets.items() if "root" in entry}
    told: frozenset[str] = frozenset()
    if os.environ.get("MEDVLM_OFFLINE", "") not in ("", "0"):
        values["offline"] = True
        told = frozenset({"offline"})
    root = Path(chosen).expanduser() if chosen else platformdirs.user_data_path(APP)
    values["data"] = {**roots, **values.get("data", {}), **data_folders.read(root.absolute())}
    idle_s = _idle_s(os.environ.get("MEDVLM_ENGINE_IDLE_MINUTES", idle), path)
    return Settings(root.absolute(), path, values, told, keys, idle_s, appearance)


def _keys(table: Any, path: Path) -> dict[str, str]:
    """Return the table of keys; raises UsageError for anything but texts. `a.b = "x"` may be written without quotes."""
    if isinstance(table, dict):
        places = [(place, actions) for place, actions in table.items() if isinstance(actions, dict)]
        table = {name: keys for name, keys in table.items() if not isinstance(keys, dict)}
        table |= {f"{place}.{action}": keys for place, actions in places for action, keys in actions.items()}
    if not isinstance(table, dict) or not all(isinstance(keys, str) and keys.strip() for keys in table.values()):
        raise UsageError(
            f"{path}: [keys] must be a table of ACTION = 'KEY,KEY'",
            'write for example\n[keys]\nsaliency.save = "ctrl+s"\nthe ids stand in the help (?) of each screen',
        )
    return {str(name): ",".join(key.strip() for key in keys.split(",")) for name, keys in table.items()}


def _idle_s(minutes: Any, path: Path) -> float:
    try:
        seconds = 60 * float(minutes)
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(minutes, bool) or not seconds >= 0:
        raise UsageError(
            f"{path}: engine_idle_minutes = {minutes!r} is not a number of minutes",
            "write for example engine_idle_minutes = 10",
        )
    return seconds


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's table; raises UsageError naming the line that is wrong."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", "check the path and the rights of the file") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits, brackets without end
        raise UsageError(f"{path}: not valid TOML: {error}", "see the example in the README") from error


def origins(settings: Settings, flags: Mapping[str, Any]) -> dict[str, str]:
    """Return where each value comes from that is not a default: by option, in words."""
    file = {name: "settings file" for name, value in settings.values.items() if name != "data"}
    if settings.values.get("data"):
        file["data"] = "settings file or workspace"
    environment = dict.fromkeys(settings.from_environment, "environment")
    return {**file, **environment, **dict.fromkeys(flags, "command line")}


def read_run_file(path: Path) -> dict[str, Any]:
    """Return the values of the options in a RUN.toml; raises UsageError when it is wrong."""
    return checked(read_toml(path), path)


def request(settings: Settings, run_file: Mapping[str, Any], flags: Mapping[str, Any]) -> RunRequest:
    """Combine settings, RUN.toml and flags, the later one winning; `data` and `weights` are merged."""
    merged: dict[str, Any] = {}
    for layer in (settings.values, run_file, flags):
        for key, value in layer.items():
            merged[key] = {**merged[key], **value} if isinstance(value, dict) and key in merged else value
    return RunRequest().changed(in_range(merged))
