"""timm and torchvision models against those libraries' own models, transforms and saved files."""

from __future__ import annotations

import timm
import torch
import torchvision
from timm.models import save_for_hf

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.specs import PreprocessSpec
from tests.made.models import at_size, encoder_of, largest_difference, local, pixels_of


def test_a_folder_that_timm_has_saved(tmp_path, images):
    torch.manual_seed(0)
    model = timm.create_model("resnet10t", num_classes=7).eval()
    save_for_hf(model, tmp_path, safe_serialization=True)
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
    assert torch.equal(pixels, torch.stack([transform(image) for image in images]))
    model.reset_classifier(0)
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model(pixels)) < 1e-5


def test_unis_arguments_build_a_vit_with_layer_scale(tmp_path, images, catalog):
    spec = catalog["uni"]
    arguments = {**spec.options["arguments"], "img_size": 32}
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            torch.nn.init.uniform_(parameter)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    small = at_size(spec, 32, architecture="vit_tiny_patch16_224", options={"arguments": arguments})
    small = at_size(small, 32, features={"cls": model.num_features})
    encoder = encoder_of(small, tmp_path)
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model.forward_features(pixels)[:, 0]) < 1e-5


def load_small(tmp_path, name, feature=""):
    """A torchvision model with random weights, saved as torchvision publishes them."""
    spec = load_models()[name]
    torch.manual_seed(0)
    model = torchvision.models.get_model(spec.architecture, weights=None).eval()
    torch.save(model.state_dict(), tmp_path / spec.files[0])
    return model, encoder_of(spec, tmp_path / spec.files[0], feature)


def test_resnet50_is_the_pooled_vector(tmp_path, images):
    model, encoder = load_small(tmp_path, "resnet50")
    pixels = pixels_of(encoder, images[:2])
    model.fc = torch.nn.Identity()
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model(pixels)) < 1e-4


def test_vgg16_is_the_layer_before_the_classifier_or_the_pooled_map(monkeypatch, tmp_path, images):
    # A narrow VGG16: the real one's 138 million weights take half a minute to draw and save here.
    narrow = [c if c == "M" else c // 16 for c in torchvision.models.vgg.cfgs["D"]]

    def build(name, weights):
        model = torchvision.models.vgg.VGG(torchvision.models.vgg.make_layers(narrow), init_weights=False)
        layers = (torch.nn.Linear(32 * 49, 48), torch.nn.ReLU(), torch.nn.Linear(48, 40), torch.nn.Dropout())
        model.classifier = torch.nn.Sequential(*layers, torch.nn.Linear(40, 5))
        return model

    monkeypatch.setattr(torchvision.models, "get_model", build)
    spec = at_size(load_models()["vgg16"], 224, features={"fc7": 40, "pooled": 32})
    torch.manual_seed(0)
    model = build("vgg16", None).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    encoder = encoder_of(spec, tmp_path / "w.pth")
    pixels = pixels_of(encoder, images[:2])
    with torch.no_grad():
        maps = model.features(pixels)
        fc7 = model.classifier[:-1](model.avgpool(maps).flatten(1))
    assert largest_difference(encoder.encode(pixels), fc7) < 1e-5
    pooled = encoder_of(spec, tmp_path / "w.pth", "pooled").encode(pixels)
    assert largest_difference(pooled, maps.mean((2, 3))) < 1e-5


def test_vit_is_the_class_token(monkeypatch, tmp_path, images):
    def build(name, weights):
        return torchvision.models.VisionTransformer(32, 8, 2, 2, 1024 // 16 * 2, 64, num_classes=5)

    monkeypatch.setattr(torchvision.models, "get_model", build)
    spec = at_size(load_models()["vit_l16"], 32, features={"cls": 128})
    torch.manual_seed(0)
    model = build("", None).eval()
    torch.save(model.state_dict(), tmp_path / "w.pth")
    encoder = encoder_of(spec, tmp_path / "w.pth")
    pixels = pixels_of(encoder, images)
    model.heads = torch.nn.Identity()
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model(pixels)) < 1e-5


def test_the_catalog_names_torchvisions_own_files(catalog):
    from medvlm_tui.engine.encoders.weights.hub import torchvision_url

    for spec in catalog.values():
        if spec.source.startswith("torchvision:"):
            enum, _, member = spec.source.removeprefix("torchvision:").partition(".")
            weights = getattr(torchvision.models, enum)[member]
            assert weights.url == torchvision_url() + spec.files[0]
            preset = weights.transforms()
            assert spec.preprocess == PreprocessSpec(
                size_px=preset.crop_size[0], resize_px=preset.resize_size[0], interpolation="bilinear",
                mean=tuple(preset.mean), std=tuple(preset.std),
            )  # fmt: skip
