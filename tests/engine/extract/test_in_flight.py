"""One batch in flight on a GPU, on a stand-in: launched before the last one is read, the same rows, blocks in order."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from medvlm_tui.core.events import BlockStored
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.launched import InFlight, OnTheWay, Ready, launch
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.registry import load_encoder
from medvlm_tui.engine.extract import blocks
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.extract.block_writer import block_writer
from medvlm_tui.engine.images import decoders
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.engine.saliency.masking import Masking
from medvlm_tui.engine.saliency.masks import MaskStream
from medvlm_tui.engine.step.job import StepContext
from medvlm_tui.errors import MedvlmError
from tests.made.cuda import A100, Cuda, plug_in, stand_in
from tests.made.extraction import SPEC, job_of, make_images, make_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "images", 22)


@pytest.fixture
def cuda(monkeypatch):
    plug_in(monkeypatch, A100)
    yield stand_in(monkeypatch, Cuda())
    decoders.end_decoders()


@pytest.fixture
def order(monkeypatch):
    """Names of what the device loop does, in order: `launch 0`, `read 0`, ..."""
    said: list[str] = []
    numbers: dict[int, int] = {}
    plain_launch, plain_read = NetworkEncoder.launch, OnTheWay.features

    def launching(self, pixels):
        made = plain_launch(self, pixels)
        numbers[id(made)] = len(numbers)
        made.kept = made  # so that no other gets its id
        said.append(f"launch {numbers[id(made)]}")
        return made

    def reading(self):
        said.append(f"read {numbers[id(self)]}")
        return plain_read(self)

    monkeypatch.setattr(NetworkEncoder, "launch", launching)
    monkeypatch.setattr(OnTheWay, "features", reading)
    return said


def extracted(job, folder):
    with Store(folder) as store:
        events = list(extract.run(job, StepContext(store, lambda: False)))
        return events, np.array(store.tables.read(job.step.key).matrix)


def on_cuda(job):
    return replace(job, request=replace(job.request, device="cuda:0"))


def test_the_next_batch_is_launched_before_the_last_one_is_read(dataset, weights, tmp_path, cuda, order, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_IMAGES", 8)
    job = job_of(dataset, weights, batch_size=4)
    plain, wanted = extracted(job, tmp_path / "cpu")
    assert order == []  # on a CPU nothing is in flight
    events, features = extracted(on_cuda(job), tmp_path / "gpu")
    np.testing.assert_array_equal(features, wanted)
    between = [name for number in range(1, 6) for name in (f"launch {number}", f"read {number - 1}")]
    assert order == ["launch 0", *between, "read 5"]  # across the ends of blocks too
    blocks_of = [[(each.rows, each.key) for each in seen if isinstance(each, BlockStored)] for seen in (plain, events)]
    assert blocks_of[0] == blocks_of[1]
    assert [rows for rows, _ in blocks_of[1]] == [8, 8, 6]


def test_features_that_are_not_finite_name_their_own_images_one_batch_later(
    dataset, weights, tmp_path, cuda, monkeypatch
):
    plain, seen = NetworkEncoder._computed, [0]

    def overflowing(self, pixels):
        features, first = plain(self, pixels), seen[0]
        seen[0] += len(pixels)
        return torch.where(torch.arange(first, seen[0])[:, None] == 6, torch.inf, features)

    monkeypatch.setattr(NetworkEncoder, "_computed", overflowing)
    with pytest.raises(MedvlmError) as stopped:
        extracted(on_cuda(job_of(dataset, weights, batch_size=4)), tmp_path / "store")
    assert stopped.value.message == "tiny gave features that are not finite for 1 images: 00006.jpg"


def test_masked_images_are_launched_one_batch_ahead_with_the_same_scores(weights, cuda, order):
    class Sum:
        def scores(self, features):
            total = features.sum(axis=1).astype(np.float64)
            return np.column_stack([total, -total])

    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    stream = MaskStream(7, 0.5, 0, 32, 32, True)
    found = []
    for device in ("cpu", "cuda:0"):
        encoder = load_encoder(SPEC, weights, "", device, "fp32")
        masking = Masking(encoder, Sum(), stream, pixels, torch.zeros_like(pixels), 16)
        found.append(np.concatenate(list(masking.scores(0, 40, lambda: None))))
    np.testing.assert_array_equal(found[1], found[0])
    between = [name for number in range(1, 6) for name in (f"launch {number}", f"read {number - 1}")]
    assert order == ["launch 0", *between, "read 5"]


def test_what_scales_the_bytes_is_copied_to_a_device_once(monkeypatch):
    """A copy from pageable memory waits for the network's last batch."""
    copied, plain = [], torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, *given, **named: copied.append(self) or plain(self, *given, **named)
    )
    spec = replace(SPEC.preprocess, mean=(0.11, 0.22, 0.33))
    pixels = torch.arange(2 * 2 * 2 * 3, dtype=torch.uint8).view(2, 2, 2, 3)
    counts = []
    for _ in range(3):
        copied.clear()
        scaled = Preprocess(spec).batch(pixels)
        counts.append(sum(tensor.shape == (3, 1, 1) for tensor in copied))
    assert counts == [2, 0, 0]
    wanted = (pixels.double().permute(0, 3, 1, 2) / 255 - torch.tensor(spec.mean).double().view(3, 1, 1)) / 0.5
    torch.testing.assert_close(scaled.double(), wanted, rtol=0, atol=1e-6)


def test_an_encoder_that_cannot_launch_is_read_at_once(cuda):
    class Plain:
        device = "cuda:0"

        def encode(self, pixels):
            return pixels.flatten(1)

    launched = launch(Plain(), torch.ones(2, 3, 1, 1))
    assert isinstance(launched, Ready)
    assert launched.features().tolist() == [[1, 1, 1], [1, 1, 1]]


def test_at_most_one_is_in_flight():
    gpu, cpu = InFlight("cuda:1"), InFlight("cpu")
    assert [gpu.add(number) for number in range(4)] == [[], [0], [1], [2]]
    assert (gpu.rest(), gpu.rest()) == ([3], [])
    assert [cpu.add(number) for number in range(3)] == [[0], [1], [2]]
    assert cpu.rest() == []


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_blocks_are_stored_in_order_and_told_when_they_are_durable(device):
    stored, threads = [], set()

    def put(digests, rows):
        threads.add(threading.current_thread())
        stored.append(digests)
        return f"key {digests[0]}"

    told = []
    with block_writer(device, put) as writer:
        for number in range(3):
            told += writer.write([str(number)], np.zeros((1, 2), np.float32))
            assert len(told) <= len(stored)
        told += writer.finish()
    assert told == [(f"key {number}", 1) for number in range(3)]
    assert stored == [["0"], ["1"], ["2"]]
    assert (threading.main_thread() in threads) == (device == "cpu")


def test_a_full_disk_stops_the_step_that_writes_beside_a_gpu(dataset, weights, tmp_path, cuda, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_IMAGES", 8)
    plain, written = Store.put_block, []

    def put_block(self, encoder, digests, rows):
        if written:
            raise MedvlmError("the disk is full")
        written.append(digests)
        return plain(self, encoder, digests, rows)

    monkeypatch.setattr(Store, "put_block", put_block)
    with pytest.raises(MedvlmError, match="the disk is full"):
        extracted(on_cuda(job_of(dataset, weights, batch_size=4)), tmp_path / "store")
    assert len(written) == 1


def test_an_own_preparation_takes_one_core_for_each_of_its_threads(dataset, weights, tmp_path, monkeypatch):
    encoder = load_encoder(SPEC, weights, "", "cpu", "fp32")
    plain, seen = type(encoder).preprocess, set()

    def preparing(self, image):
        seen.update(each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas")
        return plain(self, image)

    monkeypatch.setattr(type(encoder), "preprocess", preparing)
    monkeypatch.setattr(type(encoder), "framing", None)
    with threadpool_limits(2, user_api="blas"):
        extracted(job_of(dataset, weights), tmp_path / "store")
        after = {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
    assert seen == {1}
    assert after == {2}
    decoders.end_decoders()
