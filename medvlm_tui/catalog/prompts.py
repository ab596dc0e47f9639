"""The packaged prompts and the user's own, put together to sets of prompts for the classes of a dataset."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medvlm_tui.core.prompts import PromptSet
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.errors import UsageError

_FILE = Path(__file__).with_name("prompts.toml")
_ANY = "any"
_CLASS_FIELDS = {"names", "descriptors", "learned"}
_DATASET_FIELDS = {"source", "templates", "classes"}


@dataclass(frozen=True, slots=True)
class Templates:
    """Sentences with `{}` where a name stands."""

    templates: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class ClassWords:
    """One class in words."""

    names: tuple[str, ...]
    """Synonyms, the usual one first."""
    descriptors: tuple[str, ...] = ()
    """Whole sentences."""
    learned: str = ""
    """Name of a learned prompt, for the model that has such."""


@dataclass(frozen=True, slots=True)
class DatasetWords:
    """The classes of one dataset in words, those of its label views among them."""

    templates: Templates
    classes: Mapping[str, ClassWords]


@dataclass(frozen=True, slots=True)
class Words:
    """A file of prompts."""

    models: Mapping[str, Templates]
    datasets: Mapping[str, DatasetWords]


@cache
def load_words(path: Path = _FILE) -> Words:
    """Read a file of prompts; raises UsageError that names the file and the table that is wrong."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}", "correct the file; it is plain TOML") from error
    _refuse_unknown(data, {"models", "datasets"}, str(path))
    models = {name: _templates(_table(table, f"{path}: models.{name}"), f"{path}: models.{name}")
              for name, table in _table(data.get("models", {}), f"{path}: models").items()}  # fmt: skip
    tables = _table(data.get("datasets", {}), f"{path}: datasets")
    return Words(models, {name: _dataset(table, f"{path}: datasets.{name}") for name, table in tables.items()})


def prompt_sets(
    spec: ModelSpec, dataset: str, classes: Sequence[str], own: str = ""
) -> tuple[tuple[PromptSet, ...], str]:
    """Return the sets of prompts of a model for the classes of a dataset, and why there are none, one of them empty.

    `own` is the path of a file of the user's: what it says of the dataset or the model goes before the packaged words.
    """
    words = load_words()
    mine = load_words(Path(own).expanduser()) if own else Words({}, {})
    known = mine.datasets.get(dataset) or words.datasets.get(dataset) or DatasetWords(Templates((), ""), {})
    if spec.text is not None and spec.text.tokenizer.kind == "ranks":
        return _learned(spec, known, classes)
    given = [known.classes.get(name) for name in classes]
    said = [words_of or ClassWords((_plain(name),)) for words_of, name in zip(given, classes, strict=True)]
    fallback = tuple(name for words_of, name in zip(given, classes, strict=True) if words_of is None)
    model = mine.models.get(spec.id) or words.models.get(spec.id) or words.models[_ANY]
    first = [each.names[0] for each in said]
    names = known.templates.source or "class names"
    sets = [
        PromptSet("bare", tuple((name,) for name in first), names, 1, fallback),
        PromptSet("single", _filled(model.templates, [(name,) for name in first]), model.source,
                  len(model.templates), fallback),
        PromptSet("ensemble", _filled(known.templates.templates or model.templates, [each.names for each in said]),
                  names, len(known.templates.templates or model.templates), fallback),
    ]  # fmt: skip
    if all(each.descriptors for each in said):
        sets.append(PromptSet("descriptors", tuple(each.descriptors for each in said), names, 1))
    return tuple(sets), ""


def _learned(spec: ModelSpec, known: DatasetWords, classes: Sequence[str]) -> tuple[tuple[PromptSet, ...], str]:
    named = [known.classes[name].learned if name in known.classes else "" for name in classes]
    if not all(named):
        return (), f"{spec.id} takes no free text, and its learned prompts are not the classes of this dataset"
    return (PromptSet("learned", tuple((name,) for name in named), "learned by its authors"),), ""


def _filled(templates: Sequence[str], names: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Return each class's prompts, template by template, and within a template name by name."""
    return tuple(tuple(template.replace("{}", name) for template in templates for name in of) for of in names)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _dataset(table: Any, place: str) -> DatasetWords:
    table = _table(table, place)
    _refuse_unknown(table, _DATASET_FIELDS, place)
    classes = {name: _class(each, f"{place}.classes.{name}")
               for name, each in _table(table.get("classes", {}), f"{place}.classes").items()}  # fmt: skip
    return DatasetWords(_templates({"templates": [], **table}, place, empty=True), classes)


def _class(table: Any, place: str) -> ClassWords:
    if isinstance(table, str | list):
        table = {"names": [table] if isinstance(table, str) else table}
    table = _table(table, place)
    _refuse_unknown(table, _CLASS_FIELDS, place)
    names = _texts(table.get("names", []), f"{place}.names")
    if not names:
        raise UsageError(f"{place}: it has no name", 'names = ["..."]')
    return ClassWords(
        names, _texts(table.get("descriptors", []), f"{place}.descriptors"), str(table.get("learned", ""))
    )


def _templates(table: Mapping[str, Any], place: str, empty: bool = False) -> Templates:
    templates = _texts(table.get("templates", []), f"{place}.templates")
    if not templates and not empty:
        raise UsageError(f"{place}: it has no templates", 'templates = ["a photo of {}"]')
    if wrong := [each for each in templates if "{}" not in each]:
        raise UsageError(f"{place}: the template {wrong[0]!r} has no {{}} where the class stands", "write {} in it")
    return Templates(templates, str(table.get("source", "the user's own")))


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise UsageError(f"{place} is no list of texts", 'write ["...", "..."]')
    return tuple(value)


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{place} is not a table", "correct the file")
    return value


def _refuse_unknown(table: Mapping[str, Any], known: set[str], place: str) -> None:
    if unknown := [name for name in table if name not in known]:
        raise UsageError(f"{place}: unknown field {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
