"""Networks of timm: UNI, and any model by its timm name."""

from __future__ import annotations

from typing import Any

import timm
import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.location import Weights


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build `architecture` with `options.arguments` and load everything but its classifier.

    `options.tail` names a tensor by which the tower is found in a file that holds more.

    Features: timm's pooled vector before the classifier (a ViT's class token where it pools by that).
    """
    assert weights.path is not None
    network = build(spec.architecture, dict(spec.options.get("arguments", {})))
    tower = read_tower(weights.path, str(spec.options.get("tail", "")))
    load_strictly(network, tower.without(*classifier_prefixes(network)))
    return NetworkEncoder(spec, feature, network, device, precision)


def build(architecture: str, arguments: dict[str, Any], classes: int = 0) -> Any:
    """Build a timm network without weights, and without classifier unless it has `classes`."""
    with building():
        return timm.create_model(architecture, pretrained=False, num_classes=classes, **arguments)


def classifier_prefixes(network: torch.nn.Module) -> tuple[str, ...]:
    """Return the name prefixes of the classifier, which `num_classes=0` leaves out of the network."""
    named = getattr(network, "default_cfg", {}).get("classifier") or ()
    names = (named,) if isinstance(named, str) else tuple(named)
    return tuple(f"{name}." for name in names)
