"""BERT's WordPiece, from a vocab.txt: lower case, accents off, words over 100 letters unknown."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from medvlm_tui.engine.encoders.text.tokens import TextTokenizer
from medvlm_tui.errors import WeightsError

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NEEDED = _SPECIAL[:4]
_UNKNOWN = _SPECIAL[1]


def load(path: Path) -> TextTokenizer:
    """Return the tokenizer of a vocab.txt, one entry per line; raises WeightsError where a special entry is missing."""
    vocabulary = read_vocabulary(path)
    if missing := [entry for entry in _NEEDED if entry not in vocabulary]:
        raise WeightsError(f"{path} is no vocabulary of BERT: it lacks {', '.join(missing)}", "download it again")
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=_UNKNOWN, max_input_chars_per_word=100))
    tokenizer.normalizer = BertNormalizer(clean_text=True, handle_chinese_chars=True, lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    known = [AddedToken(entry, special=True, normalized=False) for entry in _SPECIAL if entry in vocabulary]
    tokenizer.add_special_tokens(known)
    return TextTokenizer(
        lambda text: list(tokenizer.encode(text).ids), vocabulary["[PAD]"], len(vocabulary), exact_size=True
    )


def read_vocabulary(path: Path) -> dict[str, int]:
    """Return entry -> id of a vocab.txt; raises WeightsError for a file that is no text."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}", "download it again") from error
    if lines and not lines[-1]:
        lines.pop()
    return {line.rstrip("\r"): number for number, line in enumerate(lines)}
