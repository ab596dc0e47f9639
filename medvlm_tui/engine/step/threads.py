"""Threads of OpenMP in a worker: as many when a step begins as when the process began.

numba's parallel loops set the number for the whole process when the first of them runs, and torch adds up in another
order with another number: without this, a step's seventh digit depended on the steps before it in the same worker.
"""

from __future__ import annotations

import os

from threadpoolctl import ThreadpoolController

from medvlm_tui.engine.step.cores import cores


def choose_threads() -> None:
    """Choose the number, as OMP_NUM_THREADS says or one per core; called before a library that reads it is imported."""
    os.environ["OMP_NUM_THREADS"] = str(chosen_threads())
    os.environ.setdefault("NUMBA_NUM_THREADS", str(chosen_threads()))


def chosen_threads() -> int:
    """Return the number; OMP_NUM_THREADS may hold one for each level of nesting, of which the first counts."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else cores()


def restore_threads() -> None:
    """Set every OpenMP library of this process to the chosen number of threads again."""
    for library in ThreadpoolController().select(user_api="openmp").lib_controllers:
        library.set_num_threads(chosen_threads())
