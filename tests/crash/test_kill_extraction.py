"""kill -9 in the middle of whole extractions: files, decoding processes, network, blocks, seal."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from medvlm_tui.core.events import BlockStored, ResultReady
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.registry import load_encoder
from medvlm_tui.engine.extract import blocks as extract_blocks
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.images.decoders import end_decoders
from medvlm_tui.engine.step.job import CellJob, StepContext
from tests.crash.conftest import make_store, tidy
from tests.crash.writer import Child
from tests.made.encoders import having
from tests.made.extraction import SPEC, job_of, make_images, make_weights

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KILLS = 100
IMAGES = 480
BLOCK = 16


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CellJob:
    """An extraction of 30 blocks."""
    monkeypatch.setattr(extract_blocks, "BLOCK_IMAGES", BLOCK)
    weights = make_weights(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield job_of(make_images(tmp_path / "images", IMAGES), weights, workers=1)
    torch.set_num_threads(threads)
    end_decoders()


def live(path: Path, job: CellJob, encoder: Encoder, say: Callable[[str], None]) -> None:
    """Extract until the end or the kill, saying how many images went through the network and which blocks stored."""
    plain = encoder.encode

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        say(f"computed {len(pixels)}")
        return plain(pixels)

    encoder.encode = encode  # type: ignore[method-assign]
    with Store(path) as store:
        for event in extract.run(job, StepContext(store, lambda: False, having(encoder))):
            if isinstance(event, BlockStored):
                say(f"stored {event.key}")
            elif isinstance(event, ResultReady):
                say("sealed")


def listen(child: Child, count: int) -> list[str]:
    """Return the child's first lines, fewer when it ends before."""
    heard = b""
    while heard.count(b"\n") < count and (byte := os.read(child.output, 1)):
        heard += byte
    return heard.decode().split("\n")[:-1]


def test_kill_at_random_points_of_whole_extractions(kind: str, job: CellJob, tmp_path: Path, report) -> None:
    reference = make_store(tmp_path / "reference", kind)
    with Store(reference) as store:
        list(extract.run(job, StepContext(store, lambda: False)))
        sealed = store.tables.tensor_path(job.step.key).read_bytes()
    end_decoders()
    encoder = load_encoder(SPEC, job.weights, "", "cpu", "fp32")  # before the fork, so that a life is short
    draw = random.Random(0)
    kills = lost = wrong = most = runs = finished = told = 0
    path, acknowledged, before = make_store(tmp_path / "store0", kind), set(), 0
    while kills < KILLS:
        child = Child.fork(lambda say, path=path: live(path, job, encoder, say))
        child.begin()
        heard = listen(child, draw.randrange(14))  # none: it dies while it starts
        time.sleep(draw.uniform(0.0, 0.05))
        child.kill()
        said = [line.split() for line in heard + child.finish()]
        assert not any(line[0] == "failed" for line in said)
        kills += ["sealed"] not in said
        acknowledged |= {line[1] for line in said if line[0] == "stored"}
        with Store(path) as store:
            lost += len(acknowledged - set(store.keys("block/")))
            stored = sum(len(rows) for _, rows in store.blocks(job.encoder))
        most = max(most, sum(int(line[1]) for line in said if line[0] == "computed") - (stored - before))
        before = stored
        runs += 1
        if ["sealed"] in said or kills == KILLS:
            finished += 1
            told += len(acknowledged)
            wrong += finished_bytes(path, job) != sealed
            tidy(path)
            path, acknowledged, before = make_store(tmp_path / f"store{runs}", kind), set(), 0
    report(
        f"kill -9 in whole extractions, {kind}: {kills} kills, {finished} extractions finished, {told} blocks "
        f"acknowledged, {lost} lost, {wrong} sealed with other bytes, at most {most} images of {BLOCK} repeated"
    )
    assert (lost, wrong) == (0, 0)
    assert most <= BLOCK
    assert told > KILLS


def finished_bytes(path: Path, job: CellJob) -> bytes:
    """Let the extraction end, and return what it sealed."""
    with Store(path) as store:
        list(extract.run(job, StepContext(store, lambda: False)))
        end_decoders()
        return store.tables.tensor_path(job.step.key).read_bytes()
