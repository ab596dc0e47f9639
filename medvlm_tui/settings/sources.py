"""The settings of a run. Later sources win: defaults, settings file, environment, RUN.toml, command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import platformdirs

from medvlm_tui.core.intensity_windows import parse_window
from medvlm_tui.core.typed_lists import split_list
from medvlm_tui.core.workspace import data_folders
from medvlm_tui.errors import UsageError
from medvlm_tui.stages import STAGE_NAMES
from medvlm_tui.stages.request import (
    ESTIMATORS,
    FILLS,
    OVERLAYS,
    POSITIONS,
    POSTER_MIN_DISTS,
    POSTER_NEIGHBORS,
    PROTOCOLS,
    RunRequest,
)

APP = "medvlm-tui"
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "stages": STAGE_NAMES,
    "protocols": PROTOCOLS,
    "rise_estimator": ESTIMATORS,
    "rise_fill": FILLS,
    "bias_position": POSITIONS,
    "bias_controls": OVERLAYS[1:],
    "precision": ("auto", "fp32", "bf16", "fp16"),
}
# Keys of RUN.toml -> the field of RunRequest, where the names differ.
_RENAMED = {"protocol": "protocols"}
# Words that stand for a list of values.
_WORDS: Mapping[str, Mapping[str, tuple[int | float, ...]]] = {
    "umap_neighbors": {"grid": POSTER_NEIGHBORS},
    "umap_min_dist": {"grid": POSTER_MIN_DISTS},
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings file and the environment, read."""

    workspace: Path
    file: Path
    """The settings file, whether it exists or not."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """RunRequest fields that the file or the environment sets."""
    engine_idle_s: float = 600.0
    """Time after which an engine without run and connection ends."""


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
    values = checked(table, path)
    if not isinstance(datasets, dict) or not all(isinstance(d, dict) for d in datasets.values()):
        raise UsageError(
            f"{path}: every entry of [datasets] must be a table",
            "write [datasets.brain_mr] and below it root = '/data/brain_mri'",
        )
    roots = {name: str(entry["root"]) for name, entry in datasets.items() if "root" in entry}
    if os.environ.get("MEDVLM_OFFLINE", "") not in ("", "0"):
        values["offline"] = True
    root = Path(chosen).expanduser() if chosen else platformdirs.user_data_path(APP)
    values["data"] = {**roots, **values.get("data", {}), **data_folders.read(root.absolute())}
    return Settings(root.absolute(), path, values, _idle_s(os.environ.get("MEDVLM_ENGINE_IDLE_MINUTES", idle), path))


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


def checked(table: Mapping[str, Any], where: Path | str) -> dict[str, Any]:
    """Return `table` as RunRequest fields, each of the right type; raises UsageError otherwise."""
    hints = {f.name: type(getattr(RunRequest(), f.name)) for f in fields(RunRequest)}
    assert hints.keys() == get_type_hints(RunRequest).keys()
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = _RENAMED.get(key, key)
        if name not in hints:
            raise UsageError(f"{where}: unknown key {key!r}", f"use one of the known keys: {', '.join(sorted(hints))}")
        values[name] = _converted(name, value, hints[name], where)
    return values


def _converted(name: str, value: Any, kind: type, where: Path | str) -> Any:
    if name == "batch_size" and value == "auto":
        return 0
    words = value if isinstance(value, list | tuple) else (value,)
    if len(words) == 1 and isinstance(words[0], str) and words[0] in _WORDS.get(name, {}):
        return _WORDS[name][words[0]]
    if kind is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        wanted = type(getattr(RunRequest(), name)[0]) if getattr(RunRequest(), name) else str
        value = tuple(_scalar(name, item, wanted, where) for item in items)
    elif kind is dict:
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise UsageError(
                f"{where}: {name} must be a table of NAME = 'PATH'",
                f"write for example\n[{name}]\nbrain_mr = '/data/brain'",
            )
        value = dict(value)
    else:
        value = _scalar(name, value, kind, where)
    _check_choice(name, value, where)
    return value


def _scalar(name: str, value: Any, kind: type, where: Path | str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(
            f"{where}: {name} = {value!r} is not of type {kind.__name__}", "see `medvlm-tui --batch --help`"
        )
    return value


def _check_choice(name: str, value: Any, where: Path | str) -> None:
    allowed = _CHOICES.get(name)
    for item in value if isinstance(value, tuple) else (value,):
        if allowed is not None and item not in allowed:
            raise UsageError(f"{where}: {name}: {item!r} is not one of {', '.join(allowed)}", "check the spelling")


def request(settings: Settings, run_file: Mapping[str, Any], flags: Mapping[str, Any]) -> RunRequest:
    """Combine settings, RUN.toml and flags, the later one winning; `data` and `weights` are merged."""
    merged: dict[str, Any] = {}
    for layer in (settings.values, run_file, flags):
        for key, value in layer.items():
            merged[key] = {**merged[key], **value} if isinstance(value, dict) and key in merged else value
    return _in_range(replace(RunRequest(), **merged))


def _in_range(request: RunRequest) -> RunRequest:
    problems = {
        "folds must be at least 2": request.folds < 2,
        "hold-out must lie between 0 and 1": not 0 < request.hold_out < 1,
        "seed must not be negative": request.seed < 0,
        "seeds must be at least 1": request.seeds < 1,
        "limit must not be negative": request.limit < 0,
        "batch-size must not be negative": request.batch_size < 0,
        "workers must not be negative": request.workers < 0,
        "umap-neighbors must be at least 2": any(n < 2 for n in request.umap_neighbors),
        "umap-min-dist must lie between 0 and 1": any(not 0 <= d <= 1 for d in request.umap_min_dist),
        "umap-max-points must be at least 10": request.umap_max_points < 10,
        "rise-masks must be at least 1": request.rise_masks < 1,
        "rise-cells must be at least 2": request.rise_cells < 2,
        "rise-stop-error must be 0 or more": request.rise_stop_error < 0,
        "bias-words must have two words or more, none of them empty": len(request.bias_words) < 2
        or not all(request.bias_words),
        "bias-size must be above 0 and at most 0.5": not 0 < request.bias_size <= 0.5,
        "bias-contrast must lie between 0 and 1": not 0 <= request.bias_contrast <= 1,
        "bias-train and bias-test must be at least 2": min(request.bias_train, request.bias_test) < 2,
        "bias-masks must be 0 or at least 2": request.bias_masks < 0 or request.bias_masks == 1,
        "bias-images must be at least 1": request.bias_images < 1,
        "bias-removed must be 0 or more": request.bias_removed < 0,
    }
    split_list(request.rise_images)  # the one list that stays text; a quote that is not closed is found here
    for message, wrong in problems.items():
        if wrong:
            raise UsageError(message, "see `medvlm-tui --batch --help`")
    # One window, one name, one key: 40/400 and 40.0/400 are the same.
    return replace(request, window=str(parse_window(request.window)))
