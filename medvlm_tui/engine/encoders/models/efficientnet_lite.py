"""EfficientNet-Lite0, Lite1 and Lite2 from installed packages: encoders that need no hub and no account."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import load_strictly, read_tower
from medvlm_tui.engine.encoders.libraries import timm_
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError

_STEM = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
# The first stage has no expansion, so its convolutions are counted from the depthwise one.
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER_STAGES = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip
_BLOCK_NAME = re.compile(r"_blocks\.(\d+)\.(\w+?)\.(.+)")


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> NetworkEncoder:
    """Build timm's network and load lukemelas's key layout into it, all tensors one to one.

    Feature: the 1280-d mean of the last feature map. Runs in channels-last order: depthwise convolutions
    take half the time so on a CPU.
    """
    assert weights.path is not None
    network = timm_.build(spec.architecture, {}, classes=1000)
    blocks = [len(stage) for stage in network.blocks]
    count = load_strictly(network, read_tower(weights.path).renamed(partial(timm_name, blocks=blocks)))
    if count != spec.tensors:
        raise WeightsError(f"{weights.path}: {count} tensors were used, {spec.tensors} make this network")
    network.reset_classifier(0)
    return NetworkEncoder(spec, feature, network, device, precision, channels_last=True)


def timm_name(name: str, blocks: Sequence[int]) -> str:
    """Return timm's name of a tensor in lukemelas's layout; an unknown name is returned as it is.

    blocks: number of blocks of each of the seven stages; lukemelas counts them through.
    """
    module, _, rest = name.partition(".")
    if module in _STEM:
        return f"{_STEM[module]}.{rest}"
    match = _BLOCK_NAME.fullmatch(name)
    if match is None:
        return name
    stage, block = _place(int(match.group(1)), blocks)
    layers = _FIRST_STAGE if stage == 0 else _LATER_STAGES
    return f"blocks.{stage}.{block}.{layers.get(match.group(2), match.group(2))}.{match.group(3)}"


def _place(position: int, blocks: Sequence[int]) -> tuple[int, int]:
    """Return (stage, block in the stage) of the network's n-th block; past the last stage it is the stage after it."""
    for stage, count in enumerate(blocks):
        if position < count:
            return stage, position
        position -= count
    return len(blocks), position
