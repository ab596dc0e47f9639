"""Models that open_clip and timm know by name: their own records, as a `ModelSpec`. Imports both libraries."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import open_clip
import timm
import torch

from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.resolve import saved_folders
from medvlm_tui.errors import UsageError


def open_clip_model(name: str, architecture: str, tag: str) -> ModelSpec:
    """Return the record of a pretrained open_clip model; raises UsageError when it has none of that name."""
    known_here = architecture in open_clip.list_models()  # a prefix (hf-hub:, local-dir:) would lead out of the library
    settings = open_clip.get_pretrained_cfg(architecture, tag) if known_here else None
    model = open_clip.get_model_config(architecture) if known_here else None
    if not settings or model is None:
        known = [f"{a}/{t}" for a, t in open_clip.list_pretrained()]
        raise UsageError(f"open_clip has no pretrained {architecture}/{tag}", _similar(f"{architecture}/{tag}", known))
    if settings.get("quick_gelu") and "-quickgelu" not in architecture:
        raise UsageError(
            f"{architecture}/{tag} was trained with QuickGELU, which open_clip does not build under this name",
            f"open_clip:{architecture}-quickgelu/{tag}",
        )
    hub = str(settings.get("hf_hub") or "").rstrip("/")
    return saved_folders.open_clip_spec(
        name,
        f"hub:{hub}" if hub else "bring",
        f"https://huggingface.co/{hub}" if hub else str(settings.get("url", "")),
        {"name": architecture, "model_cfg": model, "preprocess_cfg": settings},
    )


def timm_model(name: str, architecture: str) -> ModelSpec:
    """Return the record of a pretrained timm model; raises UsageError when it has none of that name."""
    if not timm.is_model_pretrained(architecture):
        raise UsageError(f"timm has no pretrained {architecture}", _similar(architecture, timm.list_pretrained()))
    with torch.device("meta"):
        network: Any = timm.create_model(architecture, pretrained=False, num_classes=0)
    settings = network.pretrained_cfg
    hub = settings.get("hf_hub_id")
    return saved_folders.timm_spec(
        name,
        f"hub:{hub}" if hub else "bring",
        f"https://huggingface.co/{hub}" if hub else str(settings.get("url", "")),
        {
            "architecture": architecture.partition(".")[0],
            "num_features": network.head_hidden_size,  # of the pooled vector; `num_features` are those of the last map
            "pretrained_cfg": settings,
        },
    )


def _similar(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else "see the library's own list"
