"""ImageNet baselines of torchvision: VGG16, ResNet50, ViT-L/16."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torchvision

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

Cut = Callable[[torch.nn.Module], None]


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build `architecture` as torchvision does, cut the network at the feature, and load what is left of it.

    The classifier may so be one of other classes, or not be in the file at all.
    """
    assert weights.path is not None
    cut = CUTS.get((spec.architecture, feature))
    if cut is None:
        known = ", ".join(f"{name}:{f}" for name, f in CUTS)
        raise WeightsError(f"{spec.id}: no feature {feature} of {spec.architecture} is served", f"one of {known}")
    with building():
        network = torchvision.models.get_model(spec.architecture, weights=None)
    whole = set(network.state_dict())
    cut(network)
    left = set(network.state_dict())
    tower = read_tower(weights.path).around(left)
    load_strictly(network, tower.without(*sorted(whole - left)).without_heads(network))
    return NetworkEncoder(spec, feature, network, device, precision)


def _without_fc(network: torch.nn.Module) -> None:
    network.fc = torch.nn.Identity()


def _without_heads(network: torch.nn.Module) -> None:
    network.heads = torch.nn.Identity()


def _without_last_linear(network: torch.nn.Module) -> None:
    classifier = network.get_submodule("classifier")
    assert isinstance(classifier, torch.nn.Sequential)
    network.classifier = classifier[:-1]


def _global_average(network: torch.nn.Module) -> None:
    network.avgpool = torch.nn.AdaptiveAvgPool2d(1)
    network.classifier = torch.nn.Identity()


CUTS: Mapping[tuple[str, str], Cut] = {
    ("vgg16", "fc7"): _without_last_linear,
    ("vgg16", "pooled"): _global_average,
    ("resnet50", "pooled"): _without_fc,
    ("vit_l_16", "cls"): _without_heads,
}
