"""Folders that others have written: their configuration is data, and what is wrong with it is said in one sentence."""

from __future__ import annotations

import json
import socket
import time
from copy import deepcopy

import numpy as np
import pytest
import timm
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from medvlm_tui.catalog.models import load_models
from medvlm_tui.engine.encoders.resolve import named_models
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.new_images.encode import encode_files
from medvlm_tui.errors import MedvlmError, UsageError, WeightsError
from tests.made.models import at_size, encoder_of, largest_difference, local, pixels_of

VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
          "image_size": 32, "patch_size": 16}  # fmt: skip
CLIP = {"model_type": "clip_vision_model", "projection_dim": 8, **VISION}
OPEN_CLIP = {"model_cfg": {"embed_dim": 8, "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8,
             "patch_size": 16}}, "preprocess_cfg": {"size": 32}}  # fmt: skip
TIMM = {"architecture": "vit_tiny_patch16_224", "num_features": 24, "pretrained_cfg": {"input_size": [3, 32, 32]},
        "model_args": {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}}  # fmt: skip


def write(folder, config, weights=None, name="config.json"):
    (folder / name).write_text(config if isinstance(config, str) else json.dumps(config))
    save_file(weights or {"x": torch.ones(1)}, folder / "model.safetensors")
    return folder


def changed(config, path, value):
    made = deepcopy(config)
    table = made
    for name in path[:-1]:
        table = table[name]
    table[path[-1]] = value
    return made


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    "name", ["hf-hub:evil/model", "hf_hub:evil/model", "local-dir:/etc", "local-dir:.", "../x", ""]
)
def test_no_architecture_leads_out_of_timm(tmp_path, name, no_network):
    (tmp_path / "config.json").write_text(json.dumps(TIMM))
    with pytest.raises(WeightsError, match="no plain name") as refused:
        local(write(tmp_path, changed(TIMM, ["architecture"], name)))
    assert f"'{name}'" in refused.value.message
    assert ("hf-hub:" in refused.value.hint) == (":" in name)
    spec = at_size(load_models()["uni"], 32, architecture=name, options={})
    with pytest.raises(WeightsError, match="timm"):  # of a user's own entry as well
        encoder_of(spec, tmp_path / "model.safetensors")


def test_an_unknown_architecture_is_named_as_it_is_written_without_its_escapes(tmp_path):
    with pytest.raises(WeightsError) as refused:
        local(write(tmp_path, changed(TIMM, ["architecture"], "\x1b]0;x\x07")))
    assert r"the architecture '\x1b]0;x\x07' is no plain name" in refused.value.message
    assert "hf-hub" not in refused.value.hint


@pytest.mark.parametrize(
    "path",
    [["model_cfg", "vision_cfg", "timm_model_name"], ["name"], ["model_cfg", "vision_cfg", "timm_model_pretrained"]],
)
def test_no_open_clip_configuration_leads_to_the_hub(tmp_path, path, no_network):
    config = changed(OPEN_CLIP, path, True if path[-1].endswith("pretrained") else "hf-hub:evil/model")
    with pytest.raises(WeightsError):
        local(write(tmp_path, config, name="open_clip_config.json"))
    spec = at_size(load_models()["clip_b16"], 32, architecture="hf-hub:evil/model")
    with pytest.raises(WeightsError, match="open_clip has no model"):
        encoder_of(spec, tmp_path / "model.safetensors")
    with pytest.raises(UsageError):
        named_models.open_clip_model("open_clip:x", "hf-hub:evil/model", "tag")


@pytest.mark.parametrize(
    "arguments",
    [
        {"checkpoint_path": "/etc/passwd"}, {"pretrained": True}, {"pretrained_cfg": {"file": "/etc/passwd"}},
        {"pretrained_cfg_overlay": {"hf_hub_id": "evil/model"}}, {"cache_dir": "/tmp"}, {"features_only": True},
        {"scriptable": True}, {"block_fn": "os.system"}, {"act_layer": "os.system"}, {"depth": [[[1]]]},
        {"embed_dim": 10**9}, {"depth": "12"}, {"img_size": {"a": 1}},
    ],
)  # fmt: skip
def test_arguments_are_plain_values_of_a_list(tmp_path, arguments, no_network):
    (tmp_path / "passwd").write_text("x")
    with pytest.raises(MedvlmError) as caught:
        local(write(tmp_path, changed(TIMM, ["model_args"], {**TIMM["model_args"], **arguments})))
    assert next(iter(arguments)) in caught.value.message or "builds no network" in caught.value.message


HUGE = {
    "wide": (CLIP, ["hidden_size"], 20_000),
    "deep": (CLIP, ["num_hidden_layers"], 60_000),
    "deeper": (CLIP, ["num_hidden_layers"], 10_000_000),
    "wide in timm": (TIMM, ["model_args", "embed_dim"], 30_000),
    "deep in timm": (TIMM, ["model_args", "depth"], 60_000),
    "large in timm": (TIMM, ["model_args", "img_size"], 60_000),
    "wide in open_clip": (OPEN_CLIP, ["model_cfg", "vision_cfg", "width"], 30_000),
    "deep in open_clip": (OPEN_CLIP, ["model_cfg", "vision_cfg", "layers"], 60_000),
    "wide projection": (OPEN_CLIP, ["model_cfg", "embed_dim"], 65_000),
}


@pytest.mark.parametrize("what", HUGE)
def test_a_configuration_cannot_ask_for_more_than_its_checkpoint_holds(tmp_path, what, monkeypatch):
    config, path, value = HUGE[what]
    zeros = torch.Tensor.zero_
    touched = []
    monkeypatch.setattr(
        torch.Tensor, "zero_", lambda tensor: touched.append(tensor.numel() * (not tensor.is_meta)) or zeros(tensor)
    )
    name = "open_clip_config.json" if config is OPEN_CLIP else "config.json"
    tensors = {"vision_model.embeddings.class_embedding": torch.ones(16), "visual.proj": torch.ones(16, 8),
               "patch_embed.proj.weight": torch.ones(24, 3, 16, 16)}  # fmt: skip
    write(tmp_path, changed(config, path, value), tensors, name)
    begun = time.monotonic()
    with pytest.raises(WeightsError) as caught:
        local(tmp_path)
    assert time.monotonic() - begun < 20
    assert sum(touched) < 1_000_000
    assert "does not fit" in caught.value.message or str(value) in caught.value.message


def test_a_view_of_few_bytes_does_not_make_a_large_network_fit(tmp_path):
    network = timm.create_model("vit_tiny_patch16_224", **{**TIMM["model_args"], "embed_dim": 2000}, num_classes=0)
    one = torch.zeros(1)
    views = {name: one.expand(tensor.shape) for name, tensor in network.state_dict().items()}
    (tmp_path / "config.json").write_text(json.dumps(changed(TIMM, ["model_args", "embed_dim"], 2000)))
    torch.save(views, tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="by their shapes"):
        local(tmp_path)


NONSENSE = ("abc", None, [], {}, -1, 0, 1.5, True, [1, 2], float("nan"), 10**40, {"a": 1}, "x\x1b]0;t\x07")
FIELDS = [
    *((CLIP, [n]) for n in (*VISION, "projection_dim", "num_channels", "hidden_act", "vision_config")),
    *((TIMM, [name]) for name in ("architecture", "num_features", "model_args", "pretrained_cfg")),
    *((TIMM, ["pretrained_cfg", n]) for n in ("input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std")),
    *((TIMM, ["model_args", name]) for name in ("depth", "num_heads", "embed_dim", "in_chans")),
    *((OPEN_CLIP, [name]) for name in ("model_cfg", "preprocess_cfg")),
    *((OPEN_CLIP, ["model_cfg", name]) for name in ("embed_dim", "vision_cfg", "quick_gelu")),
    *((OPEN_CLIP, ["model_cfg", "vision_cfg", n]) for n in ("layers", "width", "head_width", "act_kwargs")),
    *((OPEN_CLIP, ["preprocess_cfg", n]) for n in ("size", "mean", "std", "interpolation", "resize_mode")),
]  # fmt: skip


@pytest.mark.parametrize(("config", "path"), FIELDS, ids=[".".join(path) for _, path in FIELDS])
def test_nonsense_in_a_field_is_an_error_of_ours_or_the_usual_value(tmp_path, config, path):
    """A stranger's configuration may hold anything: never a traceback, never a raw escape."""
    name = "open_clip_config.json" if config is OPEN_CLIP else "config.json"
    for value in NONSENSE:
        write(tmp_path, json.dumps(changed(config, path, value)), name=name)
        with pytest.raises(MedvlmError) as caught:  # the checkpoint holds nothing of the kind, so that all end so
            local(tmp_path)
        assert "\x1b" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "null", "{", '{"a":' + "[" * 200_000 + "]" * 200_000 + "}", "\x00", '{"a": ' + "9" * 5000 + "}"],
)
@pytest.mark.parametrize("name", ["config.json", "open_clip_config.json"])
def test_files_that_are_no_configuration(tmp_path, text, name):
    with pytest.raises(MedvlmError) as caught:
        local(write(tmp_path, text, name=name))
    assert name in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["{}", "[]", '{"weight_map": []}', '{"weight_map":' + "[" * 200_000])
def test_an_index_that_is_none(tmp_path, text):
    (tmp_path / "config.json").write_text(json.dumps(CLIP))
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(MedvlmError):
        local(tmp_path)


def test_a_tower_without_projection_has_the_pooled_vector(tmp_path, images):
    torch.manual_seed(0)
    model = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION)).eval()
    model.save_pretrained(tmp_path)
    encoder = local(tmp_path)
    assert encoder.spec.features == {"pooled": 16}
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), model(pixels).pooler_output) < 1e-5
    monet = load_models()["monet"]
    spec = at_size(monet, 32, features={"image": 8}, options={"config": {**VISION, "projection_dim": 8}})
    with pytest.raises(WeightsError, match=r"has no visual_projection\.weight.*without the projection"):
        encoder_of(spec, tmp_path / "model.safetensors")


def test_a_siglip_tower_without_its_head_has_the_mean_of_its_tokens(tmp_path, images):
    torch.manual_seed(0)
    model = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**VISION, vision_use_head=False)).eval()
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["vision_use_head"]  # as forks leave it
    (tmp_path / "config.json").write_text(json.dumps(config))
    encoder = local(tmp_path)
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        expected = model(pixels).last_hidden_state.mean(dim=1)
    assert encoder.spec.features == {"tokens": 16}
    assert largest_difference(encoder.encode(pixels), expected) < 1e-5


def test_a_missing_tensor_is_named_as_the_file_would_name_it(tmp_path):
    model = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**VISION, projection_dim=8))
    model.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    del tensors["vision_model.post_layernorm.bias"]
    save_file({f"model.{name}": tensor for name, tensor in tensors.items()}, file)
    with pytest.raises(WeightsError, match=r"1 tensor is missing \(model\.vision_model\.post_layernorm\.bias\)"):
        local(tmp_path)


ONE_CHANNEL = {"input_size": [1, 32, 32], "crop_pct": 1.0, "mean": [0.5], "std": [0.25]}


@pytest.mark.parametrize("library", ["timm", "transformers"])
def test_a_network_of_one_channel_is_given_the_luminance(tmp_path, images, library):
    torch.manual_seed(0)
    if library == "timm":
        model = timm.create_model("vit_tiny_patch16_224", **TIMM["model_args"], in_chans=1, num_classes=0).eval()
        config = changed(TIMM, ["pretrained_cfg"], ONE_CHANNEL)
        write(tmp_path, changed(config, ["model_args", "in_chans"], 1), model.state_dict())
    else:
        model = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**VISION, num_channels=1)).eval()
        model.save_pretrained(tmp_path)
        processor = {"size": {"shortest_edge": 32}, "crop_size": 32, "image_mean": 0.5, "image_std": 0.25}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    encoder = local(tmp_path)
    assert "one channel" in encoder.spec.assumption
    grey = [image.convert("L").resize((32, 32), Image.Resampling.BICUBIC) for image in images]
    values = [(torch.from_numpy(np.array(image)).float() / 255 - 0.5) / 0.25 for image in grey]
    with torch.no_grad():
        output = model(torch.stack(values)[:, None])
    expected = output if library == "timm" else output.pooler_output
    pixels = pixels_of(encoder, [image.convert("RGB") for image in grey])
    assert largest_difference(encoder.encode(pixels), expected) < 1e-5
    colour = encoder.encode(pixels_of(encoder, [image.resize((32, 32), Image.Resampling.BICUBIC) for image in images]))
    assert torch.nn.functional.cosine_similarity(colour, expected).min() > 0.99


@pytest.mark.parametrize("channels", [2, 4, 12])
def test_other_numbers_of_channels_are_refused(tmp_path, channels):
    with pytest.raises(UsageError, match=f"{channels} channels"):
        local(write(tmp_path, changed(TIMM, ["model_args", "in_chans"], channels)))
    with pytest.raises(UsageError, match=f"{channels} channels"):
        local(write(tmp_path, {**CLIP, "num_channels": channels}))


def test_a_processor_and_a_network_of_other_sizes_are_told_apart(tmp_path):
    write(tmp_path, CLIP)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": {"shortest_edge": 64}, "crop_size": 64}))
    with pytest.raises(UsageError, match="makes 64 px, its network takes 32 px"):
        local(tmp_path)


def test_open_clips_two_sizes_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match="made 64 px, the network takes 32 px"):
        local(write(tmp_path, changed(OPEN_CLIP, ["preprocess_cfg", "size"], 64), name="open_clip_config.json"))


def test_inputs_that_a_network_does_not_take_are_an_error_in_words(tmp_path, images):
    config = changed(TIMM, ["pretrained_cfg", "input_size"], [3, 48, 48])
    network = timm.create_model("vit_tiny_patch16_224", **TIMM["model_args"], num_classes=0)
    write(tmp_path, config, network.state_dict())
    images[0].save(tmp_path / "a.png")
    with pytest.raises(MedvlmError, match="does not take inputs of 3 x 48 x 48"):
        encode_files(f"local:{tmp_path}", [tmp_path / "a.png"], device="cpu")


def test_what_a_folder_leaves_open_is_in_its_record(tmp_path):
    spec = resolve_model(f"local:{write(tmp_path, CLIP)}", {})
    assert "assumed" in spec.assumption


# Families whose pooled vector is wider than the last map, each with another layer that widens it.
WIDENED = ("mobilenetv3_small_050", "ghostnet_050", "efficientvit_b0", "inception_next_atto", "hgnet_tiny")


@pytest.mark.parametrize("architecture", WIDENED)
def test_the_pooled_width_is_that_of_the_vector_and_not_of_the_last_map(tmp_path, architecture):
    with torch.device("meta"):
        network = timm.create_model(architecture, num_classes=0).eval()
        wanted = network(torch.zeros(1, 3, 224, 224)).shape[1]
    assert network.num_features != wanted
    config = {"architecture": architecture, "num_features": network.num_features, "pretrained_cfg": {}}
    shapes = {name: torch.zeros(tensor.shape) for name, tensor in network.state_dict().items()}
    assert resolve_model(f"local:{write(tmp_path, config, shapes)}", {}).features == {"pooled": wanted}
    torch.save({"state_dict": shapes}, tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    assert resolve_model(f"local:{tmp_path}", {}).features == {"pooled": wanted}


def test_a_widened_network_encodes_from_its_folder(tmp_path, images):
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv3_small_050", num_classes=0).eval()
    # As timm saves it: the channels of the last map.
    config = {"architecture": "mobilenetv3_small_050", "num_features": 288,
              "pretrained_cfg": {"input_size": [3, 64, 64]}}  # fmt: skip
    encoder = local(write(tmp_path, config, network.state_dict()))
    pixels = pixels_of(encoder, images)
    with torch.no_grad():
        assert largest_difference(encoder.encode(pixels), network(pixels)) < 1e-4


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "vgg11", "vit_tiny_patch16_224"])
def test_timms_own_record_has_the_pooled_width(name):
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0).eval()
        wanted = network(torch.zeros(1, 3, 224, 224)).shape[1]
    assert named_models.timm_model(f"timm:{name}", name).features == {"pooled": wanted}
