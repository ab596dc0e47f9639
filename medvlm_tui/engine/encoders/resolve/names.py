"""From what a user typed to a `ModelSpec`: a catalog id, or `open_clip:`, `timm:`, `hf:`, `local:`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from medvlm_tui.catalog.models import close_matches
from medvlm_tui.core.specs import ModelSpec
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


def _local(name: str, rest: str) -> ModelSpec:
    folder = Path(rest).expanduser()
    if not folder.is_dir():
        raise MissingInputError(f"{folder} is not a folder", "local:DIR names a folder that a library has saved")
    return saved_folders.describe(name, folder, f"local:{folder}", str(folder))


def _hf(name: str, rest: str) -> ModelSpec:
    folder = hub.snapshot(rest)
    if folder is None:
        raise MissingInputError(f"{rest} is not in the Hugging Face cache", f"fetch it once: hf download {rest}")
    return saved_folders.describe(name, folder, f"hub:{rest}", f"https://huggingface.co/{rest}")


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
