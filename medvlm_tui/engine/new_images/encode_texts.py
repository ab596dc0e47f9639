"""Vectors of a few texts, beside those of images where there are some: what `medvlm-tui encode --texts` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.atomic_files import EXPORTED_FILE, EXPORTED_FOLDER, make_directory, replacing
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.core.text_specs import TextSpec
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.text.encoder import Scale, TextEncoder
from medvlm_tui.engine.encoders.text.loading import (
    load_text_encoder,
    require_text,
    text_tower_of,
    with_tokenizer,
)
from medvlm_tui.engine.encoders.text.parts import TextParts
from medvlm_tui.engine.encoders.text.tokenizer_files import repository, wanted
from medvlm_tui.engine.encoders.text.tokens import Tokens
from medvlm_tui.engine.encoders.weights.download import fetch_named
from medvlm_tui.engine.encoders.weights.downloads import Say
from medvlm_tui.engine.new_images.encode import Encoded, Where, encode_files, found_weights
from medvlm_tui.engine.step import devices
from medvlm_tui.errors import MissingInputError, UsageError


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Result of encoding the texts, and the images beside them."""

    texts: tuple[str, ...]
    tokens: Tokens | None
    """None for vectors of a language model, which have no tokens here."""
    features: NDArray[np.float32]
    """(n, dim), not normalised, one row a text."""
    scale: Scale
    report: str
    images: Encoded | None = None
    joined: NDArray[np.float32] | None = None
    """(images, dim) image vectors in the space of the texts, not normalised."""

    @property
    def cosines(self) -> NDArray[np.float32] | None:
        """(images, texts), None without images."""
        return None if self.joined is None else unit_vectors(self.joined) @ unit_vectors(self.features).T

    @property
    def cut(self) -> int:
        """Return how many texts were longer than the model's context."""
        return 0 if self.tokens is None else int(self.tokens.cut.sum())


def encode_texts(
    model: str, texts: Sequence[str], images: Sequence[Path], where: Where, say: Say | None = None
) -> EncodedTexts:
    """Encode texts, and images into the same space, with a model of the catalog or of a prefix.

    Raises UsageError for a model without a text tower, MissingInputError where weights, tokenizer or files are not
    there, WeightsError for a checkpoint that does not fit.
    """
    spec = resolve_model(model, load_models())
    encoder = load_texts(spec, where, say)
    tokens = encoder.tokens(texts)
    made = EncodedTexts(tuple(texts), tokens, encoder.encode_texts(texts).numpy(), encoder.scale, str(encoder.report))
    return _with_images(made, model, encoder, images, where, say)


def encode_vectors(
    model: str, vectors: Path, images: Sequence[Path], where: Where, say: Say | None = None
) -> EncodedTexts:
    """Lead a language model's vectors (n, d) of a .npy file through a model's adapter; raises as `encode_texts`."""
    spec = resolve_model(model, load_models())
    if require_text(spec).tokenizer.kind != "vectors":
        raise UsageError(f"{model} reads texts, not vectors of a language model", "--texts FILE")
    encoder = load_texts(spec, where, say)
    given = _read_vectors(vectors)
    names = tuple(f"{vectors.name}[{row}]" for row in range(len(given)))
    features = encoder.encode_vectors(torch.from_numpy(given)).numpy()
    made = EncodedTexts(names, None, features, encoder.scale, str(encoder.report))
    return _with_images(made, model, encoder, images, where, say)


def read_texts(path: Path) -> list[str]:
    """Return the texts of a file, a JSON list of strings or one text a line; raises MissingInputError, UsageError."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MissingInputError(f"{path} cannot be read: {error.strerror}", "check the path") from error
    except ValueError as error:
        raise UsageError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
    if content.lstrip().startswith("["):
        try:
            listed = json.loads(content)
        except ValueError as error:
            raise UsageError(f"{path} begins as a JSON list, and is none: {error}", 'write ["text", ...]') from error
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise UsageError(f"{path} is no JSON list of strings", 'write ["text", ...]')
        return listed
    return content.splitlines()


def save_texts(made: EncodedTexts, out: Path) -> None:
    """Write F.npz: texts, token_ids, text_features, logit_scale, logit_bias where there is one; of images also
    names, features (in the space of the texts) and cosines (images, texts). Raises OSError."""
    arrays: dict[str, Any] = {
        "texts": np.array(made.texts, dtype=str),
        "text_features": made.features,
        "logit_scale": np.float32(made.scale.factor),
    }
    if made.tokens is not None:
        arrays["token_ids"] = made.tokens.ids
        arrays["cut"] = made.tokens.cut
    if made.scale.bias is not None:
        arrays["logit_bias"] = np.float32(made.scale.bias)
    if made.images is not None and made.joined is not None:
        arrays |= {"names": np.array(made.images.names), "features": made.joined, "cosines": made.cosines}
    make_directory(out.parent, EXPORTED_FOLDER)
    with replacing(out, EXPORTED_FILE) as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_texts(spec: ModelSpec, where: Where, say: Say | None) -> TextEncoder:
    """Return a model's text tower; raises as `encode_texts`."""
    parts = located(spec, where, say)
    machine = devices.choose(where.device, "fp32" if where.precision == "auto" else where.precision)
    return load_text_encoder(parts, machine.device, machine.precision)


def located(spec: ModelSpec, where: Where, say: Say | None) -> TextParts:
    """Return where a model's text tower is, after what may be fetched has been; raises MissingInputError."""
    text = require_text(spec)
    weights = found_weights(text_tower_of(spec), where.weights, where.offline, say)
    parts = with_tokenizer(spec, weights, where.tokenizer, None)
    fetchable = say is not None and not where.offline and repository(text) and not where.tokenizer
    if fetchable and not parts.tokenizer.present:
        fetch_named(spec, repository(text), wanted(text))
        parts = with_tokenizer(spec, weights, where.tokenizer, None)
    if parts.weights.state != "present":
        raise MissingInputError(f"the weights of {spec.id} are {parts.weights.state}", parts.weights.hint)
    if not parts.tokenizer.present:
        raise MissingInputError(f"the tokenizer of {spec.id} is missing", parts.tokenizer.hint)
    return parts


def _with_images(
    made: EncodedTexts, model: str, encoder: TextEncoder, images: Sequence[Path], where: Where, say: Say | None
) -> EncodedTexts:
    if not images:
        return made
    feature = image_feature(encoder.text)
    found = encode_files(
        model, images, weights=where.weights, feature=feature, device=where.device, precision=where.precision,
        offline=where.offline, say=say,
    )  # fmt: skip
    joined = encoder.join(torch.from_numpy(found.features), feature).numpy()
    report = f"{made.report}; images: {found.report}"
    return EncodedTexts(made.texts, made.tokens, made.features, made.scale, report, found, joined)


def image_feature(text: TextSpec) -> str:
    """Return the image feature that lies in the space of the texts, or the first that leads there."""
    return next((feature for feature, place in text.joins.items() if not place), next(iter(text.joins)))


def _read_vectors(path: Path) -> NDArray[np.float32]:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MissingInputError(f"{path} cannot be read as an array: {error}", "numpy.save(FILE, vectors)") from error
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise UsageError(f"{path} holds no table (n, d) of floating-point numbers", "one row a text")
    return np.ascontiguousarray(vectors, dtype=np.float32)


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows of unit length; a row of zeros stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
