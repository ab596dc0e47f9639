"""The request that a run records: complete, so that its command line names what was run."""

from __future__ import annotations

from pathlib import Path

import pytest

from medvlm_tui.core.events import RunAsked
from medvlm_tui.core.workspace.run_journal import Said
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import MedvlmError
from medvlm_tui.service.engine import Engine
from medvlm_tui.settings.command_line import command_line
from medvlm_tui.stages import as_demo
from medvlm_tui.stages.request import RunRequest


def test_the_demo_is_recorded_with_everything_that_it_stands_for(tmp_path: Path) -> None:
    told: list[Said] = []
    engine = Engine(Workspace(tmp_path))
    try:
        with pytest.raises(MedvlmError):  # a model that does not exist ends the run before any work
            engine.run(RunRequest(demo=True, models=("nothing",), options={"rise_masks": 7}), "test", bool, told.append)
    finally:
        engine.close()
    asked = told[0].event
    assert isinstance(asked, RunAsked)
    recorded = RunRequest.from_record(asked.request)
    whole = as_demo(RunRequest(options={"rise_masks": 7}))
    assert (recorded.datasets, recorded.stages, recorded.options) == (("phantom",), whole.stages, whole.options)
    line = command_line(recorded, tmp_path)
    assert "--datasets phantom" in line
    assert "--rise-masks 7" in line
