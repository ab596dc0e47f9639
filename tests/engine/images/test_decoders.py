"""Decoding processes: order, refusals, deaths, quarantine."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.digests import of_array
from medvlm_tui.core.specs import PreprocessSpec, Sample
from medvlm_tui.core.workspace.logs import log_to
from medvlm_tui.engine.datasets.likeness.image_prints import read_print
from medvlm_tui.engine.images.decoder_pool import DecoderPool
from medvlm_tui.engine.images.decoders import decoded, whole_image
from medvlm_tui.engine.images.framing import framed
from medvlm_tui.engine.images.read_sample import read_sample
from medvlm_tui.errors import ImageError, MedvlmError
from tests.made.readers import aborting, broken, crashing, crashing_once, greedy, own_number, running_in_circles

SPEC = PreprocessSpec(24, 30)


def nothing() -> None:
    """No cancel."""


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    draw = np.random.default_rng(0)
    made = []
    for number in range(9):
        path = tmp_path / f"{number}.png"
        Image.fromarray(draw.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)).save(path)
        made.append(Sample(path.name, path, "a"))
    return made


@pytest.fixture
def pool():
    made = DecoderPool(2, 16, SPEC.size_px)
    yield made
    made.close()


def taken(pool: DecoderPool, samples: list[Sample], read=read_sample, spec: PreprocessSpec | None = SPEC):
    for sample in samples:
        pool.submit(sample, read, spec)
    return [result if isinstance(result, ImageError) else np.array(result) for result in _results(pool, len(samples))]


def _results(pool: DecoderPool, count: int):
    for _ in range(count):
        yield pool.take(nothing)


def test_framed_images_come_in_order_and_are_what_one_process_makes(pool, samples) -> None:
    for _ in range(3):
        results = taken(pool, samples)
        for sample, pixels in zip(samples, results, strict=True):
            np.testing.assert_array_equal(pixels, np.asarray(framed(read_sample(sample), SPEC)))


def test_whole_images_come_for_encoders_that_prepare_them_themselves(pool, samples) -> None:
    for sample, pixels in zip(samples, taken(pool, samples, spec=None), strict=True):
        np.testing.assert_array_equal(pixels, np.asarray(read_sample(sample)))


def test_an_image_that_cannot_be_read_costs_itself(pool, samples) -> None:
    samples[3].path.write_bytes(b"no image")
    results = taken(pool, samples)
    assert [isinstance(result, ImageError) for result in results] == [n == 3 for n in range(9)]
    assert "not an image" in results[3].message


def test_an_image_that_kills_its_process_twice_is_quarantined_with_the_reason(pool, samples) -> None:
    results = taken(pool, samples, crashing)
    assert [isinstance(result, ImageError) for result in results] == [n == 4 for n in range(9)]
    assert "killed 2 processes (signal SIGSEGV; signal SIGSEGV)" in results[4].message
    assert len(pool.deaths) == 1
    assert "4.png" in pool.deaths[0]
    assert not any(isinstance(result, ImageError) for result in taken(pool, samples))  # the pool goes on


def test_a_process_that_dies_once_costs_no_image(pool, samples) -> None:
    results = taken(pool, samples, crashing_once)
    np.testing.assert_array_equal(results[4], np.asarray(framed(read_sample(samples[4]), SPEC)))
    assert not any(isinstance(result, ImageError) for result in results)
    assert "exit code 3" in pool.deaths[0]


def test_memory_is_capped_and_an_unknown_error_costs_one_image(pool, samples) -> None:
    assert "GiB of memory" in taken(pool, samples[:1], greedy)[0].message
    assert "RuntimeError: a decoder's own mistake" in taken(pool, samples[:1], broken)[0].message
    assert pool.deaths == []


def test_a_decoder_that_runs_in_circles_is_ended(pool, samples) -> None:
    results = taken(pool, samples, running_in_circles)
    assert "ran in circles" in results[4].message
    assert sum(isinstance(result, ImageError) for result in results) == 1


def test_a_process_killed_from_outside_is_replaced(pool, samples) -> None:
    taken(pool, samples)
    for decoder in pool._decoders:
        decoder.process.kill()
        decoder.process.wait()
    assert not any(isinstance(result, ImageError) for result in taken(pool, samples))


def test_processes_that_cannot_start_are_an_error_not_a_loop(monkeypatch, samples) -> None:
    monkeypatch.setattr("medvlm_tui.engine.images.decoder_pool.sys.executable", "/bin/false")
    pool = DecoderPool(1, 4, 8)
    try:
        pool.submit(samples[0], read_sample, SPEC)
        with pytest.raises(MedvlmError, match="cannot be started"):
            pool.take(nothing)
    finally:
        pool.close()


def test_decoders_end_when_the_process_that_started_them_is_killed(samples) -> None:
    received, said = os.pipe()
    child = os.fork()
    if child == 0:
        pool = DecoderPool(2, 8, SPEC.size_px)
        pool.submit(samples[0], read_sample, SPEC)
        pool.take(nothing)
        os.write(said, " ".join(str(each.process.pid) for each in pool._decoders).encode())
        time.sleep(60)
        os._exit(0)
    pids = [int(text) for text in os.read(received, 100).split()]
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # orphans become ours, so that their end can be waited for
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(pids) == 2
    try:
        for pid in pids:
            assert os.waitpid(pid, 0)[0] == pid  # pytest's own limit of time is the failure
    finally:
        ctypes.CDLL(None).prctl(36, 0, 0, 0, 0)


def test_the_decoder_holds_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import medvlm_tui.engine.images.decoder, medvlm_tui.engine.images.read_sample, sys\n"
        "assert not {'torch', 'scipy', 'textual'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_process_serves_all_who_read_one_image_after_the_other(samples) -> None:
    numbers = {whole_image(sample, own_number).tobytes() for sample in samples}
    assert len(numbers) == 1


def test_what_a_reader_keeps_comes_back_with_its_texts(samples) -> None:
    found = list(decoded(samples, partial(read_print, window="file"), 2))
    assert [one.pixels.shape for one in found] == [(32, 32)] * len(samples)
    expected = [of_array(np.asarray(read_sample(sample))) for sample in samples]
    assert [one.texts["pixels"] for one in found] == expected


@pytest.fixture
def own_logging():
    """Give the handlers of the tests back afterwards."""
    root = logging.getLogger()
    kept = list(root.handlers)
    yield
    logging.captureWarnings(False)
    for handler in list(root.handlers):
        root.removeHandler(handler)
    for handler in kept:
        root.addHandler(handler)


def test_what_an_aborting_library_prints_is_in_the_log(samples, tmp_path, capfd, own_logging) -> None:
    log_to(tmp_path / "commands.log")
    with pytest.raises(ImageError, match="SIGABRT"):
        whole_image(samples[4], aborting)
    assert capfd.readouterr().err == ""
    assert "terminate called" in (tmp_path / "commands.log").read_text()


def test_a_log_that_cannot_be_written_leaves_the_terminal_alone(samples, tmp_path, capfd, own_logging) -> None:
    log_to(tmp_path / "absent" / "commands.log")
    with pytest.raises(ImageError, match="SIGABRT"):
        whole_image(samples[4], aborting)
    assert capfd.readouterr().err == ""
