"""Several devices: whole models dealt out on small data sets, each with the rows of a run on one device."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from medvlm_tui.core.events import Log, ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.registry import encoder_key
from medvlm_tui.engine.extract import models_ahead
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.images.decoders import end_decoders
from medvlm_tui.engine.run.later_extractions import with_models_ahead
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_workers import DeviceWorkers
from medvlm_tui.engine.step.job import StepContext
from medvlm_tui.engine.step.resources import Resources
from medvlm_tui.errors import MedvlmError
from tests.made.encoders import refusing
from tests.made.extraction import SPEC, job_of, make_images, make_weights

DEVICES = tuple(devices.Device("cpu", name, "fp32") for name in ("first", "second"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("images") / "made", 21)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    end_decoders()


def job_named(name, dataset, weights):
    spec = replace(SPEC, id=name)
    step = Step(f"extract:{name}:made", "extract", name, "made", {}, f"sealed-{name}")
    return replace(
        job_of(dataset, weights), step=step, model=spec, encoder=encoder_key(spec, weights, "", "fp32"), frames=()
    )


def run(job, place, resources):
    with Store(place) as store:
        events = list(extract.run(job, StepContext(store, lambda: False, resources)))
        record = store.tables.record(job.step.key)["provenance"]
        return events, np.array(store.tables.read(job.step.key).matrix), record


@pytest.mark.timeout(240)
def test_the_next_model_is_computed_by_the_second_device_and_its_step_finds_the_rows(
    dataset, weights, tmp_path, monkeypatch
) -> None:
    first, second = (job_named(name, dataset, weights) for name in ("one", "two"))
    resources = Resources()
    wanted = [run(job, tmp_path / "alone", resources)[1] for job in (first, second)]
    monkeypatch.setattr(devices, "every", lambda *_: DEVICES)
    place = tmp_path / "ws" / "store"
    try:
        _, features, record = run(replace(first, models_ahead=(second,)), place, resources)
        np.testing.assert_array_equal(features, wanted[0])
        assert (record["computed"], record["device_name"], record["devices"]) == (21, "first", 1)
        events, features, record = run(second, place, refusing())
    finally:
        resources.close()
    np.testing.assert_array_equal(features, wanted[1])
    assert (record["computed"], record["device_name"], record["devices"]) == (21, "second", 1)
    assert (record["batch_size"], record["workers"]) == (8, 1)
    assert record["images_per_second"] > 0
    assert isinstance(events[-1], ResultReady)


def test_what_fails_ahead_is_left_to_its_own_step(dataset, weights, tmp_path, monkeypatch) -> None:
    first, second = (job_named(name, dataset, weights) for name in ("one", "two"))

    class Failing(DeviceWorkers):
        def get(self, store, number):
            return self

        def run(self, job, cancelled):
            assert job.step.id == "extract:two:made"
            yield Log("warning", "said", job.step.id)
            raise MedvlmError("no memory")

    monkeypatch.setattr(devices, "every", lambda *_: DEVICES)
    resources = Resources({DeviceWorkers: Failing()})
    events, features, _ = run(replace(first, models_ahead=(second,)), tmp_path / "store", resources)
    assert len(features) == 21
    assert [event.message for event in events if isinstance(event, Log)] == ["said"]
    assert models_ahead.computed_ahead("sealed-two") is None
    _, features, record = run(second, tmp_path / "store", resources)
    assert (len(features), record["computed"]) == (21, 21)


@pytest.mark.parametrize(
    ("images", "gpus", "ahead", "dealt"),
    [
        (3000, 8, True, True),
        (3000, 1, True, False),
        (3000, 8, False, False),
        (4096, 2, True, True),
        (4097, 2, True, False),
    ],
)
def test_models_are_dealt_on_small_data_sets_alone(images, gpus, ahead, dealt) -> None:
    work = SimpleNamespace(job=SimpleNamespace(models_ahead=(1,) if ahead else ()), todo=range(images))
    assert models_ahead.deals_models(work, range(gpus)) is dealt


def test_the_plan_names_the_next_models_of_the_same_dataset(dataset, weights) -> None:
    jobs = {}
    for name in ("one", "two", "three"):
        for on in ("a", "b"):
            job = job_named(name, dataset, weights)
            step = replace(job.step, id=f"extract:{name}:{on}", dataset=on, have=(name, on) == ("two", "b"))
            jobs[step.id] = replace(job, step=step)
    steps = [job.step for job in jobs.values()]
    told = with_models_ahead(steps, jobs, 3)

    def names(step):
        return [each.step.id.removeprefix("extract:") for each in told[step].models_ahead]

    assert names("extract:one:a") == ["two:a", "three:a"]
    assert names("extract:one:b") == ["three:b"]
    assert names("extract:two:b") == names("extract:three:a") == []
    assert all(each.models_ahead == () for job in told.values() for each in job.models_ahead)
    assert len(with_models_ahead(steps, jobs, 2)["extract:one:a"].models_ahead) == 1
