"""Towers inside language models against transformers' own models: LLaVA 1.5 and 1.6, LLaVA-Med++, MedGemma."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import transformers
from safetensors.torch import save_file

from medvlm_tui.engine.encoders.models.scales import tokens_at_scales
from medvlm_tui.errors import WeightsError
from tests.made.models import at_size, encoder_of, largest_difference, pixels_of

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
VISION = {**SMALL, "image_size": 56, "patch_size": 14, "hidden_act": "quick_gelu", "projection_dim": 24}
TEXT = {**SMALL, "vocab_size": 70, "num_key_value_heads": 2, "max_position_embeddings": 64}


def llava(folder, later):
    """A tiny LLaVA as transformers saves it, in shards of which those without image tensors are taken away."""
    text = transformers.LlamaConfig(**{**TEXT, "hidden_size": 48})
    settings = {"text_config": text, "vision_config": transformers.CLIPVisionConfig(**VISION), "image_token_index": 65}
    name = "LlavaNext" if later else "Llava"
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForConditionalGeneration")(
        getattr(transformers, f"{name}Config")(**settings, vision_feature_layer=-2)
    ).eval()
    model.save_pretrained(folder, max_shard_size="40KB")
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {file for key, file in index.items() if "vision_tower" in key or "multi_modal" in key}
    taken = [file for file in set(index.values()) if file not in needed]
    assert taken
    for file in taken:
        (folder / file).unlink()
    return model


@pytest.mark.parametrize("name", ["llava_1_5", "llava_1_6_mistral"])
def test_llava_is_the_mean_of_the_patch_tokens_of_the_last_block_but_one(tmp_path, images, catalog, name):
    model = llava(tmp_path, later=name == "llava_1_6_mistral")
    inner = model.model
    spec = at_size(catalog[name], 56, features={"tower": 32, "projected": 48}, options={"config": VISION})
    encoder = encoder_of(spec, tmp_path)
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        tokens = inner.vision_tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        projected = inner.multi_modal_projector(tokens).mean(dim=1)
    assert largest_difference(encoder.encode(pixels), tokens.mean(dim=1)) < 1e-5
    assert largest_difference(encoder_of(spec, tmp_path, "projected").encode(pixels), projected) < 1e-5


def test_llava_1_5_pads_and_1_6_squashes(images, catalog):
    assert catalog["llava_1_5"].preprocess.resize == "pad_square"
    for name in ("llava_1_6_mistral", "llava_1_6_vicuna"):
        spec = catalog[name]
        assert (spec.preprocess.resize, spec.preprocess.size_px, spec.preprocess.resize_px) == ("squash", 336, 336)


def tri(folder, width, **config):
    """The authors' own layout of LLaVA-Med++, less its language model."""
    torch.manual_seed(0)
    tower = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION)).eval()
    prefix = "model.vision_tower.vision_tower.vision_model."
    state = {prefix + key.removeprefix("vision_model."): value for key, value in tower.state_dict().items()}
    projector = torch.nn.Sequential(torch.nn.Linear(width, 48), torch.nn.GELU(), torch.nn.Linear(48, 48))
    state |= {f"model.mm_projector.{key}": value for key, value in projector.state_dict().items()}
    folder.mkdir(exist_ok=True)
    save_file({key: value.detach().contiguous() for key, value in state.items()}, folder / "1.safetensors")
    index = {"weight_map": {**dict.fromkeys(state, "1.safetensors"), "lm_head.weight": "2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({"model_type": "llava_llama", **config}))
    return tower, projector


def test_s2_sees_the_image_at_each_scale_in_tiles(tmp_path, images, catalog):
    tower, projector = tri(tmp_path / "w", 96, s2=True, s2_scales="56,112,168")
    options = {"config": VISION, "scales": [56, 112, 168]}
    spec = at_size(catalog["llava_med_pp_s2"], 168, features={"tower": 96, "projected": 48}, options=options)
    encoder = encoder_of(spec, tmp_path / "w")
    pixels = pixels_of(encoder, images[:2])
    assert pixels.shape == (2, 3, 168, 168)
    parts = []
    for size in (56, 112, 168):
        scaled = torch.nn.functional.interpolate(pixels, size=size, mode="bicubic", align_corners=False)
        canvas = torch.zeros(2, 32, size // 14, size // 14)
        for y in range(0, size, 56):
            for x in range(0, size, 56):
                with torch.no_grad():
                    hidden = tower(scaled[:, :, y : y + 56, x : x + 56], output_hidden_states=True).hidden_states[-2]
                cell = hidden[:, 1:].transpose(1, 2).reshape(2, 32, 4, 4)
                canvas[:, :, y // 14 : y // 14 + 4, x // 14 : x // 14 + 4] = cell
        parts.append(torch.nn.functional.interpolate(canvas, size=4, mode="area"))
    tokens = torch.cat(parts, dim=1).flatten(2).transpose(1, 2)
    assert largest_difference(encoder.encode(pixels), tokens.mean(dim=1)) < 1e-5
    with torch.no_grad():
        projected = projector(tokens).mean(dim=1)
    assert largest_difference(encoder_of(spec, tmp_path / "w", "projected").encode(pixels), projected) < 1e-5


def test_a_checkpoint_of_the_other_kind_is_refused_by_name(tmp_path, catalog):
    tri(tmp_path / "w", 96, s2=True, s2_scales="56,112,168")
    one = at_size(catalog["llava_med_pp"], 56, features={"tower": 32, "projected": 48}, options={"config": VISION})
    with pytest.raises(WeightsError) as caught:
        encoder_of(one, tmp_path / "w")
    assert "llava_med_pp_s2" in caught.value.hint
    tri(tmp_path / "v", 96)
    with pytest.raises(WeightsError, match=r"0\.weight is \[48, 96\], the network has \[48, 32\]"):
        encoder_of(one, tmp_path / "v", "projected")
    tri(tmp_path / "u", 32, mm_vision_select_layer=-1)
    with pytest.raises(WeightsError, match="layer -1"):
        encoder_of(one, tmp_path / "u")


def test_one_scale_is_the_plain_tower():
    pixels = torch.rand(1, 3, 28, 28)
    tokens = tokens_at_scales(lambda x: x.flatten(2).transpose(1, 2), pixels, (28,))
    assert torch.allclose(tokens, pixels.flatten(2).transpose(1, 2), atol=1e-6)


def test_medgemma_is_the_mean_of_the_normed_tokens_or_of_the_projected_ones(tmp_path, images, catalog):
    vision = {**SMALL, "image_size": 56, "patch_size": 14, "vision_use_head": False}
    text = transformers.Gemma3TextConfig(**{**TEXT, "hidden_size": 48, "head_dim": 12})
    config = transformers.Gemma3Config(
        text_config=text, vision_config=transformers.SiglipVisionConfig(**vision), mm_tokens_per_image=4
    )
    torch.manual_seed(0)
    model = transformers.Gemma3ForConditionalGeneration(config).eval()
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_soft_emb_norm.weight)
    model.save_pretrained(tmp_path)
    spec = at_size(catalog["medgemma"], 56, features={"tokens": 32, "projected": 48})
    spec = replace(spec, options={**spec.options, "projector_side": 2})
    encoder = encoder_of(spec, tmp_path)
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        tokens = model.model.vision_tower(pixel_values=pixels).last_hidden_state.mean(dim=1)
        soft = model.get_image_features(pixel_values=pixels)
        soft = soft if isinstance(soft, torch.Tensor) else soft.pooler_output
    assert largest_difference(encoder.encode(pixels), tokens) < 1e-5
    projected = encoder_of(spec, tmp_path, "projected").encode(pixels)
    assert largest_difference(projected, soft.mean(dim=1)) < 1e-4
