"""Published key layouts without a pack, filled by the library that carries the network."""

from __future__ import annotations

import open_clip
import pytest
import torch
import torchvision
from torchvision.transforms import v2

from tests.made.models import at_size, encoder_of, largest_difference, pixels_of

RN50 = {"layers": [1, 1, 1, 1], "width": 16, "head_width": 64, "image_size": 64}
TEXT = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    network = torchvision.models.resnet50(weights=None).eval()
    network.fc = torch.nn.Identity()
    return network


def pooled(network, pixels):
    with torch.no_grad():
        return network(pixels)


def named(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize("counts", [True, False])
def test_keepfit_is_flairs_layout_with_attention_beside_it(tmp_path, images, catalog, resnet, counts):
    """Old files lack `num_batches_tracked`, which no feature depends on."""
    projection = torch.nn.Linear(2048, 512, bias=False)
    state = named("vision_model.model.", resnet.state_dict())
    state = {name: tensor for name, tensor in state.items() if counts or not name.endswith("num_batches_tracked")}
    state |= {
        "vision_model.projection_head_vision.projection.weight": projection.weight,
        "text_model.model.embeddings.position_ids": torch.arange(9),
        "attention.W_q.weight": torch.zeros(4, 4),
        "logit_scale": torch.zeros(()),
    }
    torch.save(state, tmp_path / "keepfit.pth")
    spec = at_size(catalog["keepfit"], 96)
    encoder = encoder_of(spec, tmp_path / "keepfit.pth")
    assert len(encoder.report.absent) == (0 if counts else 53)
    assert encoder.report.skipped == {
        "text_model.model.embeddings.position_ids", "attention.W_q.weight", "logit_scale",
    }  # fmt: skip
    pixels = pixels_of(encoder, images[:2])
    assert largest_difference(encoder.encode(pixels), pooled(resnet, pixels)) < 1e-4
    unit = torch.nn.functional.normalize
    expected = unit(projection(unit(pooled(resnet, pixels)))).detach()
    assert largest_difference(encoder_of(spec, tmp_path / "keepfit.pth", "projected").encode(pixels), expected) < 1e-5


def test_keepfits_pixels_are_torchvisions_resize_of_the_float_image(images, catalog):
    from medvlm_tui.engine.images.preprocess import Preprocess

    for image in images:
        unit = v2.functional.to_dtype(v2.functional.pil_to_tensor(image), torch.float32, scale=True)
        scale = max(unit.shape[1:]) / 512
        scaled = v2.functional.resize(unit, [int(unit.shape[1] / scale), int(unit.shape[2] / scale)], antialias=True)
        padded = torch.nn.functional.pad(scaled, (0, 512 - scaled.shape[2], 0, 512 - scaled.shape[1]))
        assert largest_difference(Preprocess(catalog["keepfit"].preprocess)(image), padded) < 1e-6


def test_cxr_clips_resnet(tmp_path, images, catalog, resnet):
    projection = torch.nn.Linear(2048, 512)
    state = named("image_encoder.resnet.", resnet.state_dict()) | named(
        "image_projection.projection.", projection.state_dict()
    )
    torch.save(
        {"model": state | {"logit_scale": torch.zeros(())}, "optimizer": {}, "epoch": 3}, tmp_path / "r50_mcc.tar"
    )
    encoder = encoder_of(catalog["cxr_clip_r50"], tmp_path / "r50_mcc.tar")
    pixels = pixels_of(encoder, images[:2])
    steps = [
        v2.Resize(224),
        v2.CenterCrop(224),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(*IMAGENET),
    ]
    assert largest_difference(pixels, torch.stack([v2.Compose(steps)(image) for image in images[:2]])) < 1e-6
    hidden = pooled(resnet, pixels)
    assert largest_difference(encoder.encode(pixels), projection(hidden).detach()) < 1e-4
    assert (
        largest_difference(
            encoder_of(catalog["cxr_clip_r50"], tmp_path / "r50_mcc.tar", "hidden").encode(pixels), hidden
        )
        < 1e-4
    )


def clip_resnet():
    torch.manual_seed(0)
    return open_clip.CLIP(embed_dim=24, vision_cfg=RN50, text_cfg=TEXT, quick_gelu=True).eval()


@pytest.mark.parametrize(
    ("name", "file", "wrap"),
    [
        ("clip_dr", "last.ckpt", lambda s: {"state_dict": named("module.image_encoder.", s), "epoch": 1}),
        ("vila_mil", "open_clip_pytorch_model.bin", lambda s: named("visual.", s)),
    ],
)
def test_openais_resnet_tower(tmp_path, images, catalog, name, file, wrap):
    model = clip_resnet()
    torch.save(wrap(model.visual.state_dict()), tmp_path / file)
    spec = catalog[name]
    small = at_size(spec, 64, features={"image": 24}, options={**spec.options, "vision": RN50})
    encoder = encoder_of(small, tmp_path / file)
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model.encode_image(pixels)) < 1e-5
    assert open_clip.get_model_config(spec.architecture)["vision_cfg"]["layers"] == [3, 4, 6, 3]


def test_clip_dr_squashes_to_256_and_vila_mil_resizes_the_float_image(images, catalog):
    from medvlm_tui.engine.images.preprocess import Preprocess

    finish = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    theirs = {
        "clip_dr": [v2.Resize((256, 256)), v2.CenterCrop(224), *finish, v2.Normalize(*IMAGENET)],
        "vila_mil": [*finish, v2.Resize((224, 224)), v2.Normalize(*IMAGENET)],
    }
    for name, steps in theirs.items():
        for image in images:
            ours = Preprocess(catalog[name].preprocess)(image)
            assert largest_difference(ours, torch.as_tensor(v2.Compose(steps)(image))) < 5e-6


def test_monets_file_in_openais_layout(tmp_path, images, catalog):
    vision = {"image_size": 56, "layers": 3, "width": 64, "head_width": 16, "patch_size": 14}
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=24, vision_cfg=vision, text_cfg=TEXT, quick_gelu=True).eval()
    torch.save(model.state_dict(), tmp_path / "weight_clip.pt")
    config = {
        "hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
        "image_size": 56, "patch_size": 14, "projection_dim": 24, "hidden_act": "quick_gelu",
    }  # fmt: skip
    spec = at_size(catalog["monet"], 56, features={"image": 24}, options={"config": config})
    encoder = encoder_of(spec, tmp_path / "weight_clip.pt")
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model.encode_image(pixels)) < 1e-5


def test_an_eva_trunk_in_open_clips_layout(tmp_path, images, catalog):
    vision = {"timm_model_name": "eva02_tiny_patch14_224", "timm_pool": "token", "timm_proj": None, "image_size": 224}
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=24, vision_cfg=vision, text_cfg=TEXT).eval()
    torch.save(model.state_dict(), tmp_path / "w.bin")
    spec = at_size(catalog["eva02_l14_336"], 224, features={"image": 24}, options={"vision": vision})
    encoder = encoder_of(spec, tmp_path / "w.bin")
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model.encode_image(pixels)) < 1e-5


def test_the_repositorys_preprocessing_is_honoured(tmp_path, images, catalog):
    import json

    config = {
        "model_cfg": {
            "embed_dim": 512,
            "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
        },
        "preprocess_cfg": {"size": 48, "mean": [0.1, 0.2, 0.3], "std": [1, 1, 1], "interpolation": "bilinear"},
    }
    from medvlm_tui.core.digests import FileDigests
    from medvlm_tui.engine.encoders.resolve.saved_folders import as_stored
    from medvlm_tui.engine.encoders.weights.location import locate

    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"w")
    for name in ("make", "dermlip_b16", "dermlip_panderm"):
        spec = as_stored(catalog[name], locate(catalog[name], str(tmp_path), FileDigests()))
        assert (spec.preprocess.size_px, spec.preprocess.mean) == (48, (0.1, 0.2, 0.3))
        assert spec.preprocess.interpolation == "bilinear"
    plain = catalog["clip_b16"]
    assert as_stored(plain, locate(plain, str(tmp_path), FileDigests())) == plain
