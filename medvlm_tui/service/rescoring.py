"""Scores of prompts that are being edited: from stored image features, with the text tower kept loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from medvlm_tui.catalog.models import load_models
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.specs import FeatureTable
from medvlm_tui.core.store.store import Store, Stored
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.resolve.saved_folders import as_stored
from medvlm_tui.engine.encoders.text.joins import join_of
from medvlm_tui.engine.encoders.text.loading import load_text_encoder, require_text
from medvlm_tui.engine.encoders.text.parts import TextParts
from medvlm_tui.engine.encoders.weights.location import locate
from medvlm_tui.engine.language.scores import Held, scored
from medvlm_tui.engine.run.text_inputs import find_text
from medvlm_tui.errors import MedvlmError, MissingInputError
from medvlm_tui.measures.language.zero_shot import class_vectors, unit
from medvlm_tui.stages.language import ZERO_SHOT
from medvlm_tui.stages.records.language import ScoreRecord, ZeroShotRecord
from medvlm_tui.stages.request import RunRequest

Floats = NDArray[np.float64]
_MEAN_KEPT = frozenset({"flair", "keepfit"})


@dataclass(frozen=True, slots=True)
class Rescoring:
    """One cell whose prompts are edited; every text is encoded once, and nothing is stored."""

    found: Stored[ZeroShotRecord]
    parts: TextParts
    images: Floats
    """(n, d) at unit length, in the space of the texts."""
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Text -> its vector."""

    def scores(self, prompts: Sequence[Sequence[str]]) -> Mapping[str, ScoreRecord]:
        """Return the scores of each class's prompts on the held-out images of the stored result.

        Raises MedvlmError where a class has no prompt, or the model cannot be loaded.
        """
        classes, arrays = self.found.record.classes, self.found.arrays
        if len(prompts) != len(classes) or not all(of and all(text.strip() for text in of) for of in prompts):
            raise MedvlmError("a class has no prompt", "every class needs one or more, none of them empty")
        encoder = load_text_encoder(self.parts, "cpu", "fp32")
        new = [text for text in dict.fromkeys(text for of in prompts for text in of) if text not in self.vectors]
        if new:
            self.vectors.update(zip(new, encoder.encode_texts(new).numpy(), strict=True))
        of_classes = [np.stack([self.vectors[text] for text in of]).astype(np.float64) for of in prompts]
        vectors = class_vectors(of_classes, last_unit=self.parts.spec.id not in _MEAN_KEPT)
        held = Held(arrays["hold_out"].astype(np.int64), arrays["labels"].astype(np.int64)[arrays["hold_out"]], None)
        return scored(self.images @ vectors.T, held, encoder.scale, self.found.record.confidence, False)


def open_rescoring(model: str, zero_shot: str, table: str, request: RunRequest, store: Store) -> Rescoring:
    """Return a cell by the keys of its stored results; raises MedvlmError where one of them or the weights are not
    here."""
    found, features = store.read(zero_shot, ZERO_SHOT.record), store.tables.read(table)
    if found is None or features is None:
        raise MedvlmError("the stored zero-shot result or its features are not there any more", "run the cell again")
    parts = _parts(model, found.record.feature, replace(request, stages=("zero_shot",), offline=True))
    return Rescoring(found, parts, _images(features, found.record.feature, parts))


def _parts(model: str, feature: str, request: RunRequest) -> TextParts:
    spec, digests = resolve_model(model, load_models()), FileDigests()
    weights = locate(spec, request.weights.get(spec.id, ""), digests, True)
    if weights.state != "present":
        raise MissingInputError(f"{spec.id}: its weights are {weights.state}", weights.hint)
    text = find_text(as_stored(spec, weights), feature, request, digests)
    if text.parts is None:
        message, _, hint = text.missing.partition("\n")
        raise MissingInputError(message, hint)
    return text.parts


def _images(features: FeatureTable, feature: str, parts: TextParts) -> Floats:
    place = require_text(parts.spec).joins[feature]
    if not place:
        return unit(features.matrix)
    return unit(join_of(parts.weights, place)(torch.from_numpy(np.array(features.matrix, np.float32))).numpy())
