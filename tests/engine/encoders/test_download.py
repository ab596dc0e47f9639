"""Downloads from a hub on 127.0.0.1: what is fetched, what is not, and what is said when it cannot be had."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.events import Log, StepProgress
from medvlm_tui.engine.encoders.weights import download, downloads, hub
from medvlm_tui.engine.encoders.weights.downloads import download_missing
from medvlm_tui.engine.encoders.weights.location import locate
from medvlm_tui.engine.run.inputs import find_models
from medvlm_tui.stages.request import RunRequest
from tests.made.fake_hub import DISABLED, GATED, WRONG_TOKEN, serving

TOKEN = "hf_" + "secretsecretsecret"
DINO = "facebook/dinov2-small"
LLAVA = "microsoft/llava-med-v1.5-mistral-7b"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN_PATH", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def repositories():
    return {DINO: {"model.safetensors": save({"w": torch.zeros(300_000)}), "config.json": b"{}", "README.md": b"x"}}


@pytest.fixture
def server(repositories, monkeypatch):
    with serving(repositories) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def where(spec):
    return locate(spec, "", FileDigests(), offline=True)


def cached_files(tmp_path):
    return [path for path in (tmp_path / "hf").rglob("*") if path.is_file() and "blobs" in path.parts]


def test_sizes_first_then_progress_then_present(server, catalog):
    events = []
    assert where(catalog["dinov2_s"]).state == "missing"
    assert download_missing([catalog["dinov2_s"]], events.append) == {}
    assert where(catalog["dinov2_s"]).state == "present"
    assert isinstance(events[0], Log)
    assert "dinov2_s 1.2 MB" in events[0].message
    last = [event for event in events if isinstance(event, StepProgress)][-1]
    assert (last.step, last.done, last.total, last.unit) == ("download:dinov2_s", 1, 1, "MB")
    assert not any("README" in path for _, path, _ in server.asked)


def test_only_the_shards_that_hold_the_tower_are_fetched(server, repositories, tmp_path, catalog):
    prefix = "model.vision_tower.vision_tower.vision_model."
    index = {f"{prefix}embeddings.class_embedding": "3.safetensors", "lm_head.weight": "1.safetensors"}
    repositories[LLAVA] = {
        "model.safetensors.index.json": json.dumps({"weight_map": index}).encode(),
        "config.json": b"{}",
        "1.safetensors": b"a language model",
        "3.safetensors": save({f"{prefix}embeddings.class_embedding": torch.zeros(4)}),
    }
    events = []
    assert download_missing([catalog["llava_med"]], events.append) == {}
    weights = where(catalog["llava_med"])
    assert weights.state == "present"
    assert {path.name for path in weights.files} == {"model.safetensors.index.json", "config.json", "3.safetensors"}
    assert not any(path.endswith("/1.safetensors") for _, path, _ in server.asked)
    (hub.snapshot(LLAVA) / "3.safetensors").unlink()
    assert where(catalog["llava_med"]).state == "missing"


@pytest.mark.parametrize(
    ("refusal", "message", "hint"),
    [
        (GATED, "is gated", "https://huggingface.co/facebook/dinov2-small, then `hf auth login`"),
        (None, "no repository", "--weights dinov2_s=PATH"),
        (DISABLED, "is disabled", "--weights dinov2_s=PATH"),
        (WRONG_TOKEN, "does not accept the token", "hf auth login"),
        ((500, None, "internal"), "refused facebook/dinov2-small (500)", "try again later"),
        ({"README.md": b"x"}, "holds none of model.safetensors", "https://huggingface.co/facebook/dinov2-small"),
    ],
)
def test_each_refusal_has_its_sentence_and_costs_its_model_alone(server, repositories, catalog, refusal, message, hint):
    repositories["facebook/dinov2-base"] = repositories[DINO]
    if refusal is None:
        del repositories[DINO]
    else:
        repositories[DINO] = refusal
    problems = download_missing([catalog["dinov2_s"], catalog["dinov2_b"]], lambda event: None)
    assert set(problems) == {"dinov2_s"}
    assert message in problems["dinov2_s"].message
    assert hint in problems["dinov2_s"].hint
    assert TOKEN not in problems["dinov2_s"].message + problems["dinov2_s"].hint
    assert where(catalog["dinov2_b"]).state == "present"


def test_a_gate_at_the_file_is_the_same_gate(server, repositories, catalog, monkeypatch):
    from tests.made.fake_hub import Handler

    monkeypatch.setattr(Handler, "send_repository_file", lambda self, *rest: self.refuse(GATED))
    problems = download_missing([catalog["dinov2_s"]], lambda event: None)
    assert "is gated" in problems["dinov2_s"].message


def test_without_network_one_probe_answers_for_all(monkeypatch, catalog):
    with serving({}) as gone:
        address = gone.url
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setattr(downloads, "look_up", lambda spec: pytest.fail("it asked for a file"))
    began = time.monotonic()
    problems = download_missing([catalog["dinov2_s"], catalog["dinov2_b"]], lambda event: None)
    assert set(problems) == {"dinov2_s", "dinov2_b"}
    assert "cannot be reached" in problems["dinov2_s"].message
    assert "--weights dinov2_s=PATH" in problems["dinov2_s"].hint
    assert time.monotonic() - began < download._PROBE_S + 20


def test_offline_asks_nobody(server, catalog):
    request = RunRequest(models=("dinov2_s",), offline=True)
    found = find_models(request, FileDigests(), lambda *rest: "fp32", fetch=lambda event: None)
    assert found[0].weights.state == "missing"
    assert "--offline" in found[0].problem.hint
    assert server.asked == []


def test_a_run_fetches_what_it_lacks_and_not_what_it_was_given(server, tmp_path, catalog):
    (tmp_path / "own.safetensors").write_bytes(save({"w": torch.zeros(3)}))
    given = RunRequest(models=("dinov2_s",), weights={"dinov2_s": str(tmp_path / "own.safetensors")})
    assert find_models(given, FileDigests(), lambda *rest: "fp32", fetch=lambda event: None)[0].problem is None
    assert server.asked == []
    asked = RunRequest(models=("dinov2_s", "merlin", "clip_dr"))
    found = find_models(asked, FileDigests(), lambda *rest: "fp32", fetch=lambda event: None)
    assert [model.problem is None for model in found] == [True, False, False]
    assert "volumes" in found[1].problem.message
    assert not any("Merlin" in path for _, path, _ in server.asked)


def test_a_connection_that_breaks_is_taken_up_again(server, repositories, catalog, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)  # it keeps whole chunks, of 10 MB otherwise
    size = len(repositories[DINO]["model.safetensors"])
    server.break_after, server.breaks_left = size // 3, 2
    assert download_missing([catalog["dinov2_s"]], lambda event: None) == {}
    path = where(catalog["dinov2_s"]).path
    assert path.read_bytes() == repositories[DINO]["model.safetensors"]
    assert any(asked for _, _, asked in server.asked)
    assert server.sent < 2 * size


def test_a_network_that_dies_leaves_no_file_that_counts(server, catalog, monkeypatch):
    from huggingface_hub import file_download

    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    server.break_after, server.breaks_left = 0, 1000
    problems = download_missing([catalog["dinov2_s"]], lambda event: None)
    assert "broke off" in problems["dinov2_s"].message
    assert where(catalog["dinov2_s"]).state == "missing"
    server.breaks_left = 0
    assert download_missing([catalog["dinov2_s"]], lambda event: None) == {}
    assert where(catalog["dinov2_s"]).state == "present"


def test_torchvision_files_are_checked_against_their_name(tmp_path, monkeypatch, catalog):
    data = b"weights" * 1000
    name = f"net-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    with serving({"models/x": {name: data, "net-00000000.pth": data}}) as running:
        base = f"{running.url}/models/x/resolve/main/"
        download.fetch_checked(base + name, tmp_path / name, lambda count: None)
        assert (tmp_path / name).read_bytes() == data
        with pytest.raises(download.MissingInputError, match="other bytes"):
            download.fetch_checked(base + "net-00000000.pth", tmp_path / "net-00000000.pth", lambda count: None)
        with pytest.raises(download.MissingInputError, match="cannot be downloaded"):
            download.fetch_checked(base + "none.pth", tmp_path / "none.pth", lambda count: None)
    assert [path.name for path in tmp_path.glob("net-*")] == [name]


def test_a_disk_that_is_too_small_is_said_before_the_download(server, catalog, monkeypatch):
    usage = downloads.shutil.disk_usage("/")
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    problems = download_missing([catalog["dinov2_s"]], lambda event: None)
    assert "needs 1.2 MB" in problems["dinov2_s"].message
    assert where(catalog["dinov2_s"]).state == "missing"


def test_a_run_fetches_the_tokenizer_that_a_text_tower_lacks(server, repositories, tmp_path):
    place = "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract"
    repositories[place] = {"vocab.txt": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "pytorch_model.bin": b"not asked for"}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "w.safetensors").write_bytes(save({"visual.w": torch.zeros(3), "text.proj.w": torch.zeros(2)}))
    weights = {"biomedclip": str(tmp_path / "own" / "w.safetensors")}
    asked = RunRequest(models=("biomedclip",), weights=weights, stages=("zero_shot",))
    said = []

    def find(request, fetch):
        (model,) = find_models(request, FileDigests(), lambda *rest: "fp32", fetch=fetch)
        return model.text

    assert "hf download" in find(replace(asked, offline=True), said.append).missing
    assert "hf download" in find(asked, None).missing
    assert server.asked == []
    found = find(asked, said.append)
    assert found.missing == ""
    assert found.parts.tokenizer.files["vocab.txt"].is_file()
    assert any("tokenizer of biomedclip to download: vocab.txt" in event.message for event in said)
    assert not any("pytorch_model.bin" in path for _, path, _ in server.asked)
    repositories[place] = GATED
    shutil.rmtree(tmp_path / "hf")
    refused = find(asked, said.append)
    assert refused.key is None
    assert "terms" in refused.missing or "gated" in refused.missing
