"""The vision tower and projector of LLaVA 1.5, LLaVA 1.6, LLaVA-Med and LLaVA-Med++, without their language model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.libraries import transformers_
from medvlm_tui.engine.encoders.models.scales import tokens_at_scales
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

_SKIPPED_BLOCKS = 1  # features come out before the last block: `mm_vision_select_layer` is -2
_NAMES = ("linear_1.", "linear_2.")  # as transformers stores the projector; the authors' files say 0. and 2.


class PatchMean(torch.nn.Module):
    """The mean over the patch tokens of the last block but one, before or after the projector."""

    def __init__(self, tower: torch.nn.Module, projector: torch.nn.Module | None, scales: tuple[int, ...]) -> None:
        super().__init__()
        self.tower, self.projector, self.scales = tower, projector, scales

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = tokens_at_scales(self.tokens, pixels, self.scales) if self.scales else self.tokens(pixels)
        return (tokens if self.projector is None else self.projector(tokens)).mean(dim=1)

    def tokens(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return (n, patches, 1024): the tower has no last block, so its last hidden state is the one before that."""
        output = self.tower(pixel_values=pixels, output_hidden_states=True)
        tokens: torch.Tensor = output.hidden_states[-1][:, 1:]
        return tokens


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build CLIP ViT-L/14 at 336 px, and the projector for `projected`, from the shards that hold them.

    Features: `tower`, the mean over the 576 patch tokens; `projected`, each token through the projector, then
    the mean. `options.scales` lists S2's, where the checkpoint was trained with them. Raises WeightsError for a
    variant that the entry is not.
    """
    assert weights.path is not None
    scales = tuple(spec.options.get("scales", ()))
    refuse_other_variants(weights.config("config.json") or {}, scales, weights.path)
    tower = build_tower(dict(spec.options["config"]), read_tower(weights.path, "embeddings.class_embedding", "vision"))
    projector = None
    if feature == "projected":
        projector = build_projector(read_tower(weights.path), spec.dim("tower"), spec.dim(feature))
    return NetworkEncoder(spec, feature, PatchMean(tower, projector, scales), device, precision)


def refuse_other_variants(config: Mapping[str, object], scales: tuple[int, ...], path: Path) -> None:
    """Raise WeightsError where the checkpoint's configuration asks for something that the entry does not build."""
    layer = config.get("mm_vision_select_layer", config.get("vision_feature_layer", -2))
    if layer != -2:
        raise WeightsError(f"{path}: features come from layer {layer}, not -2", "this variant is not served")
    stored = config.get("s2_scales", "336,672,1008") if config.get("s2") else ()
    listed = stored.split(",") if isinstance(stored, str) else stored if isinstance(stored, list | tuple) else ()
    if "s2" in config and {str(scale).strip() for scale in listed} != set(map(str, scales)):
        seen = f"at the scales {', '.join(map(str, listed))} (S2)" if listed else "at one scale"
        raise WeightsError(f"{path} sees images {seen}", "llava_med_pp is one scale, llava_med_pp_s2 is S2")


def build_tower(config: dict[str, object], stored: Tower) -> torch.nn.Module:
    """Return the tower without its last block and the norm after it, neither of which the features pass."""
    depth = int(str(config["num_hidden_layers"]))
    network = transformers_.build("CLIPVisionModel", {**config, "num_hidden_layers": depth - _SKIPPED_BLOCKS})
    inner = getattr(network, "vision_model", network)
    inner.post_layernorm = torch.nn.Identity()
    load_strictly(inner, stored.without(f"encoder.layers.{depth - 1}.", "post_layernorm."))
    return network


def build_projector(whole: Tower, width: int, dim: int) -> torch.nn.Module:
    """Return the two-layer projector, whichever of its two names the file gives it."""
    with building():
        projector = torch.nn.Sequential(torch.nn.Linear(width, dim), torch.nn.GELU(), torch.nn.Linear(dim, dim))
    for prefix in ("model.mm_projector.", "mm_projector.", "model.multi_modal_projector.", "multi_modal_projector."):
        stored = whole.below(prefix)
        if stored.readers:
            load_strictly(projector, stored.renamed(_projector_name))
            return projector
    raise WeightsError(f"{whole.path} holds no projector", "it is not a checkpoint of this model")


def _projector_name(name: str) -> str:
    for position, stored in enumerate(_NAMES):
        if name.startswith(stored):
            return f"{2 * position}.{name[len(stored) :]}"
    return name
