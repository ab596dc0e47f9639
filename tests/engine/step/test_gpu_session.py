"""Jobs on a GPU, on a stand-in that fails as CUDA does: first call, arithmetic, full memory, a broken context."""

from __future__ import annotations

import copy
import gc
import os
import subprocess
import sys
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from medvlm_tui.core.events import DeviceStatus, Log, ResultReady
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.encoder import NotFiniteError
from medvlm_tui.engine.encoders.registry import encoder_key, load_encoder
from medvlm_tui.engine.extract import batch_sizes, batches, precision
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.features.neighbours import cosine_neighbours, unit_rows
from medvlm_tui.engine.images import decoders
from medvlm_tui.engine.saliency.masking import Masking, hidden_pixels
from medvlm_tui.engine.saliency.masks import MaskStream
from medvlm_tui.engine.saliency.quality import perturbation_curves
from medvlm_tui.engine.step import device_memory, device_session, devices
from medvlm_tui.engine.step import worker as worker_module
from medvlm_tui.engine.step.device_memory import with_back_off
from medvlm_tui.engine.step.job import StepContext
from medvlm_tui.engine.step.worker import Worker
from medvlm_tui.errors import MedvlmError
from medvlm_tui.measures.calibration import Platt
from tests.made import broken_gpu
from tests.made.cuda import A100, BREAKING, FULL, GB, T4, V100, Card, Cuda, plug_in, stand_in
from tests.made.encoders import having
from tests.made.extraction import SPEC, job_of, make_images, make_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "images", 21)


@pytest.fixture
def cuda(monkeypatch):
    """One A100 that torch and the driver know of."""
    plug_in(monkeypatch, A100)
    yield stand_in(monkeypatch, Cuda())
    decoders.end_decoders()


def extracted(job, folder):
    """Return the events of an extraction and its table's matrix."""
    with Store(folder) as store:
        events = list(extract.run(job, StepContext(store, lambda: False)))
        return events, np.array(store.tables.read(job.step.key).matrix)


def on_cuda(job, **request):
    return replace(job, request=replace(job.request, device="cuda:0", **request))


# First call


def test_an_extraction_on_a_gpu_opens_it_before_anything_else_and_gives_the_cpus_features(
    dataset, weights, tmp_path, cuda
):
    job = job_of(dataset, weights)
    _, wanted = extracted(job, tmp_path / "cpu")
    assert cuda.calls == []
    events, features = extracted(on_cuda(job), tmp_path / "gpu")
    assert cuda.calls[:3] == ["set_device", "init", "allocate"]
    np.testing.assert_array_equal(features, wanted)
    assert next(event for event in events if isinstance(event, DeviceStatus)).device == "cuda:0"


def test_only_bytes_are_copied_ahead_and_one_batch_waits(dataset, weights, tmp_path, cuda):
    extracted(on_cuda(job_of(dataset, weights), batch_size=4), tmp_path / "store")
    assert {kind for thread, kind in cuda.copied if thread == "batches"} == {torch.uint8}
    drawn = []
    ahead = batches._prefetched(drawn.append(number) or number for number in range(9))
    assert next(ahead) == 0
    for _ in range(50):
        if len(drawn) == 3:
            break
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(drawn) == 3  # given out, waiting, and in the thread's hand
    ahead.close()


def test_memory_statistics_of_a_process_without_cuda_are_left_alone(cuda):
    from medvlm_tui.engine.extract import peak_memory

    with pytest.raises(RuntimeError, match="Invalid device argument"):
        torch.cuda.reset_peak_memory_stats("cuda:0")
    peak_memory.start_counting("cuda:0")
    device_session.open_device("cuda:0")
    peak_memory.start_counting("cuda:0")
    assert cuda.calls[-1] == "reset_peak_memory_stats"


@pytest.mark.parametrize(
    ("card", "arches", "served"),
    [
        (T4, ("sm_75", "sm_80"), True),
        (V100, ("sm_75", "sm_80"), False),
        (Card("A40", (8, 6)), ("sm_80", "sm_90"), True),
        (Card("H100", (9, 0)), ("sm_80", "sm_86"), False),
        (Card("H100", (9, 0)), ("sm_80", "compute_86"), True),
        (Card("B200", (10, 0)), ("sm_90a", "sm_100"), True),
        (Card("later", (12, 1)), ("sm_90a", "sm_120"), True),
        (Card("later", (12, 1)), ("sm_121a",), False),
    ],
)
def test_a_card_without_kernels_is_refused_with_the_fix(monkeypatch, card, arches, served):
    assert device_session.serves(list(arches), card.capability) is served
    cuda = stand_in(monkeypatch, Cuda((card,), arches))
    if served:
        device_session.open_device("cuda:0")
        assert cuda.initialised
        return
    with pytest.raises(MedvlmError, match="no kernels for compute capability") as refused:
        device_session.open_device("cuda:0")
    assert "install a torch built for it" in refused.value.hint


def test_whatever_torch_says_at_the_first_call_becomes_a_sentence(cuda):
    cuda.broken = torch.AcceleratorError("CUDA error: all CUDA-capable devices are busy or unavailable\nmore lines")
    with pytest.raises(MedvlmError) as refused:
        device_session.open_device("cuda:0")
    assert refused.value.message == (
        "torch cannot use cuda:0: CUDA error: all CUDA-capable devices are busy or unavailable"
    )


# Arithmetic

FLAGS = """
from medvlm_tui.engine.step import device_session
import torch
device_session.use_ieee_fp32()
print(torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision,
      torch.backends.cudnn.rnn.fp32_precision, torch._C._get_cublas_allow_tf32(), torch._C._get_cudnn_allow_tf32(),
      torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction)
"""


def test_fp32_is_ieee_even_where_the_environment_asked_torch_for_tf32():
    asked = {**os.environ, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    done = subprocess.run([sys.executable, "-c", FLAGS], env=asked, capture_output=True, text=True, check=True)
    # The older flags agree with the newer ones: where they do not, torch refuses to multiply.
    assert done.stdout.split() == ["ieee", "ieee", "ieee", "False", "False", "False"]


def test_the_environment_of_a_worker_asks_for_ieee_and_keeps_a_users_own_allocator_settings():
    environment = {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1", "NVIDIA_TF32_OVERRIDE": "1"}
    device_session.prepare_environment(environment)
    assert environment == {"NVIDIA_TF32_OVERRIDE": "0", "PYTORCH_ALLOC_CONF": "expandable_segments:True"}
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        environment = {name: "max_split_size_mb:64"}
        device_session.prepare_environment(environment)
        assert environment == {name: "max_split_size_mb:64", "NVIDIA_TF32_OVERRIDE": "0"}


def test_features_that_are_not_finite_are_found_by_encode_itself(weights):
    encoder = copy.copy(load_encoder(SPEC, weights, "", "cpu", "fp32"))
    plain, rows = encoder._forward, torch.tensor([[0.0], [float("inf")], [0.0], [float("nan")]])
    encoder._forward = lambda pixels: plain(pixels) + rows
    with pytest.raises(NotFiniteError, match="in fp32 tiny gives features that are not finite for 2 images") as found:
        encoder.encode(torch.zeros(4, 3, 32, 32))
    assert found.value.rows == (1, 3)


def test_an_extraction_names_the_images_whose_features_are_not_finite(dataset, weights, tmp_path, monkeypatch):
    encoder = load_encoder(SPEC, weights, "", "cpu", "fp32")
    plain, count = encoder._forward, [0]

    def overflowing(pixels):
        features, first = plain(pixels), count[0]
        count[0] += len(pixels)
        if first <= 6 < count[0]:
            features[6 - first] = torch.inf
        return features

    monkeypatch.setattr(encoder, "_forward", overflowing)
    job = job_of(dataset, weights, batch_size=4)
    with Store(tmp_path / "store") as store, pytest.raises(MedvlmError) as stopped:
        list(extract.run(job, StepContext(store, lambda: False, having(encoder))))
    assert stopped.value.message == "tiny gave features that are not finite for 1 images: 00006.jpg"
    decoders.end_decoders()


@pytest.mark.parametrize("low", ["bf16", "fp16"])
def test_a_gpus_low_precision_is_given_up_where_features_do_not_bear_it(weights, tmp_path, monkeypatch, cuda, low):
    plug_in(monkeypatch, A100 if low == "bf16" else T4)
    asked, machine = job_of(make_images(tmp_path / "none", 0), weights, precision="auto").request, devices.choose()
    assert (machine.device, machine.precision) == ("cuda:0", low)
    model = (SPEC, weights, "")
    with Store(tmp_path / "store") as store:

        def measure(job):
            (event,) = list(precision.run(job, StepContext(store, lambda: False)))
            return event.summary

        def verdict():
            store.measured.note("precision", precision.key_of(encoder_key(*model, "fp32"), machine), None)
            return precision.chosen(asked, machine, store, model, measure)

        assert precision.chosen(asked, machine, store, model, None) == low  # a dry run measures nothing
        monkeypatch.setattr(precision, "LEAST_COSINE", 0.9)
        assert verdict() == low
        monkeypatch.setattr(precision, "LEAST_COSINE", 1.1)
        assert verdict() == "fp32"
        monkeypatch.setattr(precision, "LEAST_COSINE", 0.9)
        _overflow_in(monkeypatch, low)
        assert verdict() == "fp32"
        noted = store.measured.of("precision", precision.key_of(encoder_key(*model, "fp32"), machine))
        assert noted == {"precision": "fp32", "cosine": 0.0}
        assert precision.chosen(replace(asked, precision=low), machine, store, model, None) == low


def _overflow_in(monkeypatch, low):
    from medvlm_tui.engine.encoders.network import NetworkEncoder

    plain = NetworkEncoder._autocast

    def overflowing(self):
        if self.precision == low:
            monkeypatch.setattr(self, "_forward", lambda pixels: torch.full((len(pixels), 256), torch.inf))
        return plain(self)

    monkeypatch.setattr(NetworkEncoder, "_autocast", overflowing)


def test_ct_clip_chooses_the_same_codes_under_autocast():
    from medvlm_tui.engine.encoders.models import ct_clip

    torch.manual_seed(0)
    codes, tokens = torch.randn(8192, 512), torch.randn(200, 512)
    network = ct_clip.CTViT()
    network.codes.data.copy_(codes[None])
    for name in ("to_patch_emb", "spatial_rel_pos_bias", "enc_spatial_transformer", "enc_temporal_transformer"):
        setattr(network, name, _Given(tokens if name == "to_patch_emb" else None))
    wanted = (torch.nn.functional.normalize(tokens.double()) @ torch.nn.functional.normalize(codes.double()).T).argmax(
        1
    )
    voxels = torch.zeros(1, 1, 50, 40, 400)  # 5 x 2 x 20 patches
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = network.code_numbers(voxels).flatten()
    assert torch.equal(found, wanted)


class _Given(torch.nn.Module):
    """Returns what it was made with, or what it is given."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def forward(self, first, *_):
        return first if self.tokens is None else self.tokens.reshape(1, 5, 2, 20, 512)


# Full memory


@pytest.mark.parametrize("error", FULL, ids=lambda error: str(error)[:40])
def test_every_face_of_a_full_gpu_is_backed_off_from(error):
    def work(part):
        if len(part) > 3:
            raise error
        return list(part)

    results, size = with_back_off(work, range(10), 8, lambda: None)
    assert [item for part in results for item in part] == list(range(10))
    assert size == 2


@pytest.mark.parametrize("error", [*BREAKING, RuntimeError("shape mismatch")], ids=lambda error: str(error)[:40])
def test_other_errors_are_not_taken_for_a_full_gpu(error):
    assert not device_memory.is_out_of_memory(error)


def test_memory_is_released_after_the_failed_attempt_has_let_go_of_it():
    class Activation:
        pass

    seen = []

    def work(part):
        held = Activation()
        seen.append(weakref.ref(held))
        if len(part) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return len(part)

    def release():
        gc.disable()  # it has to be gone without the collector's help
        alive.append(seen[-1]() is not None)
        gc.enable()

    alive: list[bool] = []
    with_back_off(work, range(2), 2, release)
    assert alive == [False]


@pytest.mark.parametrize("full", FULL[:2], ids=["allocator", "driver"])
def test_batches_that_do_not_fit_beside_the_network_go_over_in_parts(dataset, weights, tmp_path, cuda, full):
    job = on_cuda(job_of(dataset, weights), batch_size=16)
    _, wanted = extracted(job, tmp_path / "roomy")
    cuda.copied.clear()
    encoder = load_encoder(SPEC, weights, "", "cuda:0", "fp32")
    cuda.full, cuda.largest = full, 3 * (3 * 32 * 32 * 4)  # three images in float32, twelve in bytes
    with Store(tmp_path / "full") as store:
        events = list(extract.run(job, StepContext(store, lambda: False, having(encoder))))
        features = np.array(store.tables.read(job.step.key).matrix)
        assert store.tables.record(job.step.key)["provenance"]["batch_size"] == 2
    np.testing.assert_allclose(features, wanted, atol=1e-5)
    assert isinstance(events[-1], ResultReady)


def test_loading_into_a_full_gpu_says_how_full_it_is(weights, monkeypatch):
    cuda = stand_in(monkeypatch, Cuda((Card("T4", (7, 5), 16 * GB, taken=15 * GB),)))
    device_session.open_device("cuda:0")
    cuda.largest = 0
    with pytest.raises(MedvlmError) as refused:
        load_encoder(SPEC, weights, "", "cuda:0", "fp32")
    assert "tiny (fp32) does not fit into the memory of cuda:0: 1.1 of 17.2 GB are free" in refused.value.message
    assert "16.1 GB are taken by others" in refused.value.message
    assert "nvidia-smi" in refused.value.hint


def test_masks_that_do_not_fit_are_kept_in_main_memory_with_the_same_bits(weights, cuda):
    stream = MaskStream(7, 0.5, 0, 32, 32, True)
    wanted = stream.masks(0, 40, "cpu")
    assert torch.equal(stream.masks(0, 40, "cuda:0", keep_on="cpu"), wanted)
    encoder = load_encoder(SPEC, weights, "", "cuda:0", "fp32")
    pixels = torch.randn(1, 3, 32, 32)
    masking = Masking(encoder, _Sum(), stream, pixels, torch.zeros_like(pixels), 8)
    plain = np.concatenate(list(masking.scores(0, 40, lambda: None)))
    cuda.largest = 40 * 32 * 32 * 4  # all 48 masks of the padded chunk are more
    np.testing.assert_array_equal(np.concatenate(list(masking.scores(0, 40, lambda: None))), plain)
    assert cuda.emptied == 1


class _Sum:
    def scores(self, features):
        total = features.sum(axis=1).astype(np.float64)
        return np.column_stack([total, -total])


SCALING = Platt(np.full(2, -0.1), np.zeros(2))


def test_curves_and_blurred_fills_back_off(weights, monkeypatch):
    encoder = copy.copy(load_encoder(SPEC, weights, "", "cpu", "fp32"))
    torch.manual_seed(0)
    pixels = torch.randn(3, 3, 32, 32)
    hidden = hidden_pixels("blur", encoder, pixels)
    stream = MaskStream(7, 0.5, 0, 32, 32, True)
    values = np.random.default_rng(0).random((32, 32))
    wanted = perturbation_curves(Masking(encoder, _Sum(), stream, pixels, hidden, 32), 0, values, 0, SCALING)
    plain, pad, sizes = encoder.encode, torch.nn.functional.pad, []

    def crowded(batch):
        sizes.append(len(batch))
        if len(batch) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(batch)

    monkeypatch.setattr(encoder, "encode", crowded)
    masking = Masking(encoder, _Sum(), stream, pixels, hidden, 32)
    found = perturbation_curves(masking, 0, values, 0, SCALING)
    np.testing.assert_allclose(found["insertion_curve"], wanted["insertion_curve"], rtol=1e-5)
    assert np.ptp(wanted["insertion_curve"]) > 1e-3
    np.testing.assert_allclose(found["deletion_curve"], wanted["deletion_curve"], rtol=1e-5)
    assert masking.batch_size == 4
    assert sizes.count(17) == 1  # the second curve begins with what the first one found

    def narrow(batch, *rest, **named):
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return pad(batch, *rest, **named)

    monkeypatch.setattr(torch.nn.functional, "pad", narrow)
    torch.testing.assert_close(hidden_pixels("blur", encoder, pixels), hidden)


def test_neighbours_back_off_or_say_what_did_not_fit(monkeypatch, cuda):
    units = unit_rows(np.random.default_rng(0).normal(size=(900, 8)))
    wanted = cosine_neighbours(units, 5, lambda: None)
    position, plain = [], torch.Tensor.clamp_

    def crowded(self, *given, **named):
        position.append(len(self))
        if len(self) > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, *given, **named)

    monkeypatch.setattr(torch.Tensor, "clamp_", crowded)
    found = cosine_neighbours(units, 5, lambda: None, "cuda:0")
    np.testing.assert_array_equal(found.indices, wanted.indices)
    assert max(position[2:]) == 128
    cuda.largest = units.nbytes - 1
    with pytest.raises(MedvlmError, match="the search for neighbours does not fit into the memory of cuda:0"):
        cosine_neighbours(units, 5, lambda: None, "cuda:0")


def test_the_batch_probe_leaves_head_room_and_does_not_remember_a_neighbours_shortage(
    dataset, weights, tmp_path, monkeypatch, cuda
):
    device_session.open_device("cuda:0")
    job, machine = on_cuda(job_of(dataset, weights), batch_size=0), devices.Device("cuda:0", "A100", "fp32")
    encoder = load_encoder(SPEC, weights, "", "cuda:0", "fp32")
    peak, seen = [0], []

    def encode(pixels):
        seen.append(len(pixels))
        peak[0] = len(pixels) * GB // 2
        return torch.zeros(len(pixels), 256)

    ticks = iter(range(10**6))
    monkeypatch.setattr(encoder, "encode", encode)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _=None: peak[0])
    monkeypatch.setattr(batch_sizes.time, "perf_counter", lambda: float(next(ticks)))  # each batch takes one second
    with Store(tmp_path / "store") as store:
        key = batch_sizes.key_of(job, machine)
        # 64 images take 32 of 40 GB, 80 %; 128 would take more than there is.
        assert batch_sizes.chosen(job, store, encoder, machine) == 64
        assert store.measured.of("batch_size", key) == 64
        assert seen.count(64) == 6  # three timings, each after a first pass
        store.measured.note("batch_size", key, None)
        cuda.cards = (replace(A100, taken=20 * GB),)
        assert batch_sizes.chosen(job, store, encoder, machine) == 32
        assert store.measured.of("batch_size", key) is None
        cuda.cards = (A100,)
        assert batch_sizes.chosen(job, store, encoder, machine, 16) == 16
        assert cuda.emptied >= 3


# A broken context


@pytest.mark.parametrize("error", BREAKING, ids=lambda error: str(error)[:50])
def test_errors_that_break_the_context_are_told_from_others(error, cuda):
    assert device_session.broken_by(error) == ""  # a process without CUDA has no context
    device_session.open_device("cuda:0")
    assert device_session.broken_by(error) == str(error)
    wrapped = MedvlmError("it did not load")
    wrapped.__cause__ = error
    assert device_session.broken_by(wrapped) == str(error)


@pytest.mark.parametrize("error", [*FULL, RuntimeError("shape mismatch"), ValueError("CUDA error: of a file")])
def test_other_errors_leave_the_worker_running(error, cuda):
    device_session.open_device("cuda:0")
    assert device_session.broken_by(error) == ""


@pytest.mark.timeout(120)
def test_a_worker_whose_gpu_broke_leaves_and_is_started_again_once(tmp_path):
    worker, notes = Worker(tmp_path / "store", tmp_path / "worker.log"), tmp_path / "tried"
    try:
        events = list(worker.run(broken_gpu.job(notes, times=1), lambda: False))
        assert isinstance(events[-1], ResultReady)
        assert [event.message for event in events if isinstance(event, Log)] == [
            "the GPU failed (CUDA error: device-side assert triggered), and the worker process with it: "
            "it is started again, once"
        ]
        first, second = notes.read_text().split()
        assert first != second
        with pytest.raises(MedvlmError, match="device-side assert"):
            list(worker.run(broken_gpu.job(notes, times=9), lambda: False))
        assert notes.read_text().split()[0] == second  # it was still the one that worked
        assert len(notes.read_text().split()) == 2
        assert isinstance(list(worker.run(broken_gpu.job(notes, times=0), lambda: False))[-1], ResultReady)
    finally:
        worker.kill()
    assert "the process leaves after CUDA error: device-side assert" in (tmp_path / "worker.log").read_text()


def test_the_process_that_leaves_has_an_exit_code_of_its_own(tmp_path, monkeypatch):
    said, left = [], []
    monkeypatch.setattr(device_session, "broken_by", lambda error: str(error))
    monkeypatch.setattr(os, "_exit", left.append)
    job, error = broken_gpu.job(tmp_path / "tried", 0), RuntimeError("CUDA error: unspecified launch failure")
    worker_module._leave_if_broken(_Said(said), job, error, MedvlmError("RuntimeError: ...", "see the log"))
    assert left == [device_session.BROKEN_EXIT]
    assert isinstance(said[0], worker_module.Leaving)


class _Said:
    """A connection that keeps what is sent."""

    def __init__(self, said):
        self.send = said.append
