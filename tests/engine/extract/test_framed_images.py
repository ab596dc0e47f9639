"""Framed images kept from model to model: the same bytes, one decoding, bounded memory."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import PreprocessSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.encoders.registry import FAMILIES, encoder_key
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.extract.framed_images import FramedImages
from medvlm_tui.engine.extract.image_source import ImageSource
from medvlm_tui.engine.images.decoder_pool import DecoderPool
from medvlm_tui.engine.images.decoders import end_decoders
from medvlm_tui.engine.images.framing import framed
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.engine.step.frames_wanted import FramesWanted, framing_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.engine.step.resources import Resources
from medvlm_tui.errors import ImageError
from medvlm_tui.stages.request import RunRequest
from tests.made.extraction import SIZE, SPEC, job_of, make_images, make_weights

SMALL = PreprocessSpec(24, 28, interpolation="bilinear")
WIDE = PreprocessSpec(32, 2_000_000, resize="short_side")  # no image fits: it would grow beyond the limit


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "images", 21)


@pytest.fixture(scope="module")
def pool():
    made = DecoderPool(2, 32, SIZE.size_px)
    yield made
    made.close()


def through(pool, samples, spec, kept, read=read_sample):
    """Return what comes of each sample, and how many images the decoders were given for that."""
    before = pool._submitted
    source = ImageSource(read, spec, pool, kept)
    for sample in samples:
        source.ask(sample)
    found = [source.take(lambda: None) for _ in samples]
    return [each if isinstance(each, ImageError) else np.array(each) for each in found], pool._submitted - before


def by_hand(samples, spec):
    return [np.asarray(framed(read_sample(sample), spec)) for sample in samples]


def wanted(*specs, dataset="made", models=1):
    return tuple(FramesWanted(dataset, framing_of(spec), models) for spec in specs)


def test_a_second_model_of_a_framing_decodes_nothing_and_sees_the_same_bytes(pool, dataset) -> None:
    images, samples = FramedImages(1 << 30), dataset.samples
    other_mean = replace(SIZE, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    with images.for_step("made", "file", SIZE, wanted(SIZE)) as kept:
        first, decoded = through(pool, samples, SIZE, kept)
    assert decoded == len(samples)
    assert images.held == len(samples) * 3 * 32 * 32
    with images.for_step("made", "file", other_mean, ()) as kept:
        second, decoded = through(pool, samples, other_mean, kept)
    assert decoded == 0
    for one, two, reference in zip(first, second, by_hand(samples, SIZE), strict=True):
        np.testing.assert_array_equal(one, reference)
        np.testing.assert_array_equal(two, reference)
    assert images.held == 0  # no later step reads them


def test_one_decoding_serves_other_framings_too(pool, dataset) -> None:
    images, samples = FramedImages(1 << 30), dataset.samples
    with images.for_step("made", "file", SIZE, wanted(SMALL, WIDE)) as kept:
        first, _ = through(pool, samples, SIZE, kept)
    np.testing.assert_array_equal(first, by_hand(samples, SIZE))
    assert images.held == len(samples) * 3 * 24 * 24  # not its own, which nobody reads again
    with images.for_step("made", "file", SMALL, wanted(WIDE)) as kept:
        found = [kept.find(sample) for sample in samples]
        np.testing.assert_array_equal(np.array(found), by_hand(samples, SMALL))
    with images.for_step("made", "file", WIDE, ()) as kept:  # its own model says what is wrong with it
        refused, decoded = through(pool, samples[:2], WIDE, kept)
    assert decoded == 2
    assert all("would grow to" in error.message for error in refused)


def test_another_window_or_dataset_is_not_served_and_an_unwanted_one_is_given_up(pool, dataset) -> None:
    images = FramedImages(1 << 30)
    for name in ("made", "second"):
        with images.for_step(name, "file", SIZE, wanted(SIZE) + wanted(SIZE, dataset="second")) as kept:
            through(pool, dataset.samples, SIZE, kept)
    assert images.held == 2 * 21 * 3 * 32 * 32
    with images.for_step("made", "lung", SIZE, wanted(SIZE)) as kept:
        assert kept.find(dataset.samples[0]) is None
    assert images.held == 0


def test_memory_is_bounded_and_the_rest_is_decoded_again(pool, dataset) -> None:
    size, samples = 3 * 32 * 32, dataset.samples
    images = FramedImages(5 * size + 7)
    with images.for_step("made", "file", SIZE, wanted(SIZE, SMALL)) as kept:
        through(pool, samples, SIZE, kept)
    assert images.held <= 5 * size + 7
    with images.for_step("made", "file", SIZE, ()) as kept:
        again, decoded = through(pool, samples, SIZE, kept)
    assert 16 <= decoded < 21
    np.testing.assert_array_equal(again, by_hand(samples, SIZE))
    nothing = FramedImages(0)
    with nothing.for_step("made", "file", SIZE, wanted(SIZE, SMALL)) as kept:
        assert kept.also(samples[0]) == ()
        through(pool, samples, SIZE, kept)
    assert nothing.held == 0


def test_the_framing_of_most_models_for_the_least_memory_goes_first() -> None:
    images, large = FramedImages(3 * 24 * 24), replace(SMALL, size_px=48)
    for models, chosen in ((1, SMALL), (9, large)):
        later = (*wanted(SMALL), *wanted(large, models=models))
        images._budget = 3 * chosen.size_px**2
        with images.for_step("made", "file", SIZE, later) as kept:
            assert kept.also(Sample("a", Path("a"), "a", digest="1"))[:1] == (framing_of(chosen),)


def test_failures_and_hidden_images_are_told_of_every_model(pool, tmp_path) -> None:
    flat, broken, read = tmp_path / "flat.png", tmp_path / "broken.png", partial(read_sample, window="10000/20")
    Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40)).save(flat)  # all below the window
    broken.write_bytes(b"no image")
    samples = [Sample(path.name, path, "a", digest=of_file(path)) for path in (flat, broken)]
    images, said = FramedImages(1 << 30), []
    for later in (wanted(SIZE, SMALL), ()):
        with images.for_step("made", "file", SIZE, later) as kept:
            found, _ = through(pool, samples, SIZE, kept, read)
        said.append((sorted(pool.hidden), isinstance(found[1], ImageError), found[0].tobytes()))
        pool.hidden.clear()
    assert said[0] == said[1]
    assert said[0][:2] == (["flat.png"], True)


def test_three_models_give_the_same_tables_with_one_decoding(dataset, tmp_path, monkeypatch) -> None:
    weights = make_weights(tmp_path)
    specs = [SPEC, replace(SPEC, id="second"), replace(SPEC, id="third", preprocess=replace(SIZE, mean=(0.4,) * 3))]

    def tables(told: bool):
        asked, found = [], []
        plain = DecoderPool.submit
        monkeypatch.setattr(DecoderPool, "submit", lambda *given: asked.append(1) or plain(*given))
        resources = Resources({FramedImages: FramedImages(1 << 30)})
        for position, spec in enumerate(specs):
            base = job_of(dataset, weights)
            step = Step(f"extract:{spec.id}:made", "extract", spec.id, "made", {}, f"sealed-{position}")
            left = len(specs) - 1 - position
            job = replace(
                base,
                step=step,
                model=spec,
                encoder=encoder_key(spec, weights, "", "fp32"),
                frames=wanted(SIZE, models=left) if told and left else () if told else None,
            )
            with Store(tmp_path / f"store-{told}-{position}") as store:
                list(extract.run(job, StepContext(store, lambda: False, resources)))
                found.append(np.array(store.tables.read(step.key).matrix))
        monkeypatch.undo()
        end_decoders()
        return len(asked), found

    apart, together = tables(False), tables(True)
    assert (apart[0], together[0]) == (3 * 21, 21)
    for one, two in zip(apart[1], together[1], strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_plan_tells_each_extraction_what_the_later_ones_read(tmp_path) -> None:
    make_images(tmp_path / "images", 4)
    for number, path in enumerate(sorted((tmp_path / "images").glob("*.jpg"))):
        place = tmp_path / "images" / "ab"[number % 2] / path.name
        place.parent.mkdir(exist_ok=True)
        path.rename(place)
    models = ("timm:test_efficientnet", "timm:test_vit", "timm:test_efficientnet_gn")
    weights = {}
    import timm
    import torch

    for model in models:
        name = model.removeprefix("timm:")
        torch.save(timm.create_model(name, pretrained=False).state_dict(), tmp_path / f"{name}.pth")
        weights[model] = str(tmp_path / f"{name}.pth")
    asked = RunRequest(
        models=models, datasets=("mine",), data={"mine": str(tmp_path / "images")}, weights=weights, offline=True,
        device="cpu", stages=("extract", "probe"),
    )  # fmt: skip
    with Store(tmp_path / "ws" / "store") as store:
        prepared = lay_out(asked, Workspace(tmp_path / "ws"), store, "run")
    framing = {model: framing_of(prepared.models[model].preprocess) for model in models}
    assert len(set(framing.values())) == 1  # timm's test networks read the same framing
    told = {
        job.step.model: job.frames
        for job in prepared.jobs.values()
        if isinstance(job, CellJob) and job.step.kind == "extract"
    }
    assert [sum(each.models for each in told[model]) for model in models] == [2, 1, 0]
    assert told[models[0]] == (FramesWanted("mine", framing[models[0]], 2),)
    others = [job for job in prepared.jobs.values() if isinstance(job, CellJob) and job.step.kind != "extract"]
    assert others
    assert all(job.frames is None for job in others)


def test_the_families_that_prepare_images_themselves_are_those_that_say_so() -> None:
    from importlib import import_module

    for name, family in FAMILIES.items():
        if ".encoders.models." not in family.module:
            continue
        module = import_module(family.module)
        encoders = [
            each for each in vars(module).values() if isinstance(each, type) and each.__module__ == module.__name__
        ]
        own = any(
            issubclass(each, NetworkEncoder) and each.preprocess is not NetworkEncoder.preprocess for each in encoders
        )
        assert own == family.own_preparation, name
