"""What a worker's process starts with, and how it hears that its job is to stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from multiprocessing import Pipe
from multiprocessing.synchronize import SemLock
from pathlib import Path
from types import SimpleNamespace

import pytest

from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.step import numba_cache, threads, worker
from medvlm_tui.engine.step.cancellation import Cancellation, Canceller
from medvlm_tui.errors import MedvlmError, StoreError


def test_a_cancel_holds_for_the_job_that_was_sent_last_and_for_no_other() -> None:
    heard, asked = Pipe(duplex=False)
    canceller, cancellation = Canceller(asked), Cancellation(heard)
    cancellation.begin(canceller.next_job())
    assert not cancellation.is_set()
    canceller.cancel()
    assert cancellation.is_set()
    cancellation.begin(canceller.next_job())
    assert not cancellation.is_set()
    third = canceller.next_job()
    canceller.cancel()  # before the worker has taken the job up
    cancellation.begin(third)
    assert cancellation.is_set()
    canceller.close()
    assert cancellation.is_set(), "a pipe that ended changes nothing"


def test_a_worker_makes_no_semaphore_which_a_killed_group_would_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("a semaphore has a name in /dev/shm")

    monkeypatch.setattr(SemLock, "__init__", refuse)
    Store(tmp_path / "store").close()
    started = worker.Worker(tmp_path / "store", tmp_path / "worker.log")
    started._ensure_started()
    started.close()


def test_a_log_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("words")
    (tmp_path / "worker.log").symlink_to(tmp_path / "notes")
    with pytest.raises(StoreError, match=r"worker\.log is a link"):
        worker.Worker(tmp_path, tmp_path / "worker.log")._ensure_started()
    with pytest.raises(StoreError, match="No such file"):
        worker.Worker(tmp_path, tmp_path / "no" / "worker.log")._ensure_started()
    assert (tmp_path / "notes").read_text() == "words"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "/data/a.png"), "/data/a.png: Permission denied"),
        (MemoryError(), "too little memory"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_a_steps_error_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fail(job: object, context: object) -> None:
        raise error

    monkeypatch.setattr(worker, "step_function", lambda kind: fail)
    said: list[worker.Failed] = []
    connection = SimpleNamespace(send=said.append)
    worker._work(connection, SimpleNamespace(step=SimpleNamespace(kind="x", id="x:m:d")), None, tmp_path / "worker.log")
    [failed] = said
    assert isinstance(failed.error, MedvlmError)
    assert words in failed.error.message
    assert ("should not happen" in failed.error.hint) == isinstance(error, KeyError)


NUMBA_RAISES_THREADS = """
import json, os
from medvlm_tui.engine.step.threads import choose_threads, restore_threads
os.environ["NUMBA_NUM_THREADS"] = "3"
choose_threads()
import torch, numba, numpy
counts = [torch.get_num_threads()]
@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for i in numba.prange(len(x)):
        s += x[i]
    return s
total(numpy.ones(8))
counts.append(torch.get_num_threads())
restore_threads()
print(json.dumps([*counts, torch.get_num_threads()]))
"""


def test_a_step_has_the_threads_of_a_fresh_worker_whatever_ran_before() -> None:
    around = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "omp"}
    done = subprocess.run([sys.executable, "-c", NUMBA_RAISES_THREADS], capture_output=True, text=True, env=around)
    if done.returncode and "hreading layer" in done.stderr:
        pytest.skip("this numba has no OpenMP")
    before, raised, after = json.loads(done.stdout)
    assert (before, raised) == (1, 3), "numba is what raises them"
    assert after == before


@pytest.mark.parametrize(("said", "count"), [("3", 3), ("5,2", 5), ("", None), ("many", None), ("0", None)])
def test_the_number_of_threads_is_asked_for_or_one_per_core(
    monkeypatch: pytest.MonkeyPatch, said: str, count: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(threads, "cores", lambda: 7)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "")  # so that what is set below is undone
    monkeypatch.delenv("NUMBA_NUM_THREADS")
    threads.choose_threads()
    assert threads.chosen_threads() == (count or 7)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["NUMBA_NUM_THREADS"]) == (str(count or 7),) * 2


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in whose place umap-learn seems to be installed."""
    place = tmp_path / "site"
    spec = spec_of(place)
    monkeypatch.setattr(numba_cache, "find_spec", lambda name: spec)
    monkeypatch.setenv(numba_cache.VARIABLE, "")
    return place


def spec_of(place: Path) -> ModuleSpec:
    spec = ModuleSpec("umap", None)
    spec.origin = str(place / "umap" / "__init__.py")
    return spec


def test_numba_keeps_its_code_in_the_workspace_where_packages_are_read_only(packages: Path, tmp_path: Path) -> None:
    packages.write_text("a file: nothing can be made below it")
    numba_cache.place_numba_cache(tmp_path)
    assert os.environ[numba_cache.VARIABLE] == str(tmp_path / "compiled")
    assert (tmp_path / "compiled").stat().st_mode & 0o777 == 0o700


def test_numba_keeps_its_code_where_it_may_or_is_told(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (packages / "umap").mkdir(parents=True)
    numba_cache.place_numba_cache(tmp_path)
    assert os.environ[numba_cache.VARIABLE] == ""
    monkeypatch.setenv(numba_cache.VARIABLE, "/chosen")
    numba_cache.place_numba_cache(tmp_path)
    assert os.environ[numba_cache.VARIABLE] == "/chosen"
    assert not (tmp_path / "compiled").exists()


def test_numba_is_given_no_folder_that_others_can_write(packages: Path, tmp_path: Path) -> None:
    packages.write_text("")
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled").chmod(0o777)
    numba_cache.place_numba_cache(tmp_path)
    assert os.environ[numba_cache.VARIABLE] == ""
