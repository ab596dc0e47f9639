"""Tokenizers against those of transformers and open_clip, on strings that trip them."""

from __future__ import annotations

import json

import open_clip
import pytest
import transformers
from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel

from medvlm_tui.engine.encoders.text.tokenizers import byte_pairs, cleaning, wordpiece

TRICKY = [
    "",
    "   ",
    "no diabetic retinopathy",
    "Left Breast, RT AXILLA",
    "COVID-19 ground-glass opacity; SJS/TEN",
    "β-catenin and α-SMA, 5 µm versus 5 μm",
    "naïve Ménière’s disease",
    "naïve Ménière’s disease",
    "pneumonia 肺炎 ☢ 🫁",
    "  optic \t disc\n edema  ",
    "AT&amp;T &lt;5 mm ﬁbrosis ＡＢＣ ½",
    "a [CLS] token, a [MASK] and <s> </s> <pad> <mask> <|endoftext|> <end_of_text>",
    "it's 3.2 × 1.5 cm (90%) < -20 HU",
    "x" * 130,
    "hyperparakeratosis_and/or",
    "\x00\x07zero\u200bwidth\ufeff\u00ad",
]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz0123456789"]
PIECES += (
    [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    + list("-,.;/()<>[]&%'’肺炎×µμαβ|")
    + ["no", "##ing"]
)


def test_wordpiece_is_that_of_transformers(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    ours = wordpiece.load(tmp_path / "vocab.txt")
    theirs = transformers.BertTokenizer(
        vocab={piece: number for number, piece in enumerate(PIECES)}, do_lower_case=True
    )
    for text in TRICKY:
        assert ours.encode(text) == theirs(text)["input_ids"], text


def test_clips_byte_pairs_are_open_clips():
    ours = byte_pairs.clip()
    for text in TRICKY:
        theirs = open_clip.tokenize([text], context_length=300)[0].tolist()
        found = ours.encode(text)
        assert found == theirs[: len(found)], text
        assert not any(theirs[len(found) :])


def test_clips_byte_pairs_as_transformers_applies_them(tmp_path):
    entries, pairs = byte_pairs._packaged_pairs()
    theirs = transformers.CLIPTokenizer(vocab=dict(entries), merges=list(pairs))
    (tmp_path / "vocab.json").write_text(json.dumps(entries))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in pairs) + "\n")
    packaged = byte_pairs.clip_fast()
    stored = byte_pairs.clip_fast(tmp_path / "vocab.json", tmp_path / "merges.txt")
    for text in TRICKY:
        assert packaged.encode(text) == stored.encode(text) == theirs(text)["input_ids"], text


def test_byte_level_pairs_are_robertas(tmp_path):
    letters = ByteLevel.alphabet()
    merges = [("Ġ", "a"), ("n", "o"), ("Ġ", "t"), ("e", "n"), ("Ġa", "n"), ("1", "9")]
    entries = ["<s>", "<pad>", "</s>", "<unk>", *sorted(letters), *("".join(pair) for pair in merges), "<mask>"]
    table = {entry: number for number, entry in enumerate(entries)}
    (tmp_path / "vocab.json").write_text(json.dumps(table))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n")
    ours = byte_pairs.roberta(tmp_path / "vocab.json", tmp_path / "merges.txt")
    # As its published files have it, and transformers 4 by default: the mask takes the blank before it.
    mask = AddedToken("<mask>", lstrip=True, special=True, normalized=False)
    theirs = transformers.RobertaTokenizer(vocab=table, merges=merges, mask_token=mask)
    for text in TRICKY:
        assert ours.encode(text) == theirs(text)["input_ids"], text
    assert ours.pad_id == 1


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("words", "X-ray,  CT/MR: it's", "x - ray , ct / mr : it ' s"),
        ("whitespace", " ﬁne &amp;amp; “so”\n", 'fine & "so"'),
        ("canonicalize", "X-ray_one, (2)", "xray one 2"),
        ("", " as  it is ", " as  it is "),
    ],
)
def test_cleaning(kind, text, expected):
    assert cleaning.cleaned(kind)(text) == expected


def test_a_long_text_keeps_the_id_that_ends_it():
    tokens = byte_pairs.clip().tokens(["word " * 100, "word"], 77)
    assert tokens.ids.shape == (2, 77)
    assert tokens.ids[0, -1] == 49407
    assert tokens.lengths.tolist() == [77, 3]
    assert tokens.cut.tolist() == [True, False]
    assert (tokens.ids[1, 3:] == 0).all()
