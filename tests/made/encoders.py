"""Encoders that a test hands to a step, in place of those that its worker loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.step.resources import Resource, Resources


def having(encoder: Any, more: Mapping[type[Resource], Resource] | None = None) -> Resources:
    """Return the resources of a worker that has this encoder, and `more`."""
    return Resources({Encoders: Encoders(encoder), **(more or {})})


class _Refused(Encoders):
    def get(self, *_: Any) -> Any:
        pytest.fail("the model was loaded")


def refusing() -> Resources:
    """Return resources with which a test fails as soon as an encoder is asked for."""
    return Resources({Encoders: _Refused()})
