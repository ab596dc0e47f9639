"""Groups of models that the study compares: medical or general, language model as text encoder, what was trained on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.specs import SYNTHETIC_GROUP, DatasetSpec, ModelSpec

_LANGUAGE_MODEL = re.compile(r"language model|LLM2Vec", re.IGNORECASE)
_GENERAL = "general"


@dataclass(frozen=True, slots=True)
class Trait:
    """A division of models into two sides."""

    inside: str
    """Description of the models on the one side, in words."""
    outside: str
    of: Callable[[ModelSpec, DatasetSpec], bool | None]
    """Return whether the model is inside; None leaves it out. Only models of the catalog are asked."""


def traits_of(model: ModelSpec, dataset: DatasetSpec) -> dict[str, bool | None]:
    """Return every trait of a model on a dataset; all None for a model that the catalog does not describe,
    and for a synthetic one."""
    known = model.id in load_models() and model.group != SYNTHETIC_GROUP
    return {name: trait.of(model, dataset) if known else None for name, trait in TRAITS.items()}


def paper_traits_of(model: ModelSpec, dataset: DatasetSpec) -> dict[str, bool | None]:
    """Return the traits as the paper's sections 5.3 and 5.4 and its Figure 4 divide the models.

    They count MedSigLIP among the models with a language model, though its text encoder is none, and LLaVA-Med++ among
    those trained on PMC-15M, though its authors name MedTrinity-25M.
    """
    return {**traits_of(model, dataset), **{name: True for name, ids in PAPER_ADDS.items() if model.id in ids}}


def _medical(model: ModelSpec, _dataset: DatasetSpec) -> bool:
    return model.group != _GENERAL


def _language_model(model: ModelSpec, _dataset: DatasetSpec) -> bool | None:
    return bool(_LANGUAGE_MODEL.search(model.text_encoder)) if model.text_encoder else None


def _pmc_15m(model: ModelSpec, _dataset: DatasetSpec) -> bool | None:
    return "PMC-15M" in model.pretraining_data if model.pretraining_data else None


def _modality_seen(model: ModelSpec, dataset: DatasetSpec) -> bool | None:
    if not dataset.modality:
        return None
    seen = dataset.modality.casefold() in map(str.casefold, model.modalities)
    return seen or dataset.id in model.trained_on


PAPER_ADDS: Mapping[str, tuple[str, ...]] = {
    "language_model_text_encoder": ("medsiglip",),
    "pmc_15m": ("llava_med_pp",),
}
"""Trait -> models that the paper counts inside and the catalog does not."""

TRAITS: Mapping[str, Trait] = {
    "medical": Trait("medical models", "general models", _medical),
    "language_model_text_encoder": Trait("language model as text encoder", "other text encoder", _language_model),
    "pmc_15m": Trait("PMC-15M in training", "other training data", _pmc_15m),
    "modality_seen": Trait("modality seen in training", "modality not seen", _modality_seen),
}
