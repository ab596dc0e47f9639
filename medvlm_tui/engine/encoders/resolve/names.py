"""From what a user typed to a `ModelSpec`: a catalog id, or `open_clip:`, `timm:`, `hf:`, `local:`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from medvlm_tui.catalog.models import close_matches
from medvlm_tui.core.specs import ModelSpec, PreprocessSpec
from medvlm_tui.engine.encoders.resolve import saved_folders
from medvlm_tui.engine.encoders.weights import hub
from medvlm_tui.errors import MissingInputError, UsageError

PREFIXES = ("open_clip:NAME/TAG", "timm:NAME", "hf:ORG/NAME", "local:DIR")


def resolve_model(name: str, catalog: Mapping[str, ModelSpec]) -> ModelSpec:
    """Return the record of a model.

    A prefix takes preprocessing and dimensions from the library's own record or from the folder's
    configuration files. `open_clip:` and `timm:` import those libraries; nothing is downloaded.
    Raises UsageError for an unknown id, MissingInputError for a folder or a hub model that is not here.
    """
    if name in catalog:
        return catalog[name]
    prefix, colon, rest = name.partition(":")
    resolver = _RESOLVERS.get(prefix) if colon else None
    if resolver is None or not rest:
        hint = f"{close_matches(name, catalog)}; or by prefix: {', '.join(PREFIXES)}"
        raise UsageError(f"unknown model {name!r}", hint)
    return resolver(name, rest)


def has_prefix(name: str) -> bool:
    """Return whether a name begins with one of the prefixes: a fault of such a model costs that model alone."""
    prefix, colon, rest = name.partition(":")
    return bool(colon and rest) and prefix in _RESOLVERS


def unresolved(name: str) -> ModelSpec:
    """Return a record that stands for a model which cannot be described, so that a plan can say why."""
    return ModelSpec(
        id=name,
        name=name.partition(":")[2],
        group="general",
        family="",
        architecture="",
        source="bring",
        preprocess=PreprocessSpec(224, 224),
        features={"": 0},
    )


def _local(name: str, rest: str) -> ModelSpec:
    try:
        folder = Path(rest).expanduser()
    except RuntimeError as error:
        raise MissingInputError(f"{rest} is not a folder: {error}", "give its whole path") from error
    if not folder.is_dir():
        raise MissingInputError(f"{folder} is not a folder", "local:DIR names a folder that a library has saved")
    if (folder / "snapshots").is_dir():  # a repository's folder of the hub's cache
        folder = hub.snapshot_in(folder) or _refuse_choice(str(folder), folder)
    return saved_folders.describe(name, folder, f"local:{folder}", str(folder))


def _hf(name: str, rest: str) -> ModelSpec:
    folder = hub.snapshot(rest)
    if folder is None:
        folder = _refuse_choice(rest, hub.repository_folder(rest))
    spec = saved_folders.describe(name, folder, f"hub:{rest}", f"https://huggingface.co/{rest}")
    return replace(spec, revision=folder.name)


def _refuse_choice(name: str, folder: Path) -> NoReturn:
    if held := hub.without_main(folder):
        raise MissingInputError(f"{name}: {held}", f"name the one that is meant: local:{folder}/snapshots/COMMIT")
    raise MissingInputError(f"{name} is not in the Hugging Face cache", f"fetch it once: hf download {name}")


def _open_clip(name: str, rest: str) -> ModelSpec:
    from medvlm_tui.engine.encoders.resolve import named_models

    architecture, slash, tag = rest.rpartition("/")
    if not slash:
        raise UsageError(
            f"{name} names no pretrained tag", "open_clip:NAME/TAG, e.g. open_clip:ViT-B-32/laion2b_s34b_b79k"
        )
    return named_models.open_clip_model(name, architecture, tag)


def _timm(name: str, rest: str) -> ModelSpec:
    from medvlm_tui.engine.encoders.resolve import named_models

    return named_models.timm_model(name, rest)


_RESOLVERS: Mapping[str, Callable[[str, str], ModelSpec]] = {
    "local": _local,
    "hf": _hf,
    "open_clip": _open_clip,
    "timm": _timm,
}
