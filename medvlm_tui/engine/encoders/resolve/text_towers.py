"""The text tower of a saved folder, or of a model that open_clip knows by name, from its own configuration files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.core.text_specs import Cleaning, Probability, TextSpec, TokenizerSpec
from medvlm_tui.engine.encoders.config_fields import Fields, read_fields
from medvlm_tui.engine.encoders.weights.stored_names import holds

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_BERT_POOLS: Mapping[str, str] = {"mean_pooler": "mean", "cls_last_hidden_state_pooler": "cls"}
_HEADS: Mapping[str, str] = {"mlp": "mlp", "linear": "linear"}
_CLEANINGS: Mapping[str, Cleaning] = {"whitespace": "whitespace", "lower": "lower", "canonicalize": "canonicalize"}
_CONTEXT = 77
_SIGLIP_CONTEXT = 64
_MOST_CONTEXT = 8192


def with_open_clip_text(spec: ModelSpec, config: Fields, folder: Path | None) -> ModelSpec:
    """Return the record with the text tower of an open_clip_config.json; its `text_encoder` says what is not served."""
    model = config.below("model_cfg")
    text = model.below("text_cfg")
    if not text.values:
        return spec
    context = text.whole("context_length", _CONTEXT, most=_MOST_CONTEXT)
    sigmoid: Probability = "sigmoid" if model.has("init_logit_bias") else "softmax"
    joins = dict.fromkeys(spec.features, "")
    dim = spec.dim()
    if text.has("hf_model_name"):
        pool = text.text("hf_pooler_type", "mean_pooler")
        head = text.text("hf_proj_type", "mlp")
        if pool not in _BERT_POOLS or head not in _HEADS:
            return replace(
                spec, text_encoder=f"one with {clean(pool)[:40]} and {clean(head)[:40]}, which is not served"
            )
        options = {
            "prefix": "text.transformer.",
            "projection": "text.proj.",
            "head": head,
            "pooling": _BERT_POOLS[pool],
        }
        return replace(
            spec, text=TextSpec("text_bert", dim, context, _wordpiece(text, folder), joins, sigmoid, options)
        )
    tokenizer = _stored(text) if text.has("hf_tokenizer_name") else TokenizerSpec("clip")
    if tokenizer is None:
        return replace(spec, text_encoder="one whose tokenizer is changed in a way that is not served")
    return replace(spec, text=TextSpec("text_open_clip", dim, context, tokenizer, joins, sigmoid))


def _wordpiece(text: Fields, folder: Path | None) -> TokenizerSpec:
    if folder is not None and (folder / "tokenizer.json").is_file() and not (folder / "vocab.txt").is_file():
        return TokenizerSpec("json", cleaning="whitespace")
    return TokenizerSpec("wordpiece", _source(text, text.text("hf_model_name", "")), cleaning="whitespace")


def _stored(text: Fields) -> TokenizerSpec | None:
    arguments = text.below("tokenizer_kwargs")
    wanted = arguments.text("clean", "whitespace")
    if text.values.get("tokenizer_mode") or arguments.truth("strip_sep_token", False) or wanted not in _CLEANINGS:
        return None
    return TokenizerSpec("json", _source(text, ""), cleaning=_CLEANINGS[wanted])


def _source(text: Fields, otherwise: str) -> str:
    """Return the hub repository that a description names, empty where it names none plainly."""
    name = text.text("hf_tokenizer_name", otherwise)
    return f"hub:{name}" if _REPOSITORY.fullmatch(name) else ""


def with_transformers_text(spec: ModelSpec, config: Fields, folder: Path) -> ModelSpec:
    """Return the record with the text tower of a CLIP or SigLIP folder; as it is where the folder has none."""
    kind = str(config.values.get("model_type", ""))
    feature = {"clip": "image", "siglip": "pooled"}.get(kind, "")
    if feature not in spec.features or not config.has("text_config"):
        return spec
    text = config.below("text_config")
    joins = {feature: ""}
    if kind == "clip":
        if not holds(folder, ("text_projection.weight",), True):
            return spec
        context = text.whole("max_position_embeddings", _CONTEXT, most=_MOST_CONTEXT)
        found = TextSpec(
            "text_transformers", spec.dim(feature), context, _clip(folder), joins, options={"class": "clip"}
        )
        return replace(spec, text=found)
    if not holds(folder, ("text_model.head.weight",), True):
        return spec
    context = text.whole("max_position_embeddings", _SIGLIP_CONTEXT, most=_MOST_CONTEXT)
    options = {"class": "siglip"}
    tower = TextSpec("text_transformers", spec.dim(feature), context, _siglip(folder), joins, "sigmoid", options)
    return replace(spec, text=tower)


def _clip(folder: Path) -> TokenizerSpec:
    if (folder / "tokenizer.json").is_file():
        return TokenizerSpec("json")
    files = ("vocab.json", "merges.txt")
    return TokenizerSpec("clip_fast", files=files if all((folder / file).is_file() for file in files) else ())


def _siglip(folder: Path) -> TokenizerSpec:
    named = read_fields(folder / "tokenizer_config.json")
    own = named is None or str(named.values.get("tokenizer_class", "SiglipTokenizer")).startswith("SiglipTokenizer")
    return TokenizerSpec("siglip" if own else "json")
