"""Resources that a worker process keeps between steps: an encoder, an open grid of maps, workers of other devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar, cast


class Resource(Protocol):
    """Anything that is made without arguments, kept from step to step, and closed at the end."""

    def close(self) -> None:
        """Release memory and end processes."""
        ...


R = TypeVar("R", bound=Resource)


class Resources:
    """One resource of each class, made when a step first asks for it."""

    def __init__(self, ready: Mapping[type[Resource], Resource] | None = None) -> None:
        """Keep what is `ready` under its class; a test hands in stand-ins this way."""
        self._kept: dict[type[Resource], Resource] = dict(ready or {})

    def of(self, kind: type[R]) -> R:
        """Return the resource of a class."""
        if kind not in self._kept:
            self._kept[kind] = kind()
        return cast(R, self._kept[kind])

    def close(self) -> None:
        """Close every resource; the next step makes its own anew."""
        while self._kept:
            self._kept.popitem()[1].close()
