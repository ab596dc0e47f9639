"""Encoders loaded from checkpoints that the libraries themselves have saved."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import open_clip
import torch
from open_clip.transform import PreprocessCfg
from PIL import Image
from safetensors.torch import save_file

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


def save_clip(folder: Path) -> torch.nn.Module:
    """Save a small CLIP with random weights in open_clip's layout, and return it."""
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text, "quick_gelu": True}
    preprocess = asdict(PreprocessCfg(size=32))
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text, quick_gelu=True).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.1)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return model
