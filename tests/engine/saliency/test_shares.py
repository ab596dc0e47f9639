"""RISE on two devices: the maps of one, each range scored once; what a worker leaves undone is done by the step."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from medvlm_tui.core.events import Log
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_workers import DeviceWorkers
from medvlm_tui.engine.step.job import StepContext, step_function
from medvlm_tui.errors import MedvlmError
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest
from tests.made.encoders import having
from tests.made.saliency import StubEncoder, bench_of

PARAMS = SaliencyParams(masks=900, cells=5, images_per_class=1)  # ranges of 256, 256, 256 and 132 masks
ASKED = RunRequest(batch_size=64, device="cpu")


@pytest.fixture
def encoder():
    return StubEncoder()


class Here(DeviceWorkers):
    """A worker whose steps run in the thread that asks."""

    def __init__(self, store, encoder, fails_after=99):
        super().__init__()
        self.encoder = encoder
        self.store, self.fails_after, self.chunks, self.threads = store, fails_after, [], set()

    def get(self, store, number):
        assert (store, number) == (self.store, 1)
        return self

    def run(self, job, cancelled):
        with Store(self.store) as opened:
            for event in step_function(job.step.kind)(job, StepContext(opened, cancelled, having(self.encoder))):
                self.threads.add(threading.current_thread())
                self.chunks.append(event.summary["chunk"])
                yield event
                if len(self.chunks) >= self.fails_after:
                    raise MedvlmError("the GPU failed")


def bench_with(second, tmp_path, name, encoder):
    bench = bench_of(tmp_path, name, encoder)
    more = {} if second is None else {DeviceWorkers: second}
    bench.context = replace(bench.context, resources=having(encoder, more))
    return bench


def explained(tmp_path, name, encoder, second=None, params=PARAMS):
    bench = bench_with(second, tmp_path, name, encoder)
    encoder.seen = 0
    return *bench.run("saliency", params, ASKED), encoder.seen


def on_two(monkeypatch, folder, encoder, **made):
    both = tuple(devices.Device("cpu", each, "fp32") for each in ("first", "second"))
    monkeypatch.setattr(devices, "every", lambda *_: both)
    monkeypatch.setattr(devices, "choose", lambda *_: both[0])
    return Here(folder / "store", encoder, **made)


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_two_devices_give_the_maps_of_one_and_share_the_ranges(tmp_path, encoder, monkeypatch) -> None:
    _, wanted, _, alone = explained(tmp_path, "one", encoder)
    second = on_two(monkeypatch, tmp_path / "two", encoder)
    record, found, events, together = explained(tmp_path, "two", encoder, second)
    same(found, wanted)
    assert second.chunks == [1, 3]
    assert threading.main_thread() not in second.threads
    q = len(wanted["images"])
    assert q <= together - alone <= 2 * q  # the second device scores the plain images for itself
    assert not [event for event in events if isinstance(event, Log)]
    assert record["masks"] == 900


def test_what_a_worker_leaves_undone_is_done_by_the_step(tmp_path, encoder, monkeypatch) -> None:
    _, wanted, _, _ = explained(tmp_path, "one", encoder)
    second = on_two(monkeypatch, tmp_path / "two", encoder, fails_after=1)
    _, found, events, _ = explained(tmp_path, "two", encoder, second)
    same(found, wanted)
    assert second.chunks == [1]
    said = [event.message for event in events if isinstance(event, Log)]
    assert said == ["a further device stopped: the GPU failed"]


def test_ranges_that_are_stored_are_dealt_to_nobody(tmp_path, encoder, monkeypatch) -> None:
    bench = bench_of(tmp_path, "two", encoder)
    bench.run("saliency", PARAMS, ASKED)
    second = on_two(monkeypatch, tmp_path / "two", encoder)
    bench.context = replace(bench.context, resources=having(encoder, {DeviceWorkers: second}))
    bench.run("saliency", SaliencyParams(masks=1024, cells=5, images_per_class=1), ASKED)
    assert second.chunks == []  # one range is added, which the step scores itself
