"""Checkpoint files: partial reading, wrappers, shards, damage, and pickles that would run code."""

from __future__ import annotations

import json
import pickle
import sys
import types

import pytest
import torch
from safetensors.torch import save_file

from medvlm_tui.engine.encoders.checkpoints.tensor_files import PickleFile, SafetensorsFile, ShardedFolder
from medvlm_tui.engine.encoders.checkpoints.tower import load_strictly, read_tower
from medvlm_tui.errors import WeightsError

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool)
TENSORS = {f"t.{str(d).split('.')[1]}": torch.arange(6).reshape(2, 3).to(d) for d in DTYPES} | {
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
}


def test_safetensors_come_back_exactly(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors", metadata={"format": "pt"})
    file = SafetensorsFile(tmp_path / "a.safetensors")
    assert set(file.names()) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert file.read(name).dtype == tensor.dtype
        assert torch.equal(file.read(name), tensor)


@pytest.mark.parametrize("kept", [0, 4, 40, 200, -1])
def test_truncated_safetensors_are_refused(tmp_path, kept):
    save_file(TENSORS, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data[:kept])
    with pytest.raises(WeightsError, match="damaged"):
        SafetensorsFile(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{",
        b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}',
        b'{"a": 3}',
    ],
)
def test_headers_that_lie_are_refused(tmp_path, header):
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(WeightsError, match="damaged"):
        SafetensorsFile(tmp_path / "a.safetensors")


def test_only_the_shards_that_are_needed_are_opened(tmp_path):
    save_file({"tower.w": torch.ones(2)}, tmp_path / "2.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"llm.w": "1.safetensors", "tower.w": "2.safetensors"}}))
    tower = read_tower(index).below("tower.")
    assert torch.equal(tower.readers["w"](), torch.ones(2))
    with pytest.raises(WeightsError, match=r"1\.safetensors is missing"):
        ShardedFolder(index).read("llm.w")


def test_an_index_that_leaves_its_folder_is_refused(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"w": "../other.safetensors"}}))
    with pytest.raises(WeightsError, match="outside"):
        ShardedFolder(index)


@pytest.mark.parametrize("wrap", [(), ("state_dict",), ("model",), ("model", "state_dict")])
@pytest.mark.parametrize("legacy", [False, True])
def test_wrappers_are_taken_off(tmp_path, wrap, legacy):
    content = {"w": torch.ones(2), "note": "x"}
    for name in reversed(wrap):
        content = {name: content, "epoch": 3}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
    assert torch.equal(PickleFile(tmp_path / "a.pt").read("w"), torch.ones(2))


class Bomb:
    def __init__(self, function, argument):
        self.call = (function, (argument,))

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "builtins.exec", "subprocess.call"])
def test_a_pickle_that_would_run_code_is_refused_and_nothing_runs(tmp_path, name, wrapped):
    module, _, function = name.partition(".")
    proof = tmp_path / "ran"
    code = f"touch {proof}" if module in ("os", "subprocess") else f"open({str(proof)!r}, 'w')"
    bomb = Bomb(getattr(__import__(module), function), code)
    path = tmp_path / "a.bin"
    if wrapped:
        torch.save({"model": {"w": torch.ones(2)}, "args": bomb}, path)
    else:
        path.write_bytes(pickle.dumps({"w": bomb}))
    with pytest.raises(WeightsError) as caught:
        PickleFile(path)
    assert caught.value.hint
    assert not proof.exists()


def test_objects_of_packages_that_are_not_here_do_not_matter(tmp_path, monkeypatch):
    module = types.ModuleType("gone_package")
    module.Config = type("Config", (), {"__module__": "gone_package"})
    monkeypatch.setitem(sys.modules, "gone_package", module)
    config = module.Config()
    config.lr = 3
    torch.save({"model": {"w": torch.ones(2)}, "config": config}, tmp_path / "a.tar")
    monkeypatch.delitem(sys.modules, "gone_package")
    assert torch.equal(PickleFile(tmp_path / "a.tar").read("w"), torch.ones(2))


@pytest.mark.parametrize("data", [b"", b"not a pickle", b"PK\x03\x04broken"])
def test_files_that_are_nothing_are_refused(tmp_path, data):
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(WeightsError):
        PickleFile(tmp_path / "a.bin")


def test_a_tail_that_is_not_there_or_twice(tmp_path):
    save_file({"a.x.w": torch.ones(1), "b.x.w": torch.ones(1)}, tmp_path / "a.safetensors")
    for tail, word in (("y.w", "no tensor"), ("x.w", "2 tensors")):
        with pytest.raises(WeightsError, match=word):
            read_tower(tmp_path / "a.safetensors", tail)
    assert list(read_tower(tmp_path / "a.safetensors", "x.w", inside="b").readers) == ["x.w"]


def test_values_are_cast_to_the_networks_precision(tmp_path):
    save_file({"weight": torch.full((2, 3), 1.5, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    layer = torch.nn.Linear(3, 2, bias=False)
    assert load_strictly(layer, read_tower(tmp_path / "a.safetensors")) == 1
    assert layer.weight.dtype == torch.float32
    assert float(layer.weight.detach().min()) == 1.5
