"""Extraction with a real network: the same bytes whoever decodes and on however many devices, and what a key holds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medvlm_tui.core.events import BlockStored, DeviceStatus, Event, Log, ResultReady
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.registry import encoder_key, load_encoder
from medvlm_tui.engine.extract import (
    batch_sizes,
    batches,
    precision,
    shard_step,
)
from medvlm_tui.engine.extract import (
    blocks as extract_blocks,
)
from medvlm_tui.engine.extract import (
    shards as extract_shards,
)
from medvlm_tui.engine.extract import (
    step as extract,
)
from medvlm_tui.engine.extract.step import pending
from medvlm_tui.engine.images.decoders import end_decoders
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_workers import DeviceWorkers
from medvlm_tui.engine.step.job import StepContext
from medvlm_tui.engine.step.resources import Resources
from medvlm_tui.engine.step.worker import Worker
from medvlm_tui.errors import Cancelled, MedvlmError
from tests.made import readers as made_readers
from tests.made.encoders import having, refusing
from tests.made.extraction import SIZE, SPEC, job_of, make_images, make_weights, moved


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images") / "made", 37)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(extract_blocks, "BLOCK_IMAGES", 16)
    monkeypatch.setattr(extract_shards, "BLOCK_IMAGES", 16)
    monkeypatch.setattr(extract, "BLOCK_IMAGES", 16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    end_decoders()


def run(job, place: Path, resources=None, cancelled=lambda: False) -> tuple[list[Event], bytes]:
    """Return the events and the sealed file's bytes."""
    with Store(place) as store:
        events = list(extract.run(job, StepContext(store, cancelled, resources or Resources())))
        return events, store.tables.tensor_path(job.step.key).read_bytes()


def test_the_same_bytes_from_every_run_with_one_and_with_three_decoders(dataset, weights, tmp_path) -> None:
    sealed = [
        run(job_of(dataset, weights, workers=workers), tmp_path / f"store{number}")[1]
        for number, workers in enumerate((1, 1, 3))
    ]
    assert sealed[0] == sealed[1] == sealed[2]


def test_rows_are_what_the_encoder_gives_image_by_image(dataset, weights, tmp_path) -> None:
    job = job_of(dataset, weights)
    run(job, tmp_path / "store")
    encoder = load_encoder(SPEC, weights, "", "cpu", "fp32")
    with Store(tmp_path / "store", read_only=True) as store:
        matrix = np.array(store.tables.read(job.step.key).matrix)
    for row, sample in list(zip(matrix, dataset.samples, strict=True))[::5]:
        alone = encoder.encode(encoder.preprocess(read_sample(sample))[None])[0].numpy()
        np.testing.assert_allclose(row, alone, rtol=1e-4, atol=1e-5)


def test_framed_bytes_scaled_in_a_batch_are_exactly_what_preprocess_gives(dataset, weights) -> None:
    from medvlm_tui.engine.images.framing import framed
    from medvlm_tui.engine.images.preprocess import Preprocess

    images = [read_sample(sample) for sample in dataset.samples[:4]]
    bytes_ = torch.stack([torch.from_numpy(np.array(framed(image, SIZE))) for image in images])
    one_by_one = torch.stack([Preprocess(SIZE)(image) for image in images])
    assert torch.equal(Preprocess(SIZE).batch(bytes_), one_by_one)


def test_an_encoder_with_a_preparation_of_its_own_is_given_whole_images(
    dataset, weights, tmp_path, monkeypatch
) -> None:
    plain = run(job_of(dataset, weights), tmp_path / "plain")[1]
    encoder = load_encoder(SPEC, weights, "", "cpu", "fp32")
    monkeypatch.setattr(type(encoder), "framing", None)
    assert run(job_of(dataset, weights), tmp_path / "own", having(encoder))[1] == plain


@pytest.mark.timeout(240)
def test_two_devices_store_the_same_bytes_and_only_what_is_missing(dataset, weights, tmp_path, monkeypatch) -> None:
    job = job_of(dataset, weights)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    _, alone = run(job, tmp_path / "one")
    two = tuple(devices.Device("cpu", name, "fp32") for name in ("first", "second"))
    monkeypatch.setattr(devices, "every", lambda *_: two)
    resources = Resources()
    try:
        events, shared = run(job, tmp_path / "ws" / "store", resources)
        assert shared == alone
        assert sorted(event.rows for event in events if isinstance(event, BlockStored)) == [
            16,
            21,
        ]  # their own blocks hold 256
        assert isinstance(events[-1], ResultReady)
        pids = {worker._process.pid for worker in resources.of(DeviceWorkers)._workers.values()}
        assert len(pids) == 2
        # The processes are kept: another dataset of the model loads nothing.
        other = replace(dataset, samples=dataset.samples[::-1], view="reversed")
        run(replace(job, dataset=other, step=replace(job.step, key="other")), tmp_path / "ws" / "store", resources)
        assert pids == {worker._process.pid for worker in resources.of(DeviceWorkers)._workers.values()}
    finally:
        resources.close()


def test_all_devices_use_the_batch_size_that_the_first_one_measured(dataset, weights, tmp_path) -> None:
    asked: list[dict] = []

    class First(DeviceWorkers):
        def get(self, store, number):
            assert number == 0
            return self

        def run(self, job, cancelled):
            asked.append(dict(job.step.params))
            yield ResultReady(job.step.id, "extract_shard", "", summary={"batch_size": 24})

    machines = tuple(devices.Device(name, name, "fp32") for name in ("cuda:0", "cuda:1"))
    job = job_of(dataset, weights, batch_size=0, workers=4)
    with Store(tmp_path / "store") as store:
        progress = extract_blocks.Progress("x", 37, 0)
        context = StepContext(store, lambda: False, Resources({DeviceWorkers: First()}))
        work = extract_blocks.Extraction(job, context, machines[0], dataset.samples, progress)
        assert list(extract_shards._measure_batch_size(work, machines[0])) == []
        assert [shard.request.batch_size for shard in extract_shards._jobs(work, machines)] == [24, 24]
        assert asked == [{"device": "cuda:0", "only_measure": True}]
        (measured,) = shard_step.run(
            replace(job, step=replace(job.step, params={"device": "cpu", "only_measure": True})), work.context
        )
    assert measured.summary == {"batch_size": 16}  # a block here; 32 without it


@pytest.mark.parametrize(
    ("cores", "gpus", "asked", "dealt"),
    [
        (128, 8, 0, [15] * 8),
        (256, 8, 0, [16] * 8),
        (16, 8, 0, [1] * 8),
        (19, 4, 0, [4, 4, 4, 3]),
        (2, 4, 0, [1] * 4),
        (16, 1, 0, [15]),
        (64, 4, 10, [3, 3, 2, 2]),
    ],
)
def test_all_cores_but_one_per_gpu_decode(dataset, monkeypatch, cores, gpus, asked, dealt) -> None:
    monkeypatch.setattr(batches, "cores", lambda: cores)
    assert batches.workers_per_device("cuda:0", dataset.samples, gpus, asked) == dealt


def test_blocks_are_dealt_out_whole(dataset) -> None:
    dealt = extract_shards.shares(dataset.samples, 2)
    assert [[s.id for s in share] for share in dealt] == [
        [s.id for s in (*dataset.samples[:16], *dataset.samples[32:])],
        [s.id for s in dataset.samples[16:32]],
    ]
    assert len(extract_shards.shares(dataset.samples[:10], 4)) == 1


def test_images_that_are_stored_are_neither_decoded_nor_is_the_model_loaded(
    dataset, weights, tmp_path, monkeypatch
) -> None:
    run(job_of(dataset, weights), tmp_path / "store")
    monkeypatch.setattr(extract_blocks, "decoders", lambda *_: pytest.fail("decoders were started"))
    binary = replace(dataset, view="binary", samples=dataset.samples[:20])
    job = replace(job_of(binary, weights), step=replace(job_of(dataset, weights).step, key="view"))
    run(job, tmp_path / "store", refusing())
    with Store(tmp_path / "store", read_only=True) as store:
        assert len(store.tables.read("view").ids) == 20
        assert store.tables.record("view")["provenance"]["computed"] == 0


def test_renaming_and_moving_images_computes_nothing_again(dataset, weights, tmp_path) -> None:
    run(job_of(dataset, weights), tmp_path / "store")
    run(job_of(moved(dataset, tmp_path / "elsewhere"), weights), tmp_path / "store", refusing())


@pytest.mark.parametrize(
    ("change", "weights_digest"),
    [
        ({"preprocess": replace(SIZE, resize_px=40)}, ""),
        ({"preprocess": replace(SIZE, interpolation="bilinear")}, ""),
        ({"preprocess": replace(SIZE, mean=(0.4, 0.5, 0.5))}, ""),
        ({"features": {"tokens": 256}}, ""),
        ({"architecture": "test_resnet"}, ""),
        ({"options": {"arguments": {"global_pool": "max"}}}, ""),
        ({}, "another checkpoint"),
    ],
)
def test_what_changes_features_changes_the_key(weights, change, weights_digest) -> None:
    before = encoder_key(SPEC, weights, "", "fp32").digest
    found = replace(weights, digest=weights_digest or weights.digest)
    assert encoder_key(replace(SPEC, **change), found, "", "fp32").digest != before
    assert encoder_key(SPEC, weights, "", "bf16").digest != before
    assert encoder_key(SPEC, replace(weights, path=Path("/elsewhere")), "", "fp32").digest == before


def test_a_batch_size_halved_for_lack_of_memory_holds_for_the_step_and_no_longer(
    dataset, weights, tmp_path, monkeypatch
) -> None:
    encoder = load_encoder(SPEC, weights, "", "cpu", "fp32")
    plain = encoder.encode
    seen = []

    def small(pixels):
        seen.append(len(pixels))
        if len(pixels) > 5:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
        return plain(pixels)

    monkeypatch.setattr(encoder, "encode", small)
    job = job_of(dataset, weights, batch_size=0)
    run(job, tmp_path / "store", having(encoder))
    assert [size for size in seen if size > 5] == seen[
        : sum(size > 5 for size in seen)
    ]  # never again after the first part
    assert max(seen) > 5
    with Store(tmp_path / "store") as store:
        assert store.measured.of("batch_size", batch_sizes.key_of(job, devices.choose("cpu"))) is None
    monkeypatch.setattr(encoder, "encode", lambda pixels: seen.append(len(pixels)) or plain(pixels))
    seen.clear()
    with Store(tmp_path / "store") as store:
        for key in store.keys("block/"):
            store.discard(key)
        context = StepContext(store, lambda: False, having(encoder))
        list(extract.run(replace(job, step=replace(job.step, key="again")), context))
    assert max(seen) > 5


def test_bf16_is_chosen_on_a_cpu_that_has_it_only_where_the_features_bear_it(weights, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(devices, "cpu_has_bf16", lambda: True)
    asked = job_of(make_images(tmp_path / "none", 0), weights, precision="auto").request
    machine = devices.choose("cpu", "auto")
    with Store(tmp_path / "store") as store:

        def measure(job):
            (event,) = list(precision.run(job, StepContext(store, lambda: False)))
            return event.summary

        model = (SPEC, weights, "")
        assert precision.chosen(asked, machine, store, model, None) == "fp32"  # a dry run measures nothing
        found = precision.chosen(asked, machine, store, model, measure)
        noted = store.measured.of("precision", precision.key_of(encoder_key(*model, "fp32"), machine))
        assert found == noted["precision"] == ("bf16" if noted["cosine"] >= 0.9995 else "fp32")
        assert 0.9 < noted["cosine"] < 1.0
        known = lambda _: pytest.fail("measured twice")  # noqa: E731
        assert precision.chosen(asked, machine, store, model, known) == found
        monkeypatch.setattr(precision, "LEAST_COSINE", 1.0)
        store.measured.note("precision", precision.key_of(encoder_key(*model, "fp32"), machine), None)
        assert precision.chosen(asked, machine, store, model, measure) == "fp32"
        assert (
            precision.chosen(replace(asked, precision="bf16"), devices.choose("cpu", "bf16"), store, model, None)
            == "bf16"
        )


def test_an_image_that_kills_its_decoders_is_quarantined_and_the_run_ends(
    dataset, weights, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(extract_blocks, "read_sample", made_readers.crashing)
    events, _ = run(job_of(dataset, weights), tmp_path / "store")
    warnings = [event.message for event in events if isinstance(event, Log)]
    assert len(warnings) == 2
    assert "00004.jpg: the image is tried once more" in warnings[0]
    assert "00004.jpg is left out: decoding it killed 2 processes (signal SIGSEGV; signal SIGSEGV)" in warnings[1]
    with Store(tmp_path / "store", read_only=True) as store:
        table = store.tables.read(job_of(dataset, weights).step.key)
    assert len(table.ids) == 36
    assert "SIGSEGV" in table.failed["00004.jpg"]


def test_batches_are_drawn_ahead_in_order_and_errors_reach_the_reader() -> None:
    drawn = []

    def source():
        for number in range(5):
            drawn.append(number)
            yield number
        raise ValueError("the last word")

    ahead = batches._prefetched(source())
    assert [next(ahead) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="the last word"):
        next(ahead)
    drawn.clear()
    closed = batches._prefetched(source())
    assert next(closed) == 0
    closed.close()
    assert len(drawn) < 5
    assert not [thread for thread in threading.enumerate() if thread.name == "batches"]


@pytest.mark.parametrize(
    ("images_per_second", "fits", "expected"),
    [
        ({8: 100, 16: 190, 32: 300, 64: 310, 128: 400}, 256, (32, False)),  # 64 is 3 % faster: not worth its memory
        ({8: 100, 16: 190, 32: 380, 64: 700}, 32, (32, True)),
        ({8: 100}, 4, (1, True)),
    ],
)
def test_the_probe_stops_where_a_larger_batch_gains_nothing_or_does_not_fit(images_per_second, fits, expected) -> None:
    def seconds(size: int) -> float:
        if size > fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return size / images_per_second[size]

    assert batch_sizes.probed(seconds, 256) == expected


@pytest.mark.parametrize(
    ("device", "size_px", "expected"), [("cpu", 224, 3566), ("cuda:0", 1520, 25), ("cpu", 20_000, 1)]
)
def test_what_is_decoded_at_a_time_fits_into_the_decoders_memory(device, size_px, expected) -> None:
    assert batches.largest_batch(device, size_px) == expected


def test_cancel_is_heard_while_images_are_decoded(dataset, weights, tmp_path) -> None:
    with pytest.raises(Cancelled):
        run(job_of(dataset, weights), tmp_path / "store", cancelled=lambda: True)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_worker_that_dies_is_started_again_once_and_then_the_step_fails(dataset, weights, tmp_path) -> None:
    worker = Worker(tmp_path / "store", tmp_path / "worker.log")
    try:
        events, deaths = [], 0
        for event in worker.run(job_of(dataset, weights), lambda: False):
            events.append(event)
            if isinstance(event, BlockStored) and not deaths:
                deaths += 1
                os.kill(worker._process.pid, signal.SIGKILL)
        assert isinstance(events[-1], ResultReady)
        assert [event.message for event in events if isinstance(event, Log)] == [
            "the worker process died (signal SIGKILL): it is started again, once"
        ]
        assert sum(event.rows for event in events if isinstance(event, BlockStored)) in (37, 37 + 16)
        killed = []

        def kill() -> bool:
            if worker._process is not None and worker._process.pid not in killed:
                killed.append(worker._process.pid)
                os.kill(worker._process.pid, signal.SIGKILL)
            return False

        fresh = replace(job_of(dataset, weights), encoder=replace(job_of(dataset, weights).encoder, model="other"))
        with pytest.raises(MedvlmError, match="SIGKILL"):
            list(worker.run(fresh, kill))
        assert len(killed) == 2
    finally:
        worker.kill()
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_process_stays_when_the_one_that_keeps_the_plan_is_killed_in_a_step(dataset, weights, tmp_path) -> None:
    received, said = os.pipe()
    child = os.fork()
    if child == 0:
        worker = Worker(tmp_path / "store", tmp_path / "worker.log")
        events = worker.run(job_of(dataset, weights, workers=2), lambda: False)
        while not isinstance(next(events), DeviceStatus):
            pass
        os.write(said, f"{worker._process.pid}\n".encode())
        time.sleep(200)
        os._exit(0)
    pid = int(os.read(received, 100))
    started = [pid, *_children(pid)]
    assert len(started) == 3  # the worker and its decoders
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while any(_alive(each) for each in started):
        time.sleep(0.05)  # pytest's own limit of time is the failure


def _children(pid: int) -> list[int]:
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [number for number in numbers if _stat(number)[1:2] == [str(pid)]]


def _alive(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], ["Z"])


def _stat(pid: int) -> list[str]:
    """Return what /proc says of a process from its state on: state, parent, ...; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def test_pending_is_one_sample_an_image(dataset) -> None:
    doubled = replace(dataset, samples=(*dataset.samples, *dataset.samples))
    assert pending(doubled, {}) == list(dataset.samples)
