"""open_clip's towers against open_clip's own models, on small saved checkpoints and folders."""

from __future__ import annotations

import json
from dataclasses import asdict

import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file

from medvlm_tui.errors import UsageError, WeightsError
from tests.made.models import at_size, encoder_of, largest_difference, local, pixels_of

VISION = {"image_size": 48, "layers": 3, "width": 64, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}


def saved(folder, quick_gelu=False, resize_mode="shortest", vision=VISION, size=48, **extra):
    """A folder in open_clip's layout, and the model that was saved in it."""
    config = {"embed_dim": 24, "vision_cfg": {**vision, **extra}, "text_cfg": TEXT, "quick_gelu": quick_gelu}
    preprocess = PreprocessCfg(size=size, resize_mode=resize_mode, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.25))
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": asdict(preprocess)})
    )
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=24, vision_cfg=vision, text_cfg=TEXT, quick_gelu=quick_gelu).eval()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return model, image_transform_v2(preprocess, is_train=False)


def expected(model, pixels):
    with torch.no_grad():
        return model.encode_image(pixels)


@pytest.mark.parametrize("quick_gelu", [False, True])
@pytest.mark.parametrize("resize_mode", ["shortest", "squash"])
def test_folder(tmp_path, images, quick_gelu, resize_mode):
    model, transform = saved(tmp_path, quick_gelu, resize_mode)
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    assert torch.equal(pixels, torch.stack([transform(image) for image in images]))
    assert largest_difference(encoder.encode(pixels), expected(model, pixels)) < 1e-5


def test_training_options_of_forks_in_the_config_are_passed_over(tmp_path, images):
    model, _ = saved(tmp_path, pretrain_path="/nowhere", sigma=3, patch_embeddings=True)
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    assert largest_difference(encoder.encode(pixels), expected(model, pixels)) < 1e-5


def test_a_timm_trunk_with_projection(tmp_path, images):
    vision = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "", "timm_proj": "linear", "image_size": 224}
    model, _ = saved(tmp_path, vision=vision, size=224)
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    assert largest_difference(encoder.encode(pixels), expected(model, pixels)) < 1e-5


def test_training_checkpoint_with_module_prefix(tmp_path, images):
    model, _ = saved(tmp_path)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    (tmp_path / "open_clip_model.safetensors").unlink()
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "open_clip_pytorch_model.bin")
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    assert largest_difference(encoder.encode(pixels), expected(model, pixels)) < 1e-5


def test_biomedclips_tower_is_the_one_that_open_clip_builds_from_its_config(tmp_path, images, catalog):
    spec = catalog["biomedclip"]
    small = {**spec.options["vision"], "timm_model_name": "vit_tiny_patch16_224"}
    torch.manual_seed(0)
    model = open_clip.CLIP(embed_dim=512, vision_cfg=small, text_cfg=TEXT).eval()
    state = {k: v for k, v in model.state_dict().items() if k.startswith("visual.")}
    torch.save(state | {"text.transformer.embeddings.position_ids": torch.arange(9)}, tmp_path / "w.bin")
    encoder = encoder_of(at_size(spec, 224, options={"vision": small}), tmp_path / "w.bin")
    pixels = pixels_of(encoder, images)
    assert largest_difference(encoder.encode(pixels), expected(model, pixels)) < 1e-5


def test_a_file_without_an_image_tower_is_refused(tmp_path):
    saved(tmp_path)
    save_file({"text.weight": torch.zeros(2)}, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(WeightsError, match=r"visual\.\*"):
        local(tmp_path)


def test_a_resize_that_is_not_served_is_refused(tmp_path):
    saved(tmp_path)
    file = tmp_path / "open_clip_config.json"
    file.write_text(file.read_text().replace('"shortest"', '"longest"'))
    with pytest.raises(UsageError, match="longest"):
        local(tmp_path)


def test_quickgelu_names_build_quickgelu(catalog):
    for name in ("clip_b16", "clip_l14"):
        assert open_clip.get_model_config(catalog[name].architecture)["quick_gelu"] is True
    for name in ("clip_g14", "clip_bigg14"):
        assert not open_clip.get_model_config(catalog[name].architecture).get("quick_gelu")
