"""CXR-CLIP: a Swin-T or a ResNet50 of chest X-rays, with the linear layer of its contrastive loss."""

from __future__ import annotations

import re
from typing import Any

import timm
import torch
import torchvision

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Reader, Tower, building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

# Names of Swin in older releases of transformers, and timm's. Downsampling belongs to the next stage there.
_TOP = {
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "embeddings.norm.": "patch_embed.norm.",
    "layernorm.": "norm.",
}
_BLOCK = {
    "layernorm_before.": "norm1.",
    "layernorm_after.": "norm2.",
    "attention.self.relative_position_bias_table": "attn.relative_position_bias_table",
    "attention.output.dense.": "attn.proj.",
    "intermediate.dense.": "mlp.fc1.",
    "output.dense.": "mlp.fc2.",
}
_QKV = ("query", "key", "value")
_BLOCK_NAME = re.compile(r"encoder\.layers\.(\d+)\.blocks\.(\d+)\.(.+)")
_DOWN_NAME = re.compile(r"encoder\.layers\.(\d+)\.downsample\.(.+)")


class ChestTower(torch.nn.Module):
    """A backbone, and the projection of its vector."""

    def __init__(self, architecture: str, projected: bool) -> None:
        super().__init__()
        self.swin = architecture != "resnet50"
        self.backbone: Any
        if self.swin:
            self.backbone = timm.create_model(architecture, pretrained=False, num_classes=0)
        else:
            self.backbone = torchvision.models.resnet50(weights=None)
            self.backbone.fc = torch.nn.Identity()
        self.projection = torch.nn.Linear(768 if self.swin else 2048, 512)
        self.projected = projected

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        # The authors take cell 0 of Swin's 7 x 7 map, the top left one, where a class token would be.
        hidden = self.backbone.forward_features(pixels)[:, 0, 0] if self.swin else self.backbone(pixels)
        vector: torch.Tensor = self.projection(hidden) if self.projected else hidden
        return vector


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build `architecture` and load the image side of the training checkpoint.

    Features: `projected`, not normalised; `hidden`, the vector before it, which the authors' probe takes.
    (Soombit-ai/cxr-clip cxrclip/model/clip.py)
    """
    assert weights.path is not None
    with building():
        network = ChestTower(spec.architecture, projected=feature == "projected")
    whole = read_tower(weights.path)
    if network.swin:
        load_strictly(network.backbone, timm_swin(whole.below("image_encoder.image_encoder.")))
    else:
        load_strictly(network.backbone, whole.below("image_encoder.resnet."))
    load_strictly(network.projection, whole.below("image_projection.projection."))
    return NetworkEncoder(spec, feature, network, device, precision)


def timm_swin(tower: Tower) -> Tower:
    """Return a Swin tower under timm's names: query, key and value joined, the constant index tables left out."""
    readers: dict[str, Reader] = {}
    for name, reader in tower.readers.items():
        part = re.search(r"\.attention\.self\.(query|key|value)\.(weight|bias)$", name)
        if part is None and not name.endswith("relative_position_index"):
            readers[timm_name(name)] = reader
        elif part is not None and part.group(1) == "query":
            names = [name.replace(".query.", f".{other}.") for other in _QKV]
            joined = timm_name(name[: part.start()] + ".attn.qkv." + part.group(2))
            readers[joined] = _joined([tower.readers[n] for n in names if n in tower.readers])
    return Tower(tower.path, readers)


def _joined(readers: list[Reader]) -> Reader:
    return lambda: torch.cat([reader() for reader in readers])


def timm_name(name: str) -> str:
    """Return timm's name of one tensor; an unknown name is returned as it is."""
    if match := _DOWN_NAME.fullmatch(name):
        return f"layers.{int(match.group(1)) + 1}.downsample.{match.group(2)}"
    if match := _BLOCK_NAME.fullmatch(name):
        return f"layers.{match.group(1)}.blocks.{match.group(2)}.{_replaced(match.group(3), _BLOCK)}"
    return _replaced(name, _TOP)


def _replaced(name: str, table: dict[str, str]) -> str:
    for stored, current in table.items():
        if name.startswith(stored):
            return current + name[len(stored) :]
    return name
