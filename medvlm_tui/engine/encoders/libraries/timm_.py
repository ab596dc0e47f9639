"""Networks of timm: UNI, and any model by its timm name."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.libraries.grey import one_channel
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build `architecture` with `options.arguments` and load everything but its classifier.

    `options.tail` names a tensor by which the tower is found in a file that holds more.

    Features: timm's pooled vector before the classifier (a ViT's class token where it pools by that).
    """
    assert weights.path is not None
    arguments = dict(spec.options.get("arguments", {}))
    network = build(plain_architecture(spec), arguments)
    tower = read_tower(weights.path, str(spec.options.get("tail", ""))).around(set(network.state_dict()))
    load_strictly(network, tower.without(*classifier_prefixes(network)).without_heads(network))
    forward = one_channel(network) if arguments.get("in_chans") == 1 else None
    return NetworkEncoder(spec, feature, network, device, precision, forward)


def plain_architecture(spec: ModelSpec) -> str:
    """Return the name of a network of timm's own; raises WeightsError for every other.

    timm takes a prefix in it (`hf-hub:`, `local-dir:`) as an order to fetch or read another configuration.
    """
    name = spec.architecture
    if not timm.is_model(name):
        known = difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5)
        raise WeightsError(
            f"{spec.id}: timm {timm.__version__} has no network called {clean(name)[:100]}",
            f"did you mean {' or '.join(known)}?" if known else "the architecture is a plain name of timm's own list",
        )
    return name


def build(architecture: str, arguments: dict[str, Any], classes: int = 0) -> Any:
    """Build a timm network without weights, and without classifier unless it has `classes`."""
    with building():
        return timm.create_model(architecture, pretrained=False, num_classes=classes, **arguments)


def classifier_prefixes(network: torch.nn.Module) -> tuple[str, ...]:
    """Return the name prefixes of the classifier, which `num_classes=0` leaves out of the network."""
    named = getattr(network, "default_cfg", {}).get("classifier") or ()
    names = (named,) if isinstance(named, str) else tuple(named)
    return tuple(f"{name}." for name in names)
