"""From a model's record to its text encoder: weights, tokenizer, key, network. Imports no torch until one is loaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from medvlm_tui.core.digests import FileDigests, of_record
from medvlm_tui.core.specs import EncoderKey, ModelSpec, Precision
from medvlm_tui.core.text_specs import MATRIX, TextSpec
from medvlm_tui.engine.encoders.last_loaded import LastLoaded
from medvlm_tui.engine.encoders.registry import build, family_entry
from medvlm_tui.engine.encoders.text.parts import TextParts
from medvlm_tui.engine.encoders.text.tokenizer_files import locate_tokenizer
from medvlm_tui.engine.encoders.weights.location import locate
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.step.device_memory import naming_shortage
from medvlm_tui.engine.step.device_session import open_device
from medvlm_tui.errors import MissingInputError, UsageError

if TYPE_CHECKING:
    from medvlm_tui.engine.encoders.text.encoder import TextEncoder
    from medvlm_tui.engine.encoders.text.network import TextTower
    from medvlm_tui.engine.encoders.text.tokens import TextTokenizer

FEATURE = "text"


def require_text(spec: ModelSpec) -> TextSpec:
    """Return the text tower of a model; raises UsageError, which says in one line what it has instead."""
    if spec.text is None:
        raise UsageError(no_text(spec), "`medvlm-tui models` marks those that have one")
    return spec.text


def no_text(spec: ModelSpec) -> str:
    """Return in one line why a model has no text vectors."""
    own = f": its text side is {spec.text_encoder}" if spec.text_encoder else ""
    return f"{spec.id} has no text tower that shares a space with its images{own}"


def text_tower_of(spec: ModelSpec) -> ModelSpec:
    """Return the record of the text tower alone, by which its weights are located, digested and loaded."""
    text = require_text(spec)
    options = {name: spec.options[name] for name in ("read_config",) if name in spec.options}
    shell = replace(spec, family=text.family, features={FEATURE: text.dim}, tensors=text.tensors, volume=None)
    return replace(shell, options={**options, "reads": _reads(shell, text)})


def _reads(shell: ModelSpec, text: TextSpec) -> str:
    """Return the regular expression for the tensors of the tower and of the joins."""
    own = family_entry(shell).reads or _bert_reads(text)
    joins = [rf"(^|\.){re.escape(place.removeprefix(MATRIX))}" for place in text.joins.values() if place]
    return "|".join([own, *joins])


def _bert_reads(text: TextSpec) -> str:
    parts = [str(text.options[name]) for name in ("prefix", "projection")]
    scale = re.escape(str(text.options.get("scale", "logit_scale")))
    return "|".join([*(rf"(^|\.){re.escape(part)}" for part in parts), rf"(^|\.){scale}$"])


def locate_text(
    spec: ModelSpec, override: str, folder: str, digests: FileDigests | None, offline: bool = False
) -> TextParts:
    """Return where a model's text weights and tokenizer are; raises UsageError for a model without a text tower.

    `override` is the file or folder of the weights, `folder` that of the tokenizer, where the user named them.
    """
    weights = locate(text_tower_of(spec), override, digests, offline)
    return with_tokenizer(spec, weights, folder, digests)


def with_tokenizer(spec: ModelSpec, weights: Weights, folder: str, digests: FileDigests | None) -> TextParts:
    """Return the weights of a model's text tower with its tokenizer, which may lie beside them."""
    return TextParts(spec, weights, locate_tokenizer(spec, require_text(spec), folder, weights.path, digests))


def text_key(parts: TextParts, precision: Precision) -> EncoderKey:
    """Return the key of everything that a text's vector depends on besides the text. Needs no torch."""
    text = require_text(parts.spec)
    entry = family_entry(text_tower_of(parts.spec))
    network = of_record([parts.spec.architecture, dict(text.options), text.dim, dict(text.joins)])[:8]
    return EncoderKey(
        model=parts.spec.id,
        weights_digest=parts.weights.digest,
        preprocess_digest=parts.tokenizer.digest,
        feature=FEATURE,
        precision=precision,
        code_version=f"{text.family}-{entry.code_version}-{network}",
    )


def load_text_encoder(parts: TextParts, device: str, precision: Precision) -> TextEncoder:
    """Return the text encoder, loaded onto its device (a step asks `TextEncoders` for the one that its worker keeps).

    Raises MissingInputError where weights or tokenizer are not here, WeightsError where they do not fit.
    """
    if parts.missing or parts.weights.path is None:
        hint = parts.weights.hint or parts.tokenizer.hint
        raise MissingInputError(f"the text tower of {parts.spec.id} cannot be loaded", hint)
    with naming_shortage(f"the text tower of {parts.spec.id} ({precision})", device):
        open_device(device)
    return _encoder(parts, device, precision)


class TextEncoders:
    """Text encoders by what they are loaded for; the last one is kept and given out again."""

    def __init__(self) -> None:
        self._last: LastLoaded[TextEncoder] = LastLoaded()

    def get(self, parts: TextParts, device: str, precision: Precision) -> TextEncoder:
        """Return the text encoder on its device; raises what `load_text_encoder` raises."""
        wanted = text_key(parts, precision), parts.weights.path, device
        return self._last.get(wanted, partial(load_text_encoder, parts, device, precision))

    def close(self) -> None:
        """Release the text encoder, and its GPU memory."""
        self._last.forget()


def _encoder(parts: TextParts, device: str, precision: Precision) -> TextEncoder:
    from medvlm_tui.engine.encoders.text.network import NetworkTextEncoder

    text = require_text(parts.spec)
    tower: TextTower = build(text_tower_of(parts.spec), parts.weights, FEATURE, "cpu", precision)
    tokenizer = tower.tokenizer or _TOKENIZERS[text.tokenizer.kind](text, parts.tokenizer.files)
    _complete(text, tower, parts)
    return NetworkTextEncoder(parts.spec, text, tower, tokenizer, device, precision)


def _complete(text: TextSpec, tower: TextTower, parts: TextParts) -> None:
    """Add what lies outside the tower: projections of images, and the words that learned prompts stand between."""
    from medvlm_tui.engine.encoders.text.joins import join_of

    tower.joins = {feature: join_of(parts.weights, place) for feature, place in text.joins.items() if place}
    if text.tokenizer.kind == "ranks":
        from medvlm_tui.engine.encoders.text.towers.ranks import with_words

        with_words(tower, next(path for name, path in parts.tokenizer.files.items() if not name.endswith(".json")))


def _cleaning(text: TextSpec, made: TextTokenizer) -> TextTokenizer:
    from medvlm_tui.engine.encoders.text.tokenizers.cleaning import cleaned

    clean, encode = cleaned(text.tokenizer.cleaning), made.encode
    return replace(made, encode=lambda line: encode(clean(line)))


def _wordpiece(text: TextSpec, files: Mapping[str, Path]) -> TextTokenizer:
    from medvlm_tui.engine.encoders.text.tokenizers import wordpiece

    return _cleaning(text, wordpiece.load(files["vocab.txt"]))


def _clip(text: TextSpec, files: Mapping[str, Path]) -> TextTokenizer:
    from medvlm_tui.engine.encoders.text.tokenizers import byte_pairs

    return byte_pairs.clip()


def _clip_fast(text: TextSpec, files: Mapping[str, Path]) -> TextTokenizer:
    from medvlm_tui.engine.encoders.text.tokenizers import byte_pairs

    return _cleaning(text, byte_pairs.clip_fast(files.get("vocab.json"), files.get("merges.txt")))


def _byte_level(text: TextSpec, files: Mapping[str, Path]) -> TextTokenizer:
    from medvlm_tui.engine.encoders.text.tokenizers import byte_pairs

    return _cleaning(text, byte_pairs.roberta(files["vocab.json"], files["merges.txt"]))


def _json(text: TextSpec, files: Mapping[str, Path]) -> TextTokenizer:
    from medvlm_tui.engine.encoders.text.tokenizers import stored

    own = next(path for name, path in files.items() if name != "tokenizer_config.json")
    return _cleaning(text, stored.load(own, files.get("tokenizer_config.json")))


def _siglip(text: TextSpec, files: Mapping[str, Path]) -> TextTokenizer:
    from medvlm_tui.engine.encoders.text.tokenizers import siglip

    return _cleaning(text, siglip.load(files["tokenizer.json"]))


_TOKENIZERS: Mapping[str, Callable[[TextSpec, Mapping[str, Path]], TextTokenizer]] = {
    "wordpiece": _wordpiece,
    "clip": _clip,
    "clip_fast": _clip_fast,
    "byte_level": _byte_level,
    "json": _json,
    "siglip": _siglip,
}
