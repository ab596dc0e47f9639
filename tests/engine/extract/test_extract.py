"""Extraction with a stub encoder on real image files: blocks, resume, duplicates, failures, back-off."""

from __future__ import annotations

import queue
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.events import BlockStored, DeviceStatus, Log, ResultReady, StepProgress
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, ModelSpec, PreprocessSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.checkpoints.load_report import LoadReport
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.extract import blocks as extract_blocks
from medvlm_tui.engine.extract import shards as extract_shards
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import Cancelled, MedvlmError
from medvlm_tui.stages.request import RunRequest
from tests.made.encoders import having

SIZE = PreprocessSpec(8, 8)
MODEL = ModelSpec("stub", "Stub", "general", "stub", "stub", "bring", SIZE, {"mean": 3})
KEY = EncoderKey("stub", "w", SIZE.digest, "mean", "fp32", "1")


class StubEncoder:
    """Mean colour, counting the images it saw."""

    spec, feature, device, parameters = MODEL, "mean", "cpu", 0
    framing = SIZE
    report = LoadReport({"a", "b", "text"}, {"a", "b"}, ["head"])

    def __init__(self):
        self.batches = []
        self.fits = 10_000
        self.bad = None

    def preprocess(self, image):
        return Preprocess(SIZE)(image)

    def display(self, pixels):
        return Preprocess(SIZE).display(pixels)

    def encode(self, pixels):
        if len(pixels) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.batches.append(len(pixels))
        features = pixels.mean((2, 3))
        if self.bad is not None:
            features[torch.isclose(features[:, 0], torch.tensor(self.bad / 255), atol=1e-4)] = float("nan")
        return features


@pytest.fixture
def encoder():
    return StubEncoder()


def dataset_of(folder, greys, damaged=()):
    folder.mkdir(exist_ok=True)
    samples = []
    for number, grey in enumerate(greys):
        path = folder / f"{number:03}.png"
        Image.new("RGB", (9, 11), (grey, grey, grey)).save(path)
        if number in damaged:
            path.write_bytes(path.read_bytes()[:-30])
        samples.append(Sample(path.name, path, "ab"[number % 2], "", "", of_file(path)))
    return Dataset(DatasetSpec("made", "Made", "none", "class_folders"), folder, "default", tuple(samples), ("a", "b"))


def job_of(dataset, **request):
    step = Step("extract:stub:made", "extract", "stub", "made", {}, "sealed-key")
    weights = Weights("present", digest="w")
    return CellJob(step, RunRequest(device="cpu", **{"batch_size": 4, **request}), dataset, MODEL, weights, KEY)


def run(job, store, encoder, cancelled=lambda: False):
    return list(extract.run(job, StepContext(store, cancelled, having(encoder))))


def test_a_table_in_the_datasets_order_with_provenance(tmp_path, encoder):
    dataset = dataset_of(tmp_path / "d", [10 * i for i in range(11)])
    with Store(tmp_path / "store") as store:
        events = run(job_of(dataset), store, encoder)
        table = store.tables.read("sealed-key")
    assert table.ids == tuple(s.id for s in dataset.samples)
    assert table.labels == tuple("abababababa")
    np.testing.assert_allclose(table.matrix[:, 1], np.arange(11) * 10 / 255, atol=1e-6)
    assert table.matrix.dtype == np.float32
    assert table.dataset_digest == dataset.digest
    assert encoder.batches == [4, 4, 3]
    assert isinstance(events[0], DeviceStatus)
    assert isinstance(events[-1], ResultReady)
    assert events[-1].key == "sealed-key"
    assert events[-1].summary["rows"] == 11
    assert events[-1].summary["dim"] == 3
    assert {"versions", "device", "precision", "batch_size", "images_per_second", "threads"} <= set(table.provenance)
    assert table.provenance["tensors"] == {"used": 2, "skipped": 1, "absent": 1}
    progress = [e for e in events if isinstance(e, StepProgress)]
    assert progress[0].done == 0
    assert 0 < progress[-1].waiting <= 1
    assert events[0].workers >= 1
    assert progress[-1].done == progress[-1].total == 11


def test_batches_never_cross_a_block_and_a_second_run_computes_nothing(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(extract_blocks, "BLOCK_IMAGES", 6)
    dataset = dataset_of(tmp_path / "d", range(20, 34))
    with Store(tmp_path / "store") as store:
        events = run(job_of(dataset), store, encoder)
        assert encoder.batches == [4, 2, 4, 2, 2]
        assert [e.rows for e in events if isinstance(e, BlockStored)] == [6, 6, 2]
        encoder.batches.clear()
        run(job_of(dataset), store, encoder)
        assert encoder.batches == []


def test_a_cancelled_run_goes_on_at_the_last_block(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(extract_blocks, "BLOCK_IMAGES", 4)
    dataset = dataset_of(tmp_path / "d", range(12))
    with Store(tmp_path / "store") as store:
        with pytest.raises(Cancelled):
            run(job_of(dataset), store, encoder, cancelled=lambda: len(encoder.batches) >= 2)
        assert "sealed-key" not in store.tables
        run(job_of(dataset), store, encoder)
        assert encoder.batches == [4, 4, 4]
        assert len(store.tables.read("sealed-key").ids) == 12


def test_identical_files_are_computed_once(tmp_path, encoder):
    dataset = dataset_of(tmp_path / "d", [5, 9, 5, 9, 5])
    with Store(tmp_path / "store") as store:
        run(job_of(dataset), store, encoder)
        table = store.tables.read("sealed-key")
    assert sum(encoder.batches) == 2
    assert len(table.ids) == 5
    np.testing.assert_array_equal(table.matrix[0], table.matrix[4])


def test_a_truncated_file_costs_itself(tmp_path, encoder):
    dataset = dataset_of(tmp_path / "d", range(9), damaged=[3])
    with Store(tmp_path / "store") as store:
        events = run(job_of(dataset), store, encoder)
        table = store.tables.read("sealed-key")
    assert "003.png" not in table.ids
    assert len(table.ids) == 8
    assert list(table.failed) == ["003.png"]
    warnings = [e for e in events if isinstance(e, Log)]
    assert len(warnings) == 1
    assert "003.png" in warnings[0].message
    assert events[-1].summary["failed"] == 1
    progress = [e for e in events if isinstance(e, StepProgress)]
    assert (progress[0].quarantined, progress[-1].quarantined) == (0, 1)


def test_the_time_until_a_batch_is_decoded_is_counted_and_no_other(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(extract_blocks, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def decoded():
        for _ in range(3):
            now[0] += 3.0
            yield "batch"

    progress = extract_blocks.Progress("step", 12, 0)
    assert (progress.start().waiting, progress.quarantined) == (None, 0)
    said = []
    for _ in progress.timed(decoded()):
        now[0] += 1.0  # the network
        said += progress.add(4, quarantined=1)
    assert [event.waiting for event in said] == [0.75, 0.75, 0.75]
    assert [event.quarantined for event in said] == [1, 2, 3]
    assert progress.waited_s == 9.0


def test_shards_wait_on_average_and_leave_images_out_together():
    said = [
        (0, StepProgress("step", 4, 8, 1.0, waiting=0.1, quarantined=0)),
        (1, StepProgress("step", 3, 7, 1.0, waiting=0.5, quarantined=2)),
        (0, StepProgress("step", 8, 8, 1.0, waiting=0.3, quarantined=1)),
        (0, None),
        (1, StepProgress("step", 7, 7, 1.0, waiting=0.5, quarantined=2)),
        (1, None),
    ]
    waiting = queue.Queue()
    for word in said:
        waiting.put(word)
    progress = extract_blocks.Progress("step", 15, 0)
    progress.start()
    events = list(extract_shards._merged(SimpleNamespace(progress=progress), waiting, 2))
    assert events[0].done == 4
    assert (events[-1].done, events[-1].quarantined) == (15, 3)
    assert events[-1].waiting == pytest.approx(0.4)


def test_no_readable_image_at_all_is_an_error(tmp_path, encoder):
    dataset = dataset_of(tmp_path / "d", range(3), damaged=range(3))
    with Store(tmp_path / "store") as store, pytest.raises(MedvlmError, match="none of the 3 images"):
        run(job_of(dataset), store, encoder)


def test_features_that_are_not_finite_stop_the_step_with_the_images_name(tmp_path, encoder):
    encoder.bad = 7
    dataset = dataset_of(tmp_path / "d", [3, 7, 9])
    with Store(tmp_path / "store") as store:
        with pytest.raises(MedvlmError, match=r"001\.png"):
            run(job_of(dataset), store, encoder)
        assert store.keys("block/") == []


def test_out_of_memory_halves_the_batch_and_changes_no_feature(tmp_path, encoder):
    dataset = dataset_of(tmp_path / "d", range(0, 200, 10))
    with Store(tmp_path / "store") as store:
        run(job_of(dataset, batch_size=16), store, encoder)
        whole = np.array(store.tables.read("sealed-key").matrix)
    encoder.fits = 3
    encoder.batches.clear()
    with Store(tmp_path / "store2") as store:
        run(job_of(dataset, batch_size=16), store, encoder)
        table = store.tables.read("sealed-key")
    np.testing.assert_array_equal(np.array(table.matrix), whole)
    assert max(encoder.batches) == 2
    assert table.provenance["batch_size"] == 2
    assert table.provenance["peak_memory_bytes"] > 1 << 20


def test_a_table_of_stored_rows_says_what_their_encoder_was_made_of(tmp_path, encoder):
    dataset = dataset_of(tmp_path / "d", range(4))
    with Store(tmp_path / "store") as store:
        job = job_of(dataset)
        run(job, store, encoder)
        again = replace(job, step=replace(job.step, key="another-view"))
        run(again, store, encoder)
        assert sum(encoder.batches) == 4
        assert store.tables.read("another-view").provenance["tensors"] == encoder.report.record()


def test_rows_of_another_encoder_are_not_taken(tmp_path, encoder):
    dataset = dataset_of(tmp_path / "d", range(4))
    with Store(tmp_path / "store") as store:
        run(job_of(dataset), store, encoder)
        other = replace(job_of(dataset), encoder=replace(KEY, weights_digest="other"))
        run(other, store, encoder)
    assert encoder.batches == [4, 4]
