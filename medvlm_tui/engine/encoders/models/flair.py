"""FLAIR and KeepFIT: a ResNet50 of fundus images, with the projection that their contrastive loss used."""

from __future__ import annotations

import torch
import torchvision
from torch.nn import functional

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights


class FundusTower(torch.nn.Module):
    """torchvision's ResNet50 without classifier, and a linear layer without bias."""

    def __init__(self, projected: bool) -> None:
        super().__init__()
        self.model = torchvision.models.resnet50(weights=None)
        self.model.fc = torch.nn.Identity()
        self.projection = torch.nn.Linear(2048, 512, bias=False)
        self.projected = projected

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.model(pixels)
        if not self.projected:
            return pooled
        return functional.normalize(self.projection(functional.normalize(pooled, dim=-1)), dim=-1)


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build the tower and load `vision_model.*`.

    Features: `pooled` is the average pool, which the authors' linear probe takes; `projected` is the vector of
    their zero-shot route, normalised before and after the linear layer. (jusiro/FLAIR flair/modeling/model.py)
    """
    assert weights.path is not None
    with building():
        network = FundusTower(projected=feature == "projected")
    tower = read_tower(weights.path, "projection_head_vision.projection.weight")
    load_strictly(network.model, tower.below("model."))
    load_strictly(network.projection, tower.below("projection_head_vision.projection."))
    return NetworkEncoder(spec, feature, network, device, precision)
