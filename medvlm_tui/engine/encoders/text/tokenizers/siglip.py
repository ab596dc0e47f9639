"""SigLIP's SentencePiece, as transformers' `SiglipTokenizer` applies it, read from the fast tokenizer.json.

The two are not one function: the fast file keeps `/`, `<` and `>`, and puts a blank before what follows a special
entry. Here the text is cleaned as the slow class does it, and the file is given what is left.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medvlm_tui.engine.encoders.text.tokenizers import stored
from medvlm_tui.engine.encoders.text.tokens import TextTokenizer
from medvlm_tui.errors import WeightsError

_BLANK = "▁"
_END, _UNKNOWN = "</s>", "<unk>"
_SPECIAL = re.compile(rf"({re.escape(_END)}|{re.escape(_UNKNOWN)})")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
Pieces = Callable[[str], list[int]]


def load(path: Path) -> TextTokenizer:
    """Return the tokenizer of a tokenizer.json; its padding is the entry that ends a text."""
    content = stored.table(path)
    first, later = _pieces(content, path, blank=True), _pieces(content, path, blank=False)
    whole = stored.read(path.read_bytes(), path)
    numbers = {entry: whole.token_to_id(entry) for entry in (_END, _UNKNOWN)}
    if None in numbers.values():
        raise WeightsError(f"{path} is no tokenizer of SigLIP: it lacks </s> or <unk>", "download it again")
    known = {entry: int(number or 0) for entry, number in numbers.items()}

    def encode(text: str) -> list[int]:
        ids: list[int] = []
        for place, part in enumerate(_SPECIAL.split(text.replace(_BLANK, " "))):
            if part in known:
                ids.append(known[part])
            elif part := _canonical(part):
                ids += (first if place == 0 else later)(part)
        return ids if ids and ids[-1] == known[_END] else [*ids, known[_END]]

    return TextTokenizer(encode, known[_END], whole.get_vocab_size())


def _canonical(text: str) -> str:
    return re.sub(r"\s+", " ", text.lower().translate(_PUNCTUATION)).strip()


def _pieces(content: dict[str, object], path: Path, blank: bool) -> Pieces:
    """Return the function of canonical text to ids, which puts a blank before it or does not."""
    table: dict[str, Any] = {**content, "added_tokens": [], "post_processor": None, "decoder": None}
    scheme = "always" if blank else "never"
    table["pre_tokenizer"] = {"type": "Metaspace", "replacement": _BLANK, "prepend_scheme": scheme, "split": True}
    tokenizer = stored.read(json.dumps(table).encode(), path)
    return lambda text: list(tokenizer.encode(text).ids)
