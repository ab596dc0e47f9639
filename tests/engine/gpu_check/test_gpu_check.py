"""The quick checks of a GPU: on the CPU against itself, and on stand-ins that are wrong in one way each."""

from __future__ import annotations

import json

import pytest
import torch

from medvlm_tui.cli import main
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.gpu_check import networks, quick
from medvlm_tui.engine.saliency.masks import MaskStream
from tests.made.cuda import Cuda, stand_in


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Networks of 32 px that take no time."""
    monkeypatch.setattr(networks, "_NETWORKS", {"cnn": ("test_resnet", 96), "vit": ("test_vit", 64)})
    monkeypatch.setattr(networks, "SIZE", networks.PreprocessSpec(160, 160))


def outcomes(device="cpu", precision="bf16"):
    return {check.name: check.outcome for check in quick.quick_checks(device, precision)}


def test_a_cpu_agrees_with_itself_and_says_what_it_could_not_do(monkeypatch):
    monkeypatch.setattr(quick, "first_touch", lambda device: quick.Check("first touch", "ok", device))
    found = {check.name: check for check in quick.quick_checks("cpu", "fp32")}
    assert {name: check.outcome for name, check in found.items()} == {
        "first touch": "ok", "fp32 products": "ok", "scaled bytes": "ok", "masks": "ok", "features": "ok",
        "full memory": "skipped",
    }  # fmt: skip
    assert found["features"].figures["vit fp32 error"] == 0.0


def test_products_in_tf32_are_noticed(monkeypatch):
    def rounded(values):
        return (values.view(torch.int32) & ~0x1FFF).view(torch.float32)  # the 10 bits that TF32 keeps

    plain = torch.nn.functional.conv2d
    monkeypatch.setattr(
        torch.nn.functional,
        "conv2d",
        lambda x, k: plain(rounded(x), rounded(k)) if x.dtype == torch.float32 else plain(x, k),
    )
    check = quick.ieee_products("cpu")
    assert check.outcome == "failed"
    assert check.figures["product"] < 1e-5 < 1e-4 < check.figures["convolution"]


def test_other_features_other_masks_and_errors_are_noticed(monkeypatch):
    monkeypatch.setattr(quick, "first_touch", lambda device: 1 / 0)
    plain, calls = NetworkEncoder.encode, []

    def drifting(self, pixels):
        calls.append(1)
        return plain(self, pixels) + 1e-3 * len(calls)

    monkeypatch.setattr(NetworkEncoder, "encode", drifting)
    masks, made = MaskStream.masks, []

    def shifted(self, *given, **named):
        made.append(1)
        return masks(self, *given, **named) + 1e-5 * len(made)

    monkeypatch.setattr(MaskStream, "masks", shifted)
    found = outcomes(precision="fp32")
    assert [name for name, outcome in found.items() if outcome == "failed"] == ["first touch", "masks", "features"]


def test_a_full_memory_is_filled_and_survived(monkeypatch):
    stand_in(monkeypatch, Cuda())
    monkeypatch.setattr(quick, "memory_of", lambda _: (quick._LEFT_BYTES + 10, 1 << 30, 0))
    sizes = []

    def crowded(self, pixels):
        sizes.append(len(pixels))
        if len(pixels) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pixels.mean(dim=(2, 3))

    monkeypatch.setattr(NetworkEncoder, "encode", crowded)
    check = quick.full_memory("cuda:0")
    assert (check.outcome, check.figures["batch"]) == ("ok", 32.0)
    assert 512 in sizes


@pytest.mark.timeout(120)
def test_the_first_touch_is_a_process_of_its_own():
    check = quick.first_touch("cuda:0")
    if torch.cuda.is_available():
        assert check.outcome == "ok"
    else:
        assert check.outcome == "failed"
        assert "torch cannot use cuda:0" in check.detail


def test_doctor_runs_the_checks_and_fails_where_one_does(monkeypatch, tmp_path, capsys):
    def checks(device, precision):
        yield quick.Check("fp32 products", "ok", f"on {device}")
        yield quick.Check("features", "failed", "too far apart")

    monkeypatch.setattr(quick, "quick_checks", checks)
    code = main(["--workspace", str(tmp_path), "--offline", "doctor", "--gpu", "--device", "cpu", "--json"])
    found = {each["what"]: each for each in json.loads(capsys.readouterr().out)}
    assert code == 1
    assert found["GPU"]["detail"].startswith("there is none to test")
    assert found["features"]["state"] == "failed"
    assert "report it" in found["features"]["fix"]
