"""From a stored image feature into the space of the texts: the projections that an image tower was cut before."""

from __future__ import annotations

import torch
from torch.nn import functional

from medvlm_tui.core.text_specs import MATRIX
from medvlm_tui.engine.encoders.checkpoints.tower import Tower, read_tower
from medvlm_tui.engine.encoders.text.network import Join
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import WeightsError


def join_of(weights: Weights, place: str) -> Join:
    """Return the projection that `place` names, read when it is first used: texts alone do not need it."""
    known: list[Join] = []

    def join(vectors: torch.Tensor) -> torch.Tensor:
        if not known:
            known.append(_loaded(weights, place))
        return known[0](vectors)

    return join


def _loaded(weights: Weights, place: str) -> Join:
    """Return the projection whose tensors `place` names: `matrix:NAME`, or the prefix of a linear layer.

    A 1 x 1 convolution counts as a linear layer. Raises WeightsError where the tensors are not there.
    """
    assert weights.path is not None
    whole = read_tower(weights.path)
    if place.startswith(MATRIX):
        matrix = _tensor(whole, place.removeprefix(MATRIX)).float()
        return lambda vectors: vectors @ matrix
    weight = _tensor(whole, f"{place}weight").float().flatten(1)
    bias = _tensor(whole, f"{place}bias").float() if _named(whole, f"{place}bias") else None
    return lambda vectors: functional.linear(vectors, weight, bias)


def _named(whole: Tower, name: str) -> list[str]:
    return [held for held in whole.readers if held == name or held.endswith(f".{name}")]


def _tensor(whole: Tower, name: str) -> torch.Tensor:
    found = _named(whole, name)
    if len(found) != 1:
        raise WeightsError(
            f"{whole.path} holds {len(found)} tensors named {name}, by which its image features reach its texts",
            "check that the file belongs to this model",
        )
    return whole.readers[found[0]]()
