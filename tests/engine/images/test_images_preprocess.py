"""Preprocessing against torchvision's and transformers' own transforms, pixel for pixel."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torchvision import transforms
from torchvision.transforms.functional import InterpolationMode

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.errors import ImageError

MEAN, STD = (0.48, 0.45, 0.4), (0.27, 0.26, 0.28)
SHAPES = [(97, 141), (160, 91), (64, 64), (33, 250), (225, 224), (31, 32)]


def noise(height, width):
    return Image.fromarray(np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("filter_name", ["bicubic", "bilinear", "lanczos", "nearest"])
def test_short_side_is_torchvisions_resize_and_crop(shape, filter_name):
    spec = PreprocessSpec(48, 57, interpolation=filter_name, mean=MEAN, std=STD)
    reference = transforms.Compose(
        [
            transforms.Resize(57, getattr(InterpolationMode, filter_name.upper())),
            transforms.CenterCrop(48),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    assert torch.equal(Preprocess(spec)(noise(*shape)), reference(noise(*shape)))


@pytest.mark.parametrize("shape", SHAPES)
def test_floor_rounding_is_transformers_crop(shape):
    spec = PreprocessSpec(48, 57, crop_rounding="floor", mean=MEAN, std=STD)
    processor = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 57}, crop_size=48, image_mean=MEAN, image_std=STD
    )
    reference = processor(noise(*shape), return_tensors="pt")["pixel_values"][0]
    assert float((Preprocess(spec)(noise(*shape)) - reference).abs().max()) < 1e-6


def test_the_two_crop_roundings_differ_where_the_margin_is_odd():
    half_even, floor = (PreprocessSpec(48, 51, crop_rounding=r) for r in ("half_even", "floor"))
    assert not torch.equal(Preprocess(half_even)(noise(51, 51)), Preprocess(floor)(noise(51, 51)))


def test_squash_and_crop():
    spec = PreprocessSpec(40, 48, resize="squash", mean=MEAN, std=STD)
    reference = transforms.Compose(
        [
            transforms.Resize((48, 48), InterpolationMode.BICUBIC),
            transforms.CenterCrop(40),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    assert torch.equal(Preprocess(spec)(noise(97, 141)), reference(noise(97, 141)))


def test_without_antialias():
    spec = PreprocessSpec(32, 32, resize="squash", interpolation="bilinear", antialias=False)
    pixels = torch.from_numpy(np.array(noise(97, 141))).permute(2, 0, 1)
    reference = transforms.functional.resize(pixels, [32, 32], InterpolationMode.BILINEAR, antialias=False)
    assert float((Preprocess(spec)(noise(97, 141)) * 255 - reference).abs().max()) <= 1.0
    assert not torch.allclose(
        Preprocess(spec)(noise(97, 141)), Preprocess(replace(spec, antialias=True))(noise(97, 141))
    )


def test_pad_square_centres_the_image_on_the_colour():
    spec = PreprocessSpec(40, 40, resize="pad_square", pad_colour=(122, 116, 104))
    shown = Preprocess(spec).display(Preprocess(spec)(noise(20, 40)))
    assert shown[:9].reshape(-1, 3).tolist() == [[122, 116, 104]] * 360
    np.testing.assert_array_equal(shown[10:30], np.array(noise(20, 40)))


def test_long_side_pad_scales_as_torchvision_does_and_pads_right_and_below():
    spec = PreprocessSpec(64, 64, resize="long_side_pad", interpolation="bilinear")
    pixels = Preprocess(spec)(noise(97, 141))
    unit = transforms.ToTensor()(noise(97, 141))
    reference = transforms.functional.resize(unit, [44, 64], InterpolationMode.BILINEAR, antialias=True)
    assert float((pixels[:, :44] - reference).abs().max()) < 1e-6
    assert float(pixels[:, 44:].abs().max()) == 0.0


def test_display_gives_back_what_the_model_saw():
    spec = PreprocessSpec(48, 57, mean=MEAN, std=STD)
    shown = Preprocess(spec).display(Preprocess(spec)(noise(97, 141)))
    expected = transforms.CenterCrop(48)(transforms.Resize(57, InterpolationMode.BICUBIC)(noise(97, 141)))
    np.testing.assert_array_equal(shown, np.array(expected))


def test_a_thread_of_an_image_is_refused_before_it_fills_the_memory():
    with pytest.raises(ImageError, match="would grow"):
        Preprocess(PreprocessSpec(224, 224))(noise(1, 9000).resize((400_000, 1)))


def test_every_parameter_changes_the_digest():
    base = PreprocessSpec(48, 57)
    other = PreprocessSpec(
        49, 58, "squash", "lanczos", False, "floor", (0.1, 0.0, 0.0), (1.0, 1.0, 2.0), pad_colour=(1, 0, 0)
    )
    digests = {replace(base, **{f.name: getattr(other, f.name)}).digest for f in fields(PreprocessSpec) if f.init}
    assert len(digests | {base.digest}) == 10


def test_catalog_preprocessing_is_the_librarys_own_where_it_carries_the_model():
    from torchvision.models import ResNet50_Weights, VGG16_Weights, ViT_L_16_Weights

    specs = load_models()
    for name, weights in (
        ("vgg16", VGG16_Weights.IMAGENET1K_V1),
        ("resnet50", ResNet50_Weights.IMAGENET1K_V1),
        ("resnet50_v2", ResNet50_Weights.IMAGENET1K_V2),
        ("vit_l16", ViT_L_16_Weights.IMAGENET1K_V1),
    ):
        assert torch.equal(Preprocess(specs[name].preprocess)(noise(300, 431)), weights.transforms()(noise(300, 431)))
