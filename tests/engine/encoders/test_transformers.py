"""CLIP, SigLIP and DINOv2 against transformers' own forward pass and processors, on tiny saved checkpoints."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from medvlm_tui.errors import UsageError, WeightsError
from tests.made.models import at_size, encoder_of, largest_difference, local, pixels_of

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
VISION = {**SMALL, "image_size": 56, "patch_size": 14}
TEXT = {**SMALL, "vocab_size": 64, "max_position_embeddings": 16}


def pooled(output):
    return output if isinstance(output, torch.Tensor) else output.pooler_output


def clip(folder, act="quick_gelu", projection=24):
    config = transformers.CLIPConfig(
        text_config=TEXT, vision_config={**VISION, "hidden_act": act}, projection_dim=projection
    )
    torch.manual_seed(0)
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(folder)
    transformers.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size=56).save_pretrained(folder)
    return model


def processed(processor, images):
    return torch.stack([processor(image, return_tensors="pt")["pixel_values"][0] for image in images])


def test_clip_folder_gives_the_librarys_pixels_and_features(tmp_path, images):
    model = clip(tmp_path)
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    reference = processed(transformers.CLIPImageProcessorPil.from_pretrained(tmp_path), images)
    assert largest_difference(pixels, reference) < 1e-6
    with torch.no_grad():
        expected = pooled(model.get_image_features(pixel_values=reference))
    assert expected.shape == (4, 24)
    assert largest_difference(encoder.encode(pixels), expected) < 1e-5


def test_the_activation_in_the_config_is_obeyed(tmp_path, images):
    clip(tmp_path)
    quick = local(tmp_path).encode(pixels_of(local(tmp_path), images))
    config = json.loads((tmp_path / "config.json").read_text())
    config["vision_config"]["hidden_act"] = "gelu"
    (tmp_path / "config.json").write_text(json.dumps(config))
    exact = local(tmp_path).encode(pixels_of(local(tmp_path), images))
    assert largest_difference(quick, exact) > 1e-5


def test_catalog_entry_of_clip_layout_loads_a_file_without_config(tmp_path, images, catalog):
    model = clip(tmp_path)
    options = {"config": {**VISION, "projection_dim": 24, "hidden_act": "quick_gelu"}}
    spec = at_size(catalog["monet"], 56, options=options, features={"image": 24})
    encoder = encoder_of(spec, tmp_path / "model.safetensors")
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        expected = pooled(model.get_image_features(pixel_values=pixels))
    assert largest_difference(encoder.encode(pixels), expected) < 1e-5


def test_siglip_folder(tmp_path, images):
    config = transformers.SiglipConfig(text_config=TEXT, vision_config=VISION)
    torch.manual_seed(0)
    model = transformers.SiglipModel(config).eval()
    model.save_pretrained(tmp_path)
    transformers.SiglipImageProcessorPil(size={"height": 56, "width": 56}).save_pretrained(tmp_path)
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    reference = processed(transformers.SiglipImageProcessorPil.from_pretrained(tmp_path), images)
    assert largest_difference(pixels, reference) < 1e-6
    with torch.no_grad():
        expected = pooled(model.get_image_features(pixel_values=pixels))
    assert largest_difference(encoder.encode(pixels), expected) < 1e-5


@pytest.mark.parametrize("swiglu", [False, True])
def test_dinov2_folder(tmp_path, images, swiglu):
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, image_size=70, patch_size=14, use_swiglu_ffn=swiglu
    )
    torch.manual_seed(0)
    model = transformers.Dinov2Model(config).eval()
    model.save_pretrained(tmp_path)
    processor = transformers.BitImageProcessorPil(
        size={"shortest_edge": 64}, crop_size=56, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    processor.save_pretrained(tmp_path)
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    assert largest_difference(pixels, processed(processor, images)) < 1e-6
    with torch.no_grad():
        expected = model(pixel_values=pixels).pooler_output
    assert largest_difference(encoder.encode(pixels), expected) < 1e-5


def test_old_files_with_position_ids_and_vision_prefix_load(tmp_path, images):
    clip(tmp_path)
    reference = local(tmp_path).encode(pixels_of(local(tmp_path), images))
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    tensors["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    save_file(tensors, file)
    assert largest_difference(local(tmp_path).encode(pixels_of(local(tmp_path), images)), reference) == 0.0


@pytest.mark.parametrize("damage", ["missing", "extra", "shape"])
def test_a_tower_that_does_not_fit_is_refused_by_name(tmp_path, damage):
    clip(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    name = "vision_model.encoder.layers.1.mlp.fc1.weight"
    if damage == "missing":
        del tensors[name]
    elif damage == "extra":
        tensors["vision_model.encoder.layers.1.mlp.fc9.weight"] = torch.zeros(2)
    else:
        tensors[name] = torch.zeros(3, 5)
    save_file(tensors, file)
    with pytest.raises(WeightsError, match=r"encoder\.layers\.1\.mlp\.fc"):
        local(tmp_path)


def test_remote_code_in_a_config_is_never_imported(tmp_path):
    clip(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil"}
    config["vision_config"]["_attn_implementation_internal"] = "evil/repo"
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    local(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_an_unknown_model_type_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava_mistral"}')
    with pytest.raises(UsageError, match="llava_mistral"):
        local(tmp_path)
