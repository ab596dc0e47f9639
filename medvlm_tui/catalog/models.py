"""The models of the catalog: the packaged `models.toml` and the user's own, read into `ModelSpec` records."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from medvlm_tui.catalog.text_tables import text_spec
from medvlm_tui.core.specs import ModelSpec, PreprocessSpec, VolumeSpec
from medvlm_tui.errors import UsageError
from medvlm_tui.settings.sources import config_file, is_reachable

_FILE = Path(__file__).with_name("models.toml")
_TEXT = {
    "name", "group", "family", "architecture", "source", "backbone", "revision", "text_encoder",
    "pretraining_data", "counterpart", "licence", "homepage", "published", "assumption",
    "proof",
}  # fmt: skip
_TABLES = {"preprocess", "volume", "text"}
_LISTS = {"files", "modalities", "trained_on"}
_REQUIRED = ("name", "group", "family", "architecture", "source", "features")
_SOURCES = ("hub:", "torchvision:", "package:", "shipped:", "local:", "bring")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "resize": ("short_side", "squash", "squash_float", "long_side_pad", "pad_square"),
    "interpolation": ("bicubic", "bilinear", "lanczos", "nearest"),
    "crop_rounding": ("half_even", "floor"),
}
_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_AXES = ("LR", "PA", "IS")


@dataclass(frozen=True, slots=True)
class ModelCatalog:
    """Contents of models.toml: the groups in the order of the tables, and the models."""

    groups: Mapping[str, str]
    """Group id -> the heading that tables print."""
    models: Mapping[str, ModelSpec]
    normalisations: Mapping[str, Any] = field(default_factory=dict)
    """Name -> mean and std, for entries to refer to."""


def user_file() -> Path:
    """Return where a user's own models.toml lies: beside the settings file."""
    return config_file().with_name("models.toml")


@cache
def load_catalog(path: Path = _FILE) -> ModelCatalog:
    """Read a models.toml; raises UsageError that names the entry and the field that is wrong.

    Every file but the packaged one stands on that: its groups and normalisations hold there too, and its ids are taken.
    """
    base = ModelCatalog({}, {}) if path == _FILE else load_catalog()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "correct the file; it is plain TOML") from error
    _refuse_unknown(data, {"groups", "normalisations", "models", "added"}, path.name)
    groups = {**base.groups, **{str(key): str(title) for key, title in data.get("groups", {}).items()}}
    statistics = {**base.normalisations, **data.get("normalisations", {})}
    tables = data.get("models", {})
    for name in tables:
        _refuse_id(name, base, path)
    models = {key: _model(key, table, groups, statistics) for key, table in tables.items()}
    return ModelCatalog(groups, {**base.models, **models}, statistics)


def _refuse_id(name: str, base: ModelCatalog, path: Path) -> None:
    if name in base.models:
        raise UsageError(f"{path}: {name} is a model of the packaged catalog", "give yours an id of its own")
    if not _ID.fullmatch(name):
        raise UsageError(f"{path}: {name!r} is no id", "small letters, digits, `.`, `_` and `-`")


def _whole() -> ModelCatalog:
    own = user_file()
    return load_catalog(own) if is_reachable(own) else load_catalog()


def load_models() -> dict[str, ModelSpec]:
    """Return the packaged models and the user's by id, in the order of the tables."""
    return dict(_whole().models)


def added_models() -> tuple[str, ...]:
    """Return the models that the user added by prefix (`added` in the user's models.toml), as they are now."""
    own = user_file()
    if not is_reachable(own):
        return ()
    try:
        names = tomllib.loads(own.read_text(encoding="utf-8")).get("added", [])
    except (OSError, ValueError) as error:
        raise UsageError(f"{own} cannot be read: {error}", "correct the file; it is plain TOML") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{own}: added is a list of names", "write for example added = ['timm:resnet18']")
    return tuple(names)


def group_titles() -> dict[str, str]:
    """Return the group ids and the headings that tables print, in the tables' order."""
    return dict(_whole().groups)


def close_matches(name: str, known: Mapping[str, object]) -> str:
    """Return a hint that names the ids which look like `name`, or all of them."""
    close = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"


def _model(model: str, table: Any, groups: Mapping[str, str], statistics: Mapping[str, Any]) -> ModelSpec:
    place = f"models.{model}"
    if not isinstance(table, dict):
        raise UsageError(f"{place} is not a table")
    _refuse_unknown(table, {f.name for f in fields(ModelSpec)} - {"id"}, place)
    for name in _REQUIRED:
        if name not in table:
            raise UsageError(f"{place}: {name} is missing")
    if table["group"] not in groups:
        raise UsageError(f"{place}: group {table['group']!r} is none of {', '.join(groups)}")
    if not str(table["source"]).startswith(_SOURCES):
        raise UsageError(f"{place}: source {table['source']!r} begins with none of {', '.join(_SOURCES)}")
    if ("preprocess" in table) == ("volume" in table):
        raise UsageError(f"{place}: one of preprocess (of images) and volume (of CT volumes) is needed")
    values = {name: _value(name, value, place) for name, value in table.items() if name not in _TABLES}
    if "text" in table:
        values["text"] = text_spec(table["text"], f"{place}.text")
    if "volume" in table:
        volume = _volume(table["volume"], f"{place}.volume")
        side = max(volume.size)
        return ModelSpec(id=model, preprocess=PreprocessSpec(side, side), volume=volume, **values)
    return ModelSpec(id=model, preprocess=_preprocess(table["preprocess"], statistics, place), **values)


def _value(name: str, value: Any, place: str) -> Any:
    if name in _TEXT and isinstance(value, str):
        return value
    if name in _LISTS and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if name == "features" and isinstance(value, dict) and value and all(type(d) is int for d in value.values()):
        return dict(value)
    if name == "options" and isinstance(value, dict):
        return dict(value)
    if name == "tensors" and type(value) is int:
        return value
    if name == "gated" and isinstance(value, bool):
        return value
    raise UsageError(f"{place}: {name} = {value!r} is not of the kind that this field holds")


def _preprocess(table: Any, statistics: Mapping[str, Any], place: str) -> PreprocessSpec:
    if not isinstance(table, dict):
        raise UsageError(f"{place}: preprocess is not a table")
    place = f"{place}.preprocess"
    _refuse_unknown(table, {f.name for f in fields(PreprocessSpec)} | {"normalisation"}, place)
    values = dict(table)
    name = values.pop("normalisation", None)
    if name is not None:
        if name not in statistics:
            raise UsageError(f"{place}: normalisation {name!r} is none of {', '.join(statistics)}")
        values = {**statistics[name], **values}
    for key, choices in _CHOICES.items():
        if values.get(key, choices[0]) not in choices:
            raise UsageError(f"{place}: {key} = {values[key]!r} is none of {', '.join(choices)}")
    if type(values.get("size_px")) is not int or type(values.get("resize_px")) is not int:
        raise UsageError(f"{place}: size_px and resize_px are whole numbers, and both are needed")
    for key in ("mean", "std", "pad_colour"):
        if key in values:
            values[key] = _triple(values[key], f"{place}: {key}")
    return PreprocessSpec(**values)


def _volume(table: Any, place: str) -> VolumeSpec:
    names = {f.name for f in fields(VolumeSpec)}
    if not isinstance(table, dict) or set(table) != names:
        raise UsageError(f"{place} is a table of {', '.join(sorted(names))}, all of them")
    axes = str(table["axes"])
    if len(axes) != 3 or any(sum(axis in pair for axis in axes) != 1 for pair in _AXES):
        raise UsageError(f"{place}: axes = {axes!r} are not three directions, one of each of {', '.join(_AXES)}")
    for key, choices in {"grid": ("first_centre", "edges"), "clip": ("before", "after")}.items():
        if table[key] not in choices:
            raise UsageError(f"{place}: {key} = {table[key]!r} is none of {', '.join(choices)}")
    numbers = {
        "size": _triple(table["size"], f"{place}: size"),
        "spacing_mm": _triple(table["spacing_mm"], f"{place}: spacing_mm"),
        **{key: tuple(map(float, table[key])) for key in ("window_hu", "window_to")},
    }
    return VolumeSpec(**{**table, **numbers})


def _triple(value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple) or len(value) != 3 or not all(type(v) in (int, float) for v in value):
        raise UsageError(f"{place} is three numbers, not {value!r}")
    return tuple(value)


def _refuse_unknown(table: Mapping[str, Any], known: set[str], place: str) -> None:
    for name in table:
        if name not in known:
            raise UsageError(f"{place}: unknown field {name!r}", close_matches(name, dict.fromkeys(sorted(known))))
