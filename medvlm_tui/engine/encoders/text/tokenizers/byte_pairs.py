"""Byte-pair encodings: CLIP's, as open_clip and as transformers apply it, and that of RoBERTa and Longformer."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import RobertaProcessing

from medvlm_tui.engine.encoders.text.tokens import TextTokenizer
from medvlm_tui.errors import WeightsError

_START, _END = "<|startoftext|>", "<|endoftext|>"
_UNKNOWN = "<unk>"
_SPECIAL = ("<s>", "<pad>", "</s>", _UNKNOWN)


def clip() -> TextTokenizer:
    """Return open_clip's own tokenizer, whose vocabulary comes with that library: cleaned, lower case, padded by 0."""
    from open_clip.tokenizer import SimpleTokenizer

    inner: Any = SimpleTokenizer()

    def encode(text: str) -> list[int]:
        return [inner.sot_token_id, *inner.encode(text), inner.eot_token_id]

    return TextTokenizer(encode, 0, inner.vocab_size)


def clip_fast(vocabulary: Path | None = None, merges: Path | None = None) -> TextTokenizer:
    """Return CLIP's tokenizer as transformers applies it: not cleaned, padded by the end token.

    From vocab.json and merges.txt; without them from the vocabulary that open_clip brings, which is OpenAI's.
    """
    from transformers import CLIPTokenizer

    pairs = _packaged_pairs() if vocabulary is None or merges is None else _stored_pairs(vocabulary, merges)
    entries, joins = pairs
    pairs_given: Any = list(joins)
    inner: Any = CLIPTokenizer(vocab=dict(entries), merges=pairs_given).backend_tokenizer
    return TextTokenizer(lambda text: list(inner.encode(text).ids), entries[_END], len(entries))


def roberta(vocabulary: Path, merges: Path) -> TextTokenizer:
    """Return RoBERTa's tokenizer: no blank before the first word; `<s>` and `</s>` around the text."""
    entries, joins = _stored_pairs(vocabulary, merges)
    if missing := [entry for entry in _SPECIAL if entry not in entries]:
        raise WeightsError(f"{vocabulary} is no vocabulary of RoBERTa: it lacks {', '.join(missing)}", "download again")
    tokenizer = Tokenizer(BPE(entries, joins, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = RobertaProcessing(
        ("</s>", entries["</s>"]), ("<s>", entries["<s>"]), trim_offsets=True, add_prefix_space=False
    )
    tokenizer.add_special_tokens([AddedToken(entry, special=True, normalized=False) for entry in _SPECIAL])
    if "<mask>" in entries:
        tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True, normalized=False)])
    return TextTokenizer(lambda text: list(tokenizer.encode(text).ids), entries["<pad>"], len(entries))


def _stored_pairs(vocabulary: Path, merges: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    try:
        entries = json.loads(vocabulary.read_bytes())
        lines = merges.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{vocabulary.parent}: its tokenizer cannot be read: {error}", "download it again"
        ) from error
    if not isinstance(entries, dict) or not all(type(number) is int for number in entries.values()):
        raise WeightsError(
            f"{vocabulary} is no vocabulary: entries and their numbers belong there", "download it again"
        )
    pairs = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    if any(len(pair) != 2 for pair in pairs):
        raise WeightsError(f"{merges} is no list of merges: two pieces a line belong there", "download it again")
    return entries, [(first, second) for first, second in pairs]


@cache
def _packaged_pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    from open_clip.tokenizer import SimpleTokenizer

    inner: Any = SimpleTokenizer()
    names = {"<start_of_text>": _START, "<end_of_text>": _END}
    return {names.get(entry, entry): number for entry, number in inner.encoder.items()}, list(inner.bpe_ranks)
