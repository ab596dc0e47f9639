"""The keys of the store, built from literal texts: entries of earlier releases are found by them."""

import hashlib
import re
from pathlib import Path

import pytest

from medvlm_tui.core.specs import EncoderKey
from medvlm_tui.core.store import keys

PACKAGE = Path(keys.__file__).parents[2]
ENCODER = EncoderKey("clip", "weights", "preprocess", "image", "fp32", "code")


def digest(text: str) -> str:
    """Return the first half of a text's sha256 in hex."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def test_each_entry_has_the_key_that_earlier_releases_wrote() -> None:
    images, scores = digest('["a","b"]'), digest('["image",7]')
    assert keys.result("step") == "result/step"
    assert keys.result(keys.preview_of("step")) == "result/step-so-far"
    assert keys.block(ENCODER, ["a", "b"]) == f"block/{ENCODER.digest}/{images}"
    assert keys.mask_range(keys.mask_scores(["image", 7]), 256, 512) == f"rise/{scores}/00000256-00000512"
    assert keys.bench_features("step", "text/0.5") == "bias/step/text/0.5"


def test_each_step_has_the_key_that_earlier_releases_wrote() -> None:
    probe = digest('["probe",3,{"fold":5,"t":1.0},["x","y"]]')
    assert keys.step_key("probe", 3, {"t": 1.0, "fold": 5}, ["x", "y"]) == probe
    assert keys.step_key("ranking", 2, {}) == digest('["ranking",2,{}]')
    assert keys.step_key("check", 1, {}, "d", "e") == digest('["check",1,{},"d","e"]')
    assert keys.table_key(1, ENCODER, "data") == digest(f'["table",1,"{ENCODER.digest}","data"]')


def test_prefixes_stand_before_the_keys_below_them() -> None:
    assert keys.block(ENCODER, ["a"]).startswith(keys.blocks(ENCODER))
    assert keys.bench_features("step", "plain").startswith(keys.bench_features("step"))
    assert not keys.bench_features("step2", "plain").startswith(keys.bench_features("step"))
    assert keys.group(keys.blocks(ENCODER)) == keys.group(keys.block(ENCODER, ["a"]))


@pytest.mark.parametrize(
    ("key", "kind", "owner"),
    [
        (keys.result("step"), "result", "step"),
        (keys.block(ENCODER, ["a"]), "block", ENCODER.digest),
        (keys.bench_features("step", "text/0.5"), "part", "step"),
        (keys.mask_range("rise/scores/", 0, 256), "part", "scores"),
        ("plain", "part", ""),
    ],
)
def test_a_key_is_taken_apart_into_what_it_was_built_of(key: str, kind: str, owner: str) -> None:
    assert keys.parse(key) == keys.StoreKey(kind, owner)


def test_a_block_is_known_by_its_images_in_their_order() -> None:
    key = keys.block(ENCODER, ["a", "b"])
    assert keys.is_block_of(key, ["a", "b"])
    assert not keys.is_block_of(key, ["b", "a"])


def test_no_other_module_spells_a_key() -> None:
    spelled = re.compile(r"""["'](?:result|block|rise|bias)/""")
    assert [path for path in PACKAGE.rglob("*.py") if spelled.search(path.read_text())] == [Path(keys.__file__)]
