"""DermLIP with the PanDerm tower: a CAE v2 ViT-B/16 whose final norm is applied twice."""

from __future__ import annotations

import re
from copy import deepcopy

import timm
import torch

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import Reader, Tower, building, load_strictly
from medvlm_tui.engine.encoders.libraries.open_clip_ import image_tower
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build timm's ViT with layer scale and average pooling, and load `visual.*` under its names.

    Features: `image`, the head's output; `hidden`, the vector before it, which the authors' probe takes.
    (SiyuanYan1/Derm1M src/CAE/models/modeling_finetune.py)
    """
    network = build(spec.architecture)
    load_strictly(network, timm_vit(image_tower(weights, "visual.")))
    if feature == "hidden":
        network.head = torch.nn.Identity()
    return NetworkEncoder(spec, feature, network, device, precision)


def build(architecture: str) -> torch.nn.Module:
    """Build the network; it normalises all tokens, and then the mean of the patch tokens once more."""
    with building():
        network: torch.nn.Module = timm.create_model(
            architecture, pretrained=False, num_classes=512, global_pool="avg", init_values=0.1
        )
    network.norm = deepcopy(network.get_submodule("fc_norm"))
    return network


def timm_vit(tower: Tower) -> Tower:
    """Return a CAE tower under timm's names: biases of query and value joined around zeros, the norm given twice."""
    readers: dict[str, Reader] = {}
    for name, reader in tower.readers.items():
        if name.endswith(".attn.v_bias"):
            continue
        if name.endswith(".attn.q_bias"):
            value = tower.readers.get(name.replace("q_bias", "v_bias"))
            readers[name.replace("q_bias", "qkv.bias")] = _bias(reader, value or reader)
            continue
        readers[re.sub(r"\.gamma_([12])$", r".ls\1.gamma", name)] = reader
        if name.startswith("norm."):
            readers[f"fc_{name}"] = reader
    return Tower(tower.path, readers)


def _bias(query: Reader, value: Reader) -> Reader:
    def read() -> torch.Tensor:
        first = query()
        return torch.cat([first, torch.zeros_like(first), value()])

    return read
