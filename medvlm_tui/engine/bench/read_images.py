"""Images of an experiment as the run reads them: decoded by all cores ahead of a batch, kept from change to change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.images.decoder_pool import Decoded
from medvlm_tui.engine.images.decoders import as_image, decoded, whole_image
from medvlm_tui.engine.images.decoding_task import Read, Reduced
from medvlm_tui.errors import ImageError

_KEPT_BYTES = 256 << 20
"""An image that does not fit is decoded again for each change."""


class ReadImages:
    """Decoded images by sample id. They are lent, not copied: who draws makes an image of its own."""

    def __init__(self, read: Read, budget: int = _KEPT_BYTES) -> None:
        self._read, self._budget = read, budget
        self._kept: dict[str, Image.Image] = {}
        self._batch: dict[str, Decoded] = {}
        self._size = 0

    def ahead(self, samples: Sequence[Sample], check: Callable[[], None]) -> None:
        """Decode the images of a batch that are not kept, in as many processes as there are cores.

        They are there until the next batch. `check` is called meanwhile and may raise.
        """
        missing = {sample.id: sample for sample in samples if sample.id not in self._kept}
        self._batch = dict(zip(missing, decoded(list(missing.values()), self._read, 0, check), strict=True))
        for name, found in self._batch.items():
            self._keep(name, found)

    def image(self, sample: Sample) -> Image.Image:
        """Return an image; raises ImageError for one that cannot be read."""
        if sample.id in self._kept:
            return self._kept[sample.id]
        if sample.id in self._batch:
            return as_image(self._batch[sample.id])
        found = whole_image(sample, self._read)
        self._keep(sample.id, found)
        return found

    def _keep(self, name: str, found: Decoded | Image.Image) -> None:
        if isinstance(found, ImageError | Reduced):
            return
        image = found if isinstance(found, Image.Image) else Image.fromarray(found)
        size = 3 * image.width * image.height
        if self._size + size <= self._budget:
            self._kept[name] = image
            self._size += size
