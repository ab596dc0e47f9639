"""A tokenizer.json, taken as the library `tokenizers` reads it: CONCH's own, and those of saved folders."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.encoders.config_fields import read_fields
from medvlm_tui.engine.encoders.text.tokens import TextTokenizer
from medvlm_tui.errors import WeightsError

_PADDINGS = ("<pad>", "[PAD]", "<|endoftext|>", "</s>")


def load(path: Path, beside: Path | None = None) -> TextTokenizer:
    """Return the tokenizer of a file in the format of `tokenizers`; raises WeightsError.

    Its padding is the one that `beside`, a tokenizer_config.json, names, else the usual entry it has.
    """
    tokenizer = read(path.read_bytes(), path)
    named = read_fields(beside) if beside is not None else None
    entry = None if named is None else named.values.get("pad_token")
    if isinstance(entry, dict):
        entry = entry.get("content")
    wanted = [entry] if isinstance(entry, str) else [*_PADDINGS]
    numbers = [number for name in wanted if (number := tokenizer.token_to_id(name)) is not None]
    if not numbers:
        raise WeightsError(f"{path} has no padding entry", "name one as pad_token in tokenizer_config.json beside it")
    return TextTokenizer(lambda text: list(tokenizer.encode(text).ids), numbers[0], tokenizer.get_vocab_size())


def read(content: bytes, path: Path) -> Tokenizer:
    """Return the tokenizer that a file's bytes describe, without its own padding and truncation."""
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
    except Exception as error:  # the library raises plain Exceptions
        raise WeightsError(f"{path} is no tokenizer: {clean(str(error))[:200]}", "download it again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def table(path: Path) -> dict[str, object]:
    """Return the JSON object of a tokenizer file; raises WeightsError."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is no tokenizer: {clean(str(error))[:200]}", "download it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is no tokenizer: it is not a JSON object", "download it again")
    return content
