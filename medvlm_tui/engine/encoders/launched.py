"""Features on their way from a GPU: the network's next batch is launched before those of the last one are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch

from medvlm_tui.engine.encoders.encoder import Encoder

T = TypeVar("T")


class Launched(Protocol):
    """The features of a batch, computed or being computed."""

    def features(self) -> torch.Tensor:
        """Return (n, d) float32 on the CPU once they are there; raises NotFiniteError."""
        ...


class Ready:
    """Features that are computed already."""

    def __init__(self, features: torch.Tensor) -> None:
        self._features = features

    def features(self) -> torch.Tensor:
        """Return them."""
        return self._features


class OnTheWay:
    """Features that a GPU computes and copies into pinned memory; reading them waits for that copy alone."""

    def __init__(self, features: torch.Tensor, refuse: Callable[[torch.Tensor], Exception]) -> None:
        """`features` (n, d) on the GPU; `refuse` makes the error for the rows (n,) that are finite or not."""
        self._refuse = refuse
        # Found on the device, which is free of cost there; in fp16 a value above 65,504 is infinite.
        finite = torch.isfinite(features).all(dim=1)
        self._features = torch.empty(tuple(features.shape), dtype=torch.float32, pin_memory=True)
        self._finite = torch.empty(len(features), dtype=torch.bool, pin_memory=True)
        self._features.copy_(features.to(torch.float32), non_blocking=True)
        self._finite.copy_(finite, non_blocking=True)
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._copied.record(torch.cuda.current_stream(features.device))

    def features(self) -> torch.Tensor:
        """Wait for the copy and return it; raises NotFiniteError."""
        self._copied.synchronize()
        if not bool(self._finite.all()):
            raise self._refuse(self._finite)
        return self._features


def launch(encoder: Encoder, pixels: torch.Tensor) -> Launched:
    """Begin to encode a batch (n, 3, H, W) and return at once where the encoder can, which is on a GPU.

    Raises what `encode` raises: running out of memory here, features that are not finite when they are read.
    """
    begin = getattr(encoder, "launch", None)
    if begin is None or not encoder.device.startswith("cuda"):
        return Ready(encoder.encode(pixels))
    launched: Launched = begin(pixels)
    return launched


def batches_in_flight(device: str) -> int:
    """Return how many batches are launched beyond the one whose features are read: one on a GPU, none on a CPU."""
    return 1 if device.startswith("cuda") else 0


class InFlight(Generic[T]):
    """Work that was launched and not yet read, the oldest first."""

    def __init__(self, device: str) -> None:
        self._most = batches_in_flight(device)
        self._waiting: deque[T] = deque()

    def add(self, item: T) -> list[T]:
        """Add what was launched; return what is to be read now, so that no more than one batch is in flight."""
        self._waiting.append(item)
        return [self._waiting.popleft() for _ in range(len(self._waiting) - self._most)]

    def rest(self) -> list[T]:
        """Return everything that was not read."""
        left = list(self._waiting)
        self._waiting.clear()
        return left
