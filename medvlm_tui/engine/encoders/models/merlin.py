"""Merlin: a ResNet152 inflated to three dimensions, for abdominal CT."""

from __future__ import annotations

from typing import Any

import torch
import torchvision

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.models.volumes import VolumeEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

_HEADS = ("classifier.", "contrastive_head.")


class AbdominalTower(torch.nn.Module):
    """The network, and the 1 x 1 convolution that leads to the text's space."""

    def __init__(self, architecture: str, contrastive: bool) -> None:
        super().__init__()
        self.backbone = inflated(torchvision.models.get_model(architecture, weights=None))
        self.contrastive_head = torch.nn.Conv3d(2048, 512, 1)
        self.contrastive = contrastive

    def forward(self, voxels: torch.Tensor) -> torch.Tensor:
        """Return (n, d) of (n, 1, X, Y, Z): the network wants the slices first, and three equal channels."""
        pooled: torch.Tensor = self.backbone(voxels.permute(0, 1, 4, 2, 3).expand(-1, 3, -1, -1, -1))
        if not self.contrastive:
            return pooled
        projected: torch.Tensor = self.contrastive_head(pooled[:, :, None, None, None]).flatten(1)
        return projected


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> VolumeEncoder:
    """Build the image side and load `encode_image.i3_resnet.*`; the classifier of diagnoses is not read.

    Features: `pooled`, the global average of the last maps; `contrastive`, that vector through the contrastive
    head, not normalised. (StanfordMIMI/Merlin merlin/models/i3res.py)
    """
    assert weights.path is not None
    with building():
        network = AbdominalTower(spec.architecture, contrastive=feature == "contrastive")
    tower = read_tower(weights.path, "layer4.2.conv3.weight")
    load_strictly(network.backbone, tower.without(*_HEADS))
    if network.contrastive:
        load_strictly(network.contrastive_head, tower.below("contrastive_head."))
    return VolumeEncoder(spec, feature, network, device, precision)


def inflated(network: Any) -> torch.nn.Module:
    """Return torchvision's ResNet with every layer turned to its counterpart in three dimensions, less classifier.

    Filters become cubes and strides act on all axes, but for the first convolution: 3 x 7 x 7, and no stride
    from slice to slice.
    """
    for name, module in list(network.named_modules()):
        parent, _, leaf = name.rpartition(".")
        if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d):
            setattr(network.get_submodule(parent), leaf, _in_3d(module))
    first = network.conv1
    network.conv1 = torch.nn.Conv3d(3, first.out_channels, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
    network.maxpool = torch.nn.MaxPool3d(3, stride=2, padding=1)
    network.avgpool = torch.nn.AdaptiveAvgPool3d(1)
    network.fc = torch.nn.Identity()
    made: torch.nn.Module = network
    return made


def _in_3d(layer: torch.nn.Conv2d | torch.nn.BatchNorm2d) -> torch.nn.Module:
    if isinstance(layer, torch.nn.BatchNorm2d):
        return torch.nn.BatchNorm3d(layer.num_features)
    kernel, stride, padding = (int(value[0]) for value in (layer.kernel_size, layer.stride, layer.padding))
    return torch.nn.Conv3d(layer.in_channels, layer.out_channels, kernel, stride, padding, bias=False)
