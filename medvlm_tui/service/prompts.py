"""The process that scores prompts while they are edited: JSON lines in, JSON lines out.

    {"number": 1, "model": "biomedclip", "zero_shot": KEY, "table": KEY, "request": {...}, "prompts": [["a"], ["b"]]}
    {"number": 1, "scores": {"accuracy": [0.8, 0.7, 0.9], ...}, "seconds": 0.02}
    {"number": 1, "error": "...", "hint": "..."}

The text tower is loaded with the first line about a cell and kept: what follows costs its new texts alone. Nothing is
stored.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service.rescoring import Rescoring, open_rescoring
from medvlm_tui.stages.request import RunRequest

Answer = dict[str, Any]


class Prompts:
    """The cell that was asked about last, and the store it lies in."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = Store(workspace.store, read_only=True)
        self._cell: tuple[str, str, str] = ("", "", "")
        self._open: Rescoring | None = None

    def answer(self, asked: Mapping[str, Any]) -> Answer:
        """Return the scores of the prompts, or why there are none."""
        begun = time.perf_counter()
        try:
            found = self._of(asked).scores(asked["prompts"])
        except MedvlmError as error:
            return {"error": error.message, "hint": error.hint}
        except Exception as error:
            logging.getLogger(__name__).exception("prompts")
            return {"error": f"{type(error).__name__}: {error}", "hint": "the traceback is in prompts.log"}
        scores = {name: [one.value, one.low, one.high] for name, one in found.items()}
        return {"scores": scores, "seconds": time.perf_counter() - begun}

    def _of(self, asked: Mapping[str, Any]) -> Rescoring:
        cell = (str(asked["model"]), str(asked["zero_shot"]), str(asked["table"]))
        if self._open is None or cell != self._cell:
            self._open = open_rescoring(*cell, RunRequest.from_record(asked["request"]), self._store)
            self._cell = cell
        return self._open


def main(argv: Sequence[str] | None = None) -> int:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser(prog="medvlm_tui.service.prompts")
    parser.add_argument("--workspace", type=Path, required=True)
    options = parser.parse_args(argv)
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    prompts = Prompts(Workspace(options.workspace))
    for line in sys.stdin:
        asked = json.loads(line)
        answers.write(json.dumps({"number": asked["number"], **prompts.answer(asked)}) + "\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
