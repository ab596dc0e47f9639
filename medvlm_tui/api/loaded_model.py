"""One encoder of the catalog or of a prefix, for notebooks: images and texts to numpy arrays."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.events import Event, Log
from medvlm_tui.core.intensity_windows import FILE, parse_window
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.registry import check_feature
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.text.encoder import TextEncoder
from medvlm_tui.engine.new_images.encode import Where, check_files, features_of, load_image_encoder, read_inputs
from medvlm_tui.engine.new_images.encode_texts import image_feature, load_texts, unit_vectors
from medvlm_tui.errors import ImageError, UsageError

AnyImage: TypeAlias = str | Path | Image.Image | NDArray[np.uint8]
"""Path of a file, an 8-bit grey or RGB image of Pillow, or an array (H, W) or (H, W, 3) of uint8."""
Features: TypeAlias = NDArray[np.float32]
T = TypeVar("T")
AT_ONCE = 256
"""Images whose model inputs are in memory together."""
_MODES = ("L", "RGB")


class LoadedModel:
    """An encoder on a device. Made by `load_model`."""

    def __init__(self, spec: ModelSpec, feature: str, where: Where) -> None:
        """Load the image tower; raises as `load_model` does."""
        self.spec = spec
        """The catalog's record of the model: name, licence, preprocessing, features, text tower."""
        self.feature = feature
        """Name of the image feature that `encode_images` returns."""
        self._where = where
        self._towers: dict[str, Encoder] = {}
        self._text: TextEncoder | None = None
        self._tower(feature)

    def __repr__(self) -> str:
        return f"<{self.spec.id}: {self.feature}, {self.dim} dimensions, on {self.device}>"

    @property
    def dim(self) -> int:
        """Return the dimension of the image feature."""
        return self.spec.dim(self.feature)

    @property
    def device(self) -> str:
        """Return the device that the network is on, such as `cpu` or `cuda:0`."""
        return self._tower(self.feature).device

    @property
    def load_report(self) -> str:
        """Return in words which tensors of the checkpoint the image tower is made of."""
        return str(self._tower(self.feature).report)

    @property
    def has_texts(self) -> bool:
        """Return whether the model has a text tower; its weights are looked for when a text is first encoded."""
        return self.spec.text is not None

    def preprocess(self, image: AnyImage, window: str = FILE) -> Features:
        """Return the model's input of an image, (3, H, W) float32 (of a volume (1, ...)), normalised as its authors do.

        Raises ImageError for a file that cannot be read, UsageError for an array or image of another kind.
        """
        (made,) = self._inputs([image], self._tower(self.feature), window)
        pixels: Features = made.numpy()
        return pixels

    def encode_images(self, images: Sequence[AnyImage], window: str = FILE) -> Features:
        """Return the features (n, d) float32 of images, not normalised, in their order.

        Files may be all that the program reads, DICOM and deep TIFF too; `window` says how more than 8 bits become 8
        (`--window`). An encoder of volumes takes paths of NIfTI files. Raises ImageError for the first file that
        cannot be read, MissingInputError for a path that is no file, UsageError for an array of another kind.
        """
        return self._features(images, self.feature, window)

    def encode_texts(self, texts: Sequence[str]) -> Features:
        """Return the vectors (n, dim) float32 of texts, not normalised, each as if it were alone.

        Raises UsageError for a model without a text tower, MissingInputError where its weights or tokenizer are not
        here.
        """
        vectors: Features = self._texts().encode_texts(_listed(texts, "texts")).numpy()
        return vectors

    def project_images(self, images: Sequence[AnyImage], window: str = FILE) -> Features:
        """Return image vectors (n, dim) float32 in the space of the texts, not normalised; raises as `encode_texts`."""
        text = self._texts()
        feature = image_feature(text.text)
        vectors: Features = text.join(torch.from_numpy(self._features(images, feature, window)), feature).numpy()
        return vectors

    def cosines(self, images: Sequence[AnyImage], texts: Sequence[str], window: str = FILE) -> Features:
        """Return the cosine (images, texts) float32 of each image with each text; raises as `project_images`."""
        return unit_vectors(self.project_images(images, window)) @ unit_vectors(self.encode_texts(texts)).T

    @property
    def logit_scale(self) -> float:
        """Return the factor of the cosines in the model's training, exponentiated; 1 where the checkpoint has none."""
        return self._texts().scale.factor

    @property
    def logit_bias(self) -> float | None:
        """Return what is added to the scaled cosines before a sigmoid; None for a model that is trained by softmax."""
        return self._texts().scale.bias

    def _tower(self, feature: str) -> Encoder:
        if feature not in self._towers:
            encoder, machine = load_image_encoder(self.spec, feature, self._where, _log)
            if machine.warning:
                logging.getLogger(__name__).warning(machine.warning)
            self._towers[feature] = encoder
        return self._towers[feature]

    def _texts(self) -> TextEncoder:
        if self._text is None:
            self._text = load_texts(self.spec, self._where, _log)
        return self._text

    def _features(self, images: Sequence[AnyImage], feature: str, window: str) -> Features:
        encoder, rest = self._tower(feature), iter(_listed(images, "images"))
        parts = []
        while part := list(islice(rest, AT_ONCE)):
            parts.append(features_of(encoder, self._inputs(part, encoder, window)))
        return np.concatenate(parts) if parts else features_of(encoder, [])

    def _inputs(self, images: Sequence[AnyImage], encoder: Encoder, window: str) -> list[torch.Tensor]:
        """Return the model's inputs in the order of the images; files are read in decoding processes."""
        parse_window(window)
        paths = [Path(image).expanduser() for image in images if isinstance(image, str | Path)]
        check_files(self.spec, paths)
        read = iter(read_inputs(encoder, paths, window))
        return [
            next(read) if isinstance(image, str | Path) else encoder.preprocess(self._picture(image))
            for image in images
        ]

    def _picture(self, image: Image.Image | NDArray[np.uint8]) -> Image.Image:
        """Return an image of this process as RGB; raises UsageError for one whose pixels would have to be guessed."""
        if self.spec.volume is not None:
            raise UsageError(f"{self.spec.id} encodes volumes, no images", "give the path of a .nii.gz file")
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
                shape = " x ".join(map(str, image.shape))
                raise UsageError(
                    f"an array of {image.dtype}, {shape}, is no 8-bit grey or RGB image",
                    "give uint8, (H, W) or (H, W, 3)",
                )
            image = Image.fromarray(image)
        if not isinstance(image, Image.Image):
            raise UsageError(f"{type(image).__name__} is no image", "give a path, an image of Pillow, or an array")
        if image.mode not in _MODES:
            raise UsageError(
                f"an image of Pillow's mode {image.mode} is not taken: its pixels can become RGB in several ways",
                "convert it to L or RGB first, or give the path of its file",
            )
        if not all(image.size):
            raise ImageError("an image without pixels", "give one of at least one pixel")
        return image.convert("RGB")


def load_model(
    model: str,
    *,
    weights: str | Path = "",
    tokenizer: str | Path = "",
    feature: str = "",
    device: str = "auto",
    precision: str = "auto",
    offline: bool = False,
) -> LoadedModel:
    """Return a model of the catalog, or `timm:NAME`, `hf:ORG/NAME`, `open_clip:NAME/TAG` or `local:DIR`, loaded.

    `weights` is a checkpoint file or folder instead of where the catalog looks; `tokenizer` a folder with the
    tokenizer's files; `feature` one of `LoadedModel.spec.features` (the first). Weights that are not on this machine
    are downloaded unless `offline`; the logger `medvlm_tui.api.loaded_model` says so. Precision `auto` is fp32.

    Raises UsageError for an unknown name or feature, MissingInputError where weights are not here, WeightsError for a
    checkpoint that does not fit.
    """
    spec = resolve_model(model, load_models())
    where = Where(str(weights), str(tokenizer), device, precision, offline)
    return LoadedModel(spec, check_feature(spec, feature), where)


def _listed(items: Sequence[T], what: str) -> list[T]:
    """Return the items; raises UsageError where a single one stands in place of a list."""
    if isinstance(items, str | Path | Image.Image):
        raise UsageError(f"{what} are a list, and {type(items).__name__} is one of them", "write it in [ ]")
    return list(items)


def _log(event: Event) -> None:
    if isinstance(event, Log):
        logging.getLogger(__name__).info(clean(event.message))
