"""Encoders that a test hands to a step, in place of those that its worker loads."""

from __future__ import annotations

from typing import Any

import pytest

from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.step.resources import Resources


def having(encoder: Any) -> Resources:
    """Return the resources of a worker that has this encoder."""
    return Resources({Encoders: Encoders(encoder)})


class _Refused(Encoders):
    def get(self, *_: Any) -> Any:
        pytest.fail("the model was loaded")


def refusing() -> Resources:
    """Return resources with which a test fails as soon as an encoder is asked for."""
    return Resources({Encoders: _Refused()})
