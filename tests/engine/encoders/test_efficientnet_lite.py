"""The packaged encoders, with their real ImageNet weights, against the package that published the layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from medvlm_tui.core.digests import FileDigests
from medvlm_tui.engine.encoders.models.efficientnet_lite import timm_name
from medvlm_tui.engine.encoders.weights.location import locate
from medvlm_tui.errors import WeightsError
from tests.made.models import encoder_of, largest_difference, pixels_of

MODELS = {"efficientnet_lite0": (224, 296), "efficientnet_lite1": (240, 386), "efficientnet_lite2": (260, 386)}
"""Model -> side of its input in pixels, and its number of tensors."""


def reference_of(catalog, model):
    path = locate(catalog[model], "", FileDigests()).path
    network = EfficientNet.from_name(model.replace("_", "-"))
    network.load_state_dict(torch.load(path, weights_only=True))
    return network.eval()


@pytest.fixture
def reference(catalog):
    return reference_of(catalog, "efficientnet_lite0")


@pytest.mark.parametrize("model", MODELS)
def test_features_are_the_reference_networks(catalog, images, model):
    encoder = encoder_of(catalog[model])
    pixels = pixels_of(encoder, images)
    assert pixels.shape[-1] == pixels.shape[-2] == MODELS[model][0]
    with torch.no_grad():
        expected = reference_of(catalog, model).extract_features(pixels).mean((2, 3))
    assert expected.abs().max() > 1.0
    assert largest_difference(encoder.encode(pixels), expected) < 1e-4


@pytest.mark.parametrize("model", MODELS)
def test_all_tensors_have_a_name_of_their_own(catalog, model):
    blocks = [len(stage) for stage in encoder_of(catalog[model]).network.blocks]
    names = list(reference_of(catalog, model).state_dict())
    assert len({timm_name(name, blocks) for name in names}) == len(names) == MODELS[model][1] == catalog[model].tensors
    assert not any(timm_name(name, blocks).startswith("_") for name in names)


@pytest.mark.parametrize("model", MODELS)
def test_preprocessing_is_the_published_formula(catalog, images, model):
    """The side of the crop and 32 pixels more before it; (x - 127) / 128."""
    encoder, side = encoder_of(catalog[model]), MODELS[model][0]
    image = images[0].resize((side + 32, side + 32), Image.Resampling.BICUBIC)
    expected = (np.asarray(image, dtype=np.float64)[16 : 16 + side, 16 : 16 + side] - 127.0) / 128.0
    np.testing.assert_allclose(encoder.preprocess(image).permute(1, 2, 0), expected, atol=1e-6)


def test_it_runs_in_channels_last_order(catalog):
    network = encoder_of(catalog["efficientnet_lite0"]).network
    assert network.conv_stem.weight.is_contiguous(memory_format=torch.channels_last)


def test_bf16_stays_near_fp32(catalog, images):
    from medvlm_tui.engine.encoders.registry import load_encoder

    spec = catalog["efficientnet_lite0"]
    weights = locate(spec, "", FileDigests())
    full = load_encoder(spec, weights, "", "cpu", "fp32")
    pixels = pixels_of(full, images[:1])
    exact = full.encode(pixels)
    half = load_encoder(spec, weights, "", "cpu", "bf16").encode(pixels)
    assert half.dtype == torch.float32
    cosine = torch.nn.functional.cosine_similarity(exact, half)
    assert 0.99 < float(cosine.min()) < 1.0


def test_a_file_that_lacks_a_tensor_is_refused(catalog, reference, tmp_path):
    state = reference.state_dict()
    del state["_blocks.3._bn1.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"blocks\.2\.0\.bn2\.weight"):
        encoder_of(catalog["efficientnet_lite0"], tmp_path / "w.pth")
