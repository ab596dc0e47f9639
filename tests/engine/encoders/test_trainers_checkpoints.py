"""Checkpoints as trainers leave them: prefixes, outer tables, averaged weights, TorchScript, names that mislead."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import time
import zipfile
from collections import OrderedDict

import open_clip
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from timm.models import load_state_dict

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.engine.encoders.checkpoints import unpickling
from medvlm_tui.engine.encoders.checkpoints.state_dicts import plain_name
from medvlm_tui.engine.encoders.checkpoints.tensor_digests import chosen, digest_of
from medvlm_tui.engine.encoders.checkpoints.tensor_files import open_tensor_file
from medvlm_tui.engine.encoders.checkpoints.torch_archives import read_slots
from medvlm_tui.engine.encoders.checkpoints.tower import load_strictly, read_tower
from medvlm_tui.engine.encoders.weights.location import examine, locate
from medvlm_tui.errors import WeightsError
from tests.made.models import encoder_of, largest_difference, local

VISION = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16}
TEXT = {"context_length": 8, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1}
PIXELS = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return open_clip.CLIP(embed_dim=8, vision_cfg=VISION, text_cfg=TEXT).eval()


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, embed_dim=24, depth=1, num_heads=2, num_classes=3
    ).eval()


def open_clip_folder(folder, content):
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": VISION, "text_cfg": TEXT}, "preprocess_cfg": {"size": 32}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.save(content, folder / "open_clip_pytorch_model.bin")
    return local(folder)


def timm_folder(folder, content):
    arguments = {"img_size": 32, "embed_dim": 24, "depth": 1, "num_heads": 2}
    config = {"architecture": "vit_tiny_patch16_224", "num_features": 24, "model_args": arguments,
              "pretrained_cfg": {"input_size": [3, 32, 32], "classifier": "head"}}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(content, folder / "pytorch_model.bin")
    return local(folder)


def named(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def features(network):
    with torch.no_grad():
        return (
            network.encode_image(PIXELS)
            if hasattr(network, "encode_image")
            else network.forward_head(network.forward_features(PIXELS), pre_logits=True)
        )


PREFIXES = (
    "module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "module.module.", "_orig_mod._orig_mod.module.",
    "_fsdp_wrapped_module.", "module._checkpoint_wrapped_module.", "model.", "model._orig_mod.", "net.module.",
    "_forward_module.model.",
)  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_of_compiled_and_distributed_training(tmp_path, clip, vit, prefix):
    (tmp_path / "clip").mkdir()
    (tmp_path / "vit").mkdir()
    encoder = open_clip_folder(tmp_path / "clip", {"state_dict": named(prefix, clip.state_dict())})
    assert largest_difference(encoder.encode(PIXELS), features(clip)) < 1e-5
    encoder = timm_folder(tmp_path / "vit", named(prefix, vit.state_dict()))
    assert largest_difference(encoder.encode(PIXELS), features(vit)) < 1e-5


def test_parts_that_were_compiled_or_distributed_by_themselves(tmp_path, clip):
    state = {name.replace("visual.", "visual._orig_mod.module."): tensor for name, tensor in clip.state_dict().items()}
    state = {name.replace("resblocks.0.", "resblocks.0._orig_mod."): tensor for name, tensor in state.items()}
    assert largest_difference(open_clip_folder(tmp_path, state).encode(PIXELS), features(clip)) < 1e-5


@pytest.mark.parametrize("table", ["", "model_ema"])
def test_swa_keeps_a_count_beside_the_names(tmp_path, vit, table):
    averaged = torch.optim.swa_utils.AveragedModel(vit).state_dict()
    encoder = timm_folder(tmp_path, {table: averaged} if table else averaged)
    assert largest_difference(encoder.encode(PIXELS), features(vit)) < 1e-5


def test_a_plain_name_is_taken_off_from_the_front_only():
    assert plain_name("module._orig_mod.module.blocks.module.weight") == "blocks.module.weight"
    assert plain_name("submodule.weight") == "submodule.weight"


TABLES = (
    ("state_dict",), ("model",), ("module",), ("model_state_dict",), ("net",), ("network",), ("weights",),
    ("model", "state_dict"), ("checkpoint", "model_state_dict"), ("my_own_key",), ("outer", "my_own_key"), ("teacher",),
)  # fmt: skip


@pytest.mark.parametrize("keys", TABLES)
def test_outer_tables(tmp_path, vit, keys):
    content = dict(vit.state_dict())
    optimizer = torch.optim.AdamW(vit.parameters())
    for parameter in vit.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for key in reversed(keys):
        content = {"epoch": 3, "rng_state": torch.get_rng_state(), "optimizer_state_dict": optimizer.state_dict(),
                   key: content, "best": torch.tensor(0.5)}  # fmt: skip
    torch.save(content, tmp_path / "w.pt")
    assert set(open_tensor_file(tmp_path / "w.pt").names()) == set(vit.state_dict())
    assert set(read_slots(tmp_path / "w.pt")) == set(vit.state_dict())
    assert largest_difference(timm_folder(tmp_path, content).encode(PIXELS), features(vit)) < 1e-5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"epoch": 3, "history": {"loss": [1.0]}}, ("epoch", "history")),
        ({"encoder_a": {"w": torch.ones(2)}, "encoder_b": {"w": torch.ones(2)}}, ("encoder_a", "encoder_b")),
        ([torch.ones(2)], ("a list",)),
        ({}, ("empty",)),
    ],
)
def test_a_file_without_a_state_dict_says_what_it_holds(tmp_path, content, words):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(WeightsError) as caught:
        open_tensor_file(tmp_path / "w.pt")
    assert all(word in caught.value.message for word in words)
    assert "state_dict" in caught.value.hint
    assert examine(load_models()["uni"], str(tmp_path / "w.pt")).state == "wrong"


def test_a_whole_network_is_named_as_what_it_is(tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="whole network, an object of class Linear"):
        open_tensor_file(tmp_path / "w.pt")


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema"])
def test_averaged_weights_are_taken_as_timm_takes_them_and_it_is_said(tmp_path, vit, key):
    raw = {name: torch.zeros_like(tensor) for name, tensor in vit.state_dict().items()}
    plain = key.removesuffix("_ema").replace("model", "state_dict")
    encoder = timm_folder(tmp_path, {plain: raw, key: named("module.", vit.state_dict()), "arch": "vit"})
    theirs = load_state_dict(str(tmp_path / "pytorch_model.bin"))
    assert torch.equal(theirs["pos_embed"], vit.state_dict()["pos_embed"])
    assert largest_difference(encoder.encode(PIXELS), features(vit)) < 1e-5
    assert key in str(encoder.report)
    assert plain in str(encoder.report)


def test_of_two_copies_in_one_state_dict_the_teacher_is_taken_and_others_are_named(tmp_path, vit):
    state = vit.state_dict()
    raw = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    encoder = timm_folder(tmp_path, {"state_dict": named("student.", raw) | named("teacher.", state)})
    assert largest_difference(encoder.encode(PIXELS), features(vit)) < 1e-5
    assert "teacher.* were" in str(encoder.report).replace(") ", " ").replace("(", "")
    with pytest.raises(WeightsError, match=r"left\., right\."):
        timm_folder(tmp_path, named("left.", raw) | named("right.", state))


def test_heads_of_other_tasks_are_more_than_the_feature_needs(tmp_path, vit):
    state = vit.state_dict() | {"criterion.weight": torch.ones(3), "projector.0.weight": torch.ones(2, 2),
                                "decoder_blocks.0.norm1.weight": torch.ones(4)}  # fmt: skip
    encoder = timm_folder(tmp_path, state)
    assert largest_difference(encoder.encode(PIXELS), features(vit)) < 1e-5
    assert {"criterion.weight", "head.weight"} <= encoder.report.skipped
    with pytest.raises(WeightsError, match=r"blocks\.1\.norm1\.weight"):  # a part of the network is no head
        timm_folder(tmp_path, state | {"blocks.1.norm1.weight": torch.ones(24)})


@pytest.mark.parametrize("classes", [0, 5])
def test_torchvisions_classifier_may_be_of_other_classes_or_not_there(tmp_path, classes):
    torch.manual_seed(0)
    network = torchvision.models.resnet50(weights=None).eval()
    network.fc = torch.nn.Linear(2048, classes) if classes else torch.nn.Identity()
    torch.save({"model": named("backbone.", network.state_dict())}, tmp_path / "w.pth")
    encoder = encoder_of(load_models()["resnet50"], tmp_path / "w.pth")
    network.fc = torch.nn.Identity()
    with torch.no_grad():
        assert largest_difference(encoder.encode(PIXELS), network(PIXELS)) < 1e-4


class Scripted(torch.nn.Module):
    def __init__(self, visual):
        super().__init__()
        self.visual = visual

    def forward(self, pixels):
        return self.visual(pixels)


@pytest.mark.parametrize("half", [False, True])
def test_torchscripts_tensors_are_read_without_its_code(tmp_path, clip, half):
    visual = open_clip.CLIP(embed_dim=8, vision_cfg=VISION, text_cfg=TEXT).visual.eval()
    visual.load_state_dict(clip.visual.state_dict())
    traced = torch.jit.trace(Scripted(visual), PIXELS, check_trace=False)
    if half:
        traced = traced.half()
    torch.jit.save(traced, str(tmp_path / "ViT.pt"))
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": {"embed_dim": 8, "vision_cfg": VISION}, "preprocess_cfg": {"size": 32}})
    )
    shutil.copy(tmp_path / "ViT.pt", tmp_path / "open_clip_pytorch_model.bin")
    encoder = local(tmp_path)
    assert largest_difference(encoder.encode(PIXELS), features(clip)) < (1e-2 if half else 1e-5)
    assert examine(load_models()["clip_b16"], str(tmp_path / "ViT.pt")).state == "present"
    assert {"visual.conv1.weight", "visual.proj"} <= set(read_slots(tmp_path / "ViT.pt"))


def test_a_scripted_module_gives_its_state_dict_and_a_digest_of_its_tensors(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 2), torch.nn.BatchNorm2d(4))
    torch.jit.save(torch.jit.script(network), str(tmp_path / "a.pt"))
    file = open_tensor_file(tmp_path / "a.pt")
    assert set(file.names()) == set(network.state_dict())
    for name, tensor in network.state_dict().items():
        assert torch.equal(file.read(name), tensor)
    first = digest_of(tmp_path / "a.pt", "", FileDigests())
    torch.jit.save(torch.jit.script(network.eval()), str(tmp_path / "b.pt"))  # other code, the same tensors
    assert digest_of(tmp_path / "b.pt", "", FileDigests()) == first


def test_what_a_file_is_is_read_from_its_bytes(tmp_path):
    tensors = {"weight": torch.arange(6.0).reshape(2, 3)}
    save_file(tensors, tmp_path / "a.pt")
    save_file(tensors, tmp_path / ("4f" * 32))
    torch.save(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "b.safetensors", _use_new_zipfile_serialization=False)
    for name in ("a.pt", "4f" * 32, "a.safetensors", "b.safetensors"):
        assert torch.equal(open_tensor_file(tmp_path / name).read("weight"), tensors["weight"])
        assert examine(load_models()["uni"], str(tmp_path / name)).state == "present"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html><html>", "a web page"), (b"\x1f\x8b\x08rest", "gzip"), (b"\x89HDF\r\n", "HDF5"),
        (b"../../blobs/4f20332d", "text of a link"), (b"GGUF\x03", "GGUF"), (b"", "empty"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["w.bin", "w.safetensors"])
def test_other_files_are_named_as_what_they_are(tmp_path, content, word, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=word):
        open_tensor_file(tmp_path / name)
    found = locate(load_models()["uni"], str(tmp_path / name), FileDigests())
    assert found.state == "wrong"
    assert word in found.hint


FLOATS = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "bfloat16", "float16", "float64")
WHOLE = ("uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "uint8")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE, "bool", "complex64"])
def test_every_type_of_torch(tmp_path, dtype, suffix):
    stored = torch.tensor([[1.0, 2.0, 0.5]]).to(getattr(torch, dtype))
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)({"weight": stored}, path)
    assert examine(load_models()["uni"], str(path)).state == "present"
    file = open_tensor_file(path)
    assert file.read("weight").dtype == stored.dtype == file.outline("weight").dtype
    assert torch.equal(file.read("weight").view(torch.uint8), stored.view(torch.uint8)) or dtype == "complex64"
    layer = torch.nn.Linear(3, 1, bias=False)
    if dtype in FLOATS:
        load_strictly(layer, read_tower(path))
        assert torch.equal(layer.weight.detach(), stored.to(torch.float32))
    else:
        with pytest.raises(WeightsError, match=dtype):
            load_strictly(layer, read_tower(path))


def test_types_that_torch_has_not_are_named(tmp_path):
    header = json.dumps({"weight": {"dtype": "F6_E2M3", "shape": [1, 4], "data_offsets": [0, 3]}}).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(3))
    with pytest.raises(WeightsError, match="F6_E2M3") as caught:
        load_strictly(torch.nn.Linear(4, 1, bias=False), read_tower(tmp_path / "w.safetensors"))
    assert "bfloat16" in caught.value.hint


def archive(path, pickled, *, compress=False, storages=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/version", "3\n")
        for number, data in enumerate(storages):
            file.writestr(f"archive/data/{number}", data)
    return path


BUILDS = {
    "a class": b"ctorch.storage\nUntypedStorage\n}S'reached'\nI1\nsb.",
    "a function": b"ctorch._utils\n_rebuild_tensor_v2\n}S'reached'\nI1\nsb.",
    "slots of a class": b"ctorch.storage\nUntypedStorage\n(N}S'reached'\nI1\nstb.",
    "slots of a table": b"ccollections\nOrderedDict\n(N}S'reached'\nI1\nstb.",
    "a function's defaults": b"ctorch._utils\n_rebuild_parameter\n}S'__defaults__'\n(I1\ntsb.",
}  # fmt: skip


@pytest.mark.parametrize("what", BUILDS)
def test_a_pickle_changes_nothing_but_what_it_returns(tmp_path, what):
    path = archive(tmp_path / "w.bin", b"\x80\x02" + BUILDS[what])
    defaults = torch._utils._rebuild_parameter.__defaults__
    with pytest.raises(WeightsError):
        open_tensor_file(path)
    with pytest.raises(ValueError, match=r"changes|archive"):
        read_slots(path)
    with pytest.raises(pickle.UnpicklingError):
        unpickling.load(io.BytesIO(b"\x80\x02" + BUILDS[what]))
    for touched in (torch.UntypedStorage, torch._utils._rebuild_tensor_v2, OrderedDict):
        assert not hasattr(touched, "reached")
    assert torch._utils._rebuild_parameter.__defaults__ == defaults


@pytest.mark.parametrize("call", [b"ctorch.storage\nUntypedStorage\n(I99\ntR.", b"ctorch\nfloat32\n)R."])
def test_a_pickle_calls_only_what_makes_tensors(call):
    with pytest.raises(pickle.UnpicklingError, match="calls"):
        unpickling.load(io.BytesIO(b"\x80\x02" + call))


def test_a_table_that_is_filled_without_end_is_refused():
    pairs = b"(" + b"(I1\nI1\nt" + b"2" * 50_000 + b"l"  # one list of many references to one pair
    endless = b"\x80\x02" + pairs + b"q\x000" + b"ccollections\nOrderedDict\n(h\x00tR0" * 3_000 + b"N."
    begun = time.monotonic()
    with pytest.raises(pickle.UnpicklingError, match="without end"):
        unpickling.load(io.BytesIO(endless))
    assert time.monotonic() - begun < 5


def slots(count, storage=lambda number: 0, shape=1000):
    """A pickle of `count` tensors, each a view of the storage that `storage` names."""
    parts = [b"\x80\x02}("]
    for number in range(count):
        pid = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00%dX\x03\x00\x00\x00cpuI%d\ntQ" % (
            storage(number),
            shape,
        )
        parts.append(b"X\x05\x00\x00\x00%05d" % number + b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid)
        parts.append(b"I0\n(I%d\nt(I1\nt\x89ccollections\nOrderedDict\n)RtR" % shape)
    return b"".join([*parts, b"u."])


def test_a_storage_is_digested_once_for_all_its_views(tmp_path, monkeypatch):
    from medvlm_tui.engine.encoders.checkpoints import tensor_digests

    asked = []
    stream = tensor_digests._of_stream
    monkeypatch.setattr(tensor_digests, "_of_stream", lambda read, count: asked.append(count) or stream(read, count))
    path = archive(tmp_path / "w.bin", slots(300), storages=[bytes(4000)])
    digest_of(path, "", FileDigests())
    assert asked == [4000]


def test_archives_that_hold_more_than_their_bytes_are_digested_as_files(tmp_path, monkeypatch):
    from medvlm_tui.engine.encoders.checkpoints import tensor_digests

    monkeypatch.setattr(tensor_digests, "_of_stream", lambda read, count: pytest.fail("a bomb was unpacked"))
    path = archive(tmp_path / "w.bin", slots(3), compress=True, storages=[bytes(4_000_000)])
    assert digest_of(path, "", FileDigests())
    with pytest.raises(ValueError, match="compressed"):
        read_slots(path)


def test_tensors_that_lie_over_each_other_are_refused(tmp_path):
    one = {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}
    header = json.dumps({str(number): one for number in range(50)}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(400))
    with pytest.raises(WeightsError, match="over each other"):
        open_tensor_file(path)


def test_names_choose_the_digest_as_they_stand_and_without_prefixes_where_they_were_compiled():
    pattern = r"^(module\.)?visual\."
    assert chosen(["visual.a", "text.a"], pattern) == {"visual.a"}
    assert chosen(["_orig_mod.visual.a", "_orig_mod.text.a"], pattern) == {"_orig_mod.visual.a"}
    assert chosen(["module._orig_mod.visual.a", "module._orig_mod.text.a"], pattern) == {"module._orig_mod.visual.a"}
    assert chosen(["net.visual.a", "net.text.a"], pattern) == {"net.visual.a", "net.text.a"}


def test_an_archive_that_is_said_to_be_encrypted_is_damaged(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "w.bin")
    data = bytearray((tmp_path / "w.bin").read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(mark, at + 4)
    (tmp_path / "w.bin").write_bytes(data)
    assert examine(load_models()["uni"], str(tmp_path / "w.bin")).state == "wrong"
    assert locate(load_models()["uni"], str(tmp_path / "w.bin"), FileDigests()).digest
    with pytest.raises(WeightsError, match="damaged"):
        open_tensor_file(tmp_path / "w.bin")
