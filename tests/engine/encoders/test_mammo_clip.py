"""Mammo-CLIP's network and its area resize. The original network comes from PyPI's efficientnet_pytorch 0.7.1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medvlm_tui.engine.encoders.checkpoints.tower import Tower, load_strictly
from medvlm_tui.engine.encoders.models import mammo_clip

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("scale", "tensors"), [("b2", 506), ("b5", 852)])
def test_the_network_is_the_original_one(scale, tensors):
    original = pytest.importorskip("efficientnet_pytorch", reason="efficientnet_pytorch 0.7.1 is not installed")
    torch.manual_seed(0)
    reference = original.EfficientNet.from_name(f"efficientnet-{scale}", include_top=False).eval()
    network = mammo_clip.build(f"tf_efficientnet_{scale}").eval()
    tower = Tower(Path("made"), {name: (lambda t=t: t) for name, t in reference.state_dict().items()})
    assert load_strictly(network, mammo_clip.timm_names(tower, [len(s) for s in network.blocks])) == tensors
    pixels = torch.randn(1, 3, 304, 182)
    with torch.no_grad():
        assert float((network(pixels) - reference(pixels).flatten(1)).abs().max()) < 1e-6


def test_area_resize_is_the_mean_of_the_covered_area():
    array = RNG.integers(0, 256, (3040, 1824, 3), dtype=np.uint8)
    means = array.reshape(1520, 2, 912, 2, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(mammo_clip.area_resize(array), np.rint(means))


def test_area_shares_are_whole():
    weights = mammo_clip._area_weights(2001, 1520)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    np.testing.assert_allclose(weights.sum(axis=0), 1520 / 2001)


def test_where_an_image_grows_a_pixel_is_the_mean_over_its_own_area_too():
    array = RNG.integers(0, 256, (97, 141, 3), dtype=np.uint8)
    rows, columns = mammo_clip._area_weights(97, 1520), mammo_clip._area_weights(141, 912)
    means = np.rint(np.einsum("yh,hwc,xw->yxc", rows, array, columns, optimize=True))
    assert np.abs(mammo_clip.area_resize(array) - means).max() <= 1


def test_where_one_side_grows_and_the_other_shrinks_two_neighbours_are_mixed():
    """As cv2 does it: a long side of 2,000 is not averaged when the short one has 700 pixels and grows to 912."""
    weights = mammo_clip._neighbour_weights(2000, 1520)
    assert ((weights > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
