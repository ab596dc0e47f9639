"""Vectors of texts from the store; those that are not there yet are computed and stored, as image features are.

A text's vector depends on the text and on the key of the text encoder alone: another wording costs only its own texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.core.digests import of_bytes, of_record
from medvlm_tui.core.specs import EncoderKey, Precision
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.text.encoder import Scale
from medvlm_tui.engine.encoders.text.loading import TextEncoders
from medvlm_tui.engine.encoders.text.parts import TextParts
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.job import StepContext

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """Texts as the model reads them."""

    vectors: Mapping[str, Vectors]
    """Text -> its projected vector (d,), not normalised."""
    tokens: Mapping[str, int]
    """Text -> its number of token ids."""
    cut: frozenset[str]
    """Texts longer than the model's context."""
    scale: Scale


def text_features(
    texts: Sequence[str], parts: TextParts, key: EncoderKey, context: StepContext, device: str
) -> TextFeatures:
    """Return the vectors of texts; the tower is loaded only when one of them is new."""
    store, wanted = context.store, list(dict.fromkeys(texts))
    digests = {text: of_bytes(text.encode()) for text in wanted}
    rows = _stored(store, key, set(digests.values()))
    said = _said(store, key)
    new = [text for text in wanted if digests[text] not in rows or digests[text] not in said.tokens]
    if new or said.scale is None:
        rows |= _computed(new, digests, parts, key, context, device)
        said = _said(store, key)
    assert said.scale is not None
    return TextFeatures(
        vectors={text: rows[digests[text]] for text in wanted},
        tokens={text: said.tokens[digests[text]] for text in wanted},
        cut=frozenset(text for text in wanted if digests[text] in said.cut),
        scale=said.scale,
    )


def _stored(store: Store, key: EncoderKey, wanted: set[str]) -> dict[str, Vectors]:
    found: dict[str, Vectors] = {}
    for digests, rows in store.blocks(key, wanted):
        found |= {digest: row for digest, row in zip(digests, rows, strict=True) if digest in wanted}
    return found


def _computed(
    texts: Sequence[str],
    digests: Mapping[str, str],
    parts: TextParts,
    key: EncoderKey,
    context: StepContext,
    device: str,
) -> dict[str, Vectors]:
    machine = devices.choose(device, key.precision)
    precision: Precision = machine.precision
    encoder = context.resources.of(TextEncoders).get(parts, machine.device, precision)
    tokens = encoder.tokens(texts)
    rows: Vectors = encoder.encode_texts(texts).numpy()
    names = [digests[text] for text in texts]
    entry = {
        "scale": asdict(encoder.scale),
        "tokens": {name: int(length) for name, length in zip(names, tokens.lengths, strict=True)},
        "cut": [name for name, cut in zip(names, tokens.cut, strict=True) if cut],
    }
    if texts:
        context.store.put_block(key, names, rows)
    context.store.put(f"{_place(key)}{of_record(names)}", json.dumps(entry).encode())
    return dict(zip(names, rows, strict=True))


@dataclass(frozen=True, slots=True)
class _Said:
    """Scale from the checkpoint; counts of tokens and the texts that were cut, by the digests of texts."""

    scale: Scale | None
    tokens: Mapping[str, int]
    cut: frozenset[str]


def _said(store: Store, key: EncoderKey) -> _Said:
    scale: Scale | None = None
    tokens: dict[str, int] = {}
    cut: set[str] = set()
    for name in store.keys(_place(key)):
        entry = json.loads(store.get(name) or b"{}")
        if entry:
            scale = Scale(**entry["scale"])
            tokens |= entry["tokens"]
            cut |= set(entry["cut"])
    return _Said(scale, tokens, frozenset(cut))


def _place(key: EncoderKey) -> str:
    return f"texts/{key.digest}/"
