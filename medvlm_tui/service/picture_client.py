"""Images for the screens, decoded by a process of their own that starts with the first one asked for.

Knows neither the engine's code nor any screen.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medvlm_tui.service.line_client import LineClient
from medvlm_tui.stages.request import RunRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

# 64 x 64 x 3 bytes each: 3 MB.
KEPT = 256


@dataclass(frozen=True, slots=True)
class BurnedIn:
    """Overlay of the bias lab, for a picture that shows it (engine/bias/overlay.py)."""

    word: str
    kind: str
    """`text` or one of its controls."""
    position: str
    height: float
    contrast: float
    seed: int
    drawn: bool = True
    """False: the image as it is, at the same place."""
    closer: bool = False
    """The overlay's place alone, with a little of what is around it."""


class PictureClient(LineClient):
    """Asks for pictures by dataset and image id; answers are kept, the newest 256 of them."""

    def __init__(self, workspace: Path, command: Sequence[str] | None = None) -> None:
        """`command` replaces the process's own command line (tests)."""
        super().__init__(workspace, "pictures", "the process that reads images", command)
        self._kept: dict[tuple[str, str, int, str, BurnedIn | None], Picture] = {}

    async def picture(
        self, request: RunRequest, dataset: str, image: str, side_px: int = 64, burned_in: BurnedIn | None = None
    ) -> Picture:
        """Return the image, (h, w, 3), no side above `side_px`; raises ImageError with the reason."""
        name = (dataset, image, side_px, f"{request.window} {request.data.get(dataset, '')}", burned_in)
        if name not in self._kept:
            record = {**request.to_record(), "datasets": [dataset]}
            asked = {"dataset": dataset, "image": image, "side_px": side_px, "request": record}
            if burned_in is not None:
                asked["burned_in"] = asdict(burned_in)
            pixels = _pixels(await self.ask(asked))
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[name] = pixels
        return self._kept[name]


def _pixels(answer: Mapping[str, Any]) -> Picture:
    import numpy as np

    return np.frombuffer(base64.b64decode(answer["pixels"]), np.uint8).reshape(answer["shape"])
