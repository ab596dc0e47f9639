"""Encoders loaded from checkpoints that the libraries themselves have saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.registry import load_encoder
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.resolve.saved_folders import as_stored
from medvlm_tui.engine.encoders.weights.location import locate


def encoder_of(spec: ModelSpec, path: Path | str = "", feature: str = "") -> Encoder:
    """Load a model from a file or folder the way a run does."""
    weights = locate(spec, str(path), FileDigests())
    assert weights.state == "present", weights.hint
    return load_encoder(as_stored(spec, weights), weights, feature, "cpu", "fp32")


def local(folder: Path) -> Encoder:
    """Load `local:FOLDER`."""
    return encoder_of(resolve_model(f"local:{folder}", {}))


def pixels_of(encoder: Encoder, images: list[Image.Image]) -> torch.Tensor:
    return torch.stack([encoder.preprocess(image) for image in images])


def at_size(spec: ModelSpec, size_px: int, **changes: object) -> ModelSpec:
    """The same model at a size that a test can afford."""
    small = replace(spec.preprocess, size_px=size_px, resize_px=size_px)
    return replace(spec, **{"preprocess": small, "tensors": 0, **changes})


def largest_difference(first: torch.Tensor, second: torch.Tensor) -> float:
    assert first.shape == second.shape
    return float((first - second).abs().max())
