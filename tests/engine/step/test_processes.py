"""How a child process ended, in words."""

from __future__ import annotations

import pytest

from medvlm_tui.engine.step.processes import cause_of_death


@pytest.mark.parametrize(
    ("code", "expected"), [(-9, "signal SIGKILL"), (-11, "signal SIGSEGV"), (0, "exit code 0"), (3, "exit code 3")]
)
def test_a_signal_is_told_by_its_name(code: int, expected: str) -> None:
    assert cause_of_death(code) == expected
