"""Images of an experiment: decoded once, ahead of their batch, within a bound; refusals stay refusals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.bench.read_images import ReadImages
from medvlm_tui.engine.images import decoders
from medvlm_tui.engine.images.decoder_pool import DecoderPool
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.errors import Cancelled, ImageError

READ = partial(read_sample, window="")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    made = []
    for number in range(6):
        path = folder / f"{number}.png"
        Image.fromarray(draw.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
        made.append(Sample(path.name, path, "a"))
    made[4].path.write_bytes(b"no image")
    return made


@pytest.fixture
def decoded(monkeypatch):
    """Names of the images that were given to a decoding process."""
    names: list[str] = []
    plain = DecoderPool.submit
    monkeypatch.setattr(
        DecoderPool, "submit", lambda self, sample, *rest: names.append(sample.id) or plain(self, sample, *rest)
    )
    yield names
    decoders.end_decoders()


def pixels(images, sample):
    try:
        return np.asarray(images.image(sample)).tobytes()
    except ImageError as error:
        return error.message


def by_hand(sample):
    try:
        return np.asarray(READ(sample)).tobytes()
    except ImageError as error:
        return error.message


def test_every_image_is_decoded_once_for_all_changes(samples, decoded) -> None:
    images = ReadImages(READ)
    for _ in range(3):
        for batch in (samples[:4], samples[4:]):
            images.ahead(batch, lambda: None)
            assert [pixels(images, sample) for sample in batch] == [by_hand(sample) for sample in batch]
    assert decoded == [f"{number}.png" for number in (0, 1, 2, 3, 4, 5, 4, 4)]  # the broken one is tried each time


def test_beyond_the_bound_images_are_decoded_again(samples, decoded) -> None:
    images = ReadImages(READ, budget=2 * 3 * 20 * 30)
    for _ in range(2):
        images.ahead(samples[:4], lambda: None)
        assert [pixels(images, sample) for sample in samples[:4]] == [by_hand(sample) for sample in samples[:4]]
    assert decoded == ["0.png", "1.png", "2.png", "3.png", "2.png", "3.png"]
    images.ahead([], lambda: None)
    assert pixels(images, samples[3]) == by_hand(samples[3])  # of no batch: read by itself
    assert decoded[-1] == "3.png"


def test_waiting_for_decoders_can_be_cancelled(samples, decoded) -> None:
    def stop() -> None:
        raise Cancelled("cancelled", "")

    with pytest.raises(Cancelled):
        ReadImages(READ).ahead(samples, stop)
