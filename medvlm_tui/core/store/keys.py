"""The keys of the store: what they are made of, and the one place that builds them and takes them apart.

    result/STEP              the result of a step, by the step's own key
    block/ENCODER/IMAGES     feature rows of some images by one encoder, by their digests
    rise/SCORES/FIRST-LAST   scores of one image under a range of masks, until the step's result holds them
    rise/SCORES/result       the name of the result that holds them
    bias/STEP/NAME           features of changed images, until the step's result holds them
    TABLE                    a sealed feature table, which lies in files of its own

Words in capitals are digests or names without a slash; only NAME may contain one. Stored entries are found by their
keys: where a key is built differently, its result is computed again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.specs import EncoderKey

Kind = Literal["result", "block", "part"]
TABLE_KEY = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""Pattern of the key of a sealed table, which is also the name of its file."""
_SO_FAR = "-so-far"


@dataclass(frozen=True, slots=True)
class StoreKey:
    """The key of a journal's entry, taken apart."""

    kind: Kind
    """`part`: what an interrupted step goes on from."""
    owner: str
    """Of a result the step's key; of a block the encoder's digest; of a part the first name below its kind, which is
    the step's key for features of changed images."""


def parse(key: str) -> StoreKey:
    """Return what the key of a journal's entry says; whatever is neither result nor block is a part."""
    kind, _, rest = key.partition("/")
    if kind == "result":
        return StoreKey("result", rest)
    return StoreKey("block" if kind == "block" else "part", rest.partition("/")[0])


def group(key: str) -> str:
    """Return what stands before the last slash of a key, or of a prefix that ends with one: such keys lie together."""
    return key.rpartition("/")[0]


# -- steps ---------------------------------------------------------------------------------------------


def step_key(kind: str, version: int, params: Mapping[str, Any], *reads: Any) -> str:
    """Return the key of a step: the digest of its stage's kind and version, its parameters, and what it reads."""
    return of_record([kind, version, dict(params), *reads])


def table_key(version: int, encoder: EncoderKey, dataset_digest: str) -> str:
    """Return the key under which the features of an encoder on a dataset are sealed; `version` is the step's."""
    return of_record(["table", version, encoder.digest, dataset_digest])


def preview_of(step: str) -> str:
    """Return the key, like a step's, of what a step that is not finished has so far."""
    return f"{step}{_SO_FAR}"


# -- entries -------------------------------------------------------------------------------------------


def result(step: str) -> str:
    """Return the key of a step's result."""
    return f"result/{step}"


def blocks(encoder: EncoderKey) -> str:
    """Return the prefix of all feature blocks of an encoder."""
    return f"block/{encoder.digest}/"


def block(encoder: EncoderKey, images: Sequence[str]) -> str:
    """Return the key of the block with the rows of the images with these digests, in their order."""
    return f"{blocks(encoder)}{of_record(images)}"


def is_block_of(key: str, images: Sequence[str]) -> bool:
    """Return whether a block's key is made of these images."""
    return key.rpartition("/")[2] == of_record(images)


def mask_scores(depends: Sequence[object]) -> str:
    """Return the prefix of the scores of one masked image; `depends` is all that they depend on (JSON-able)."""
    return f"rise/{of_record(depends)}/"


def mask_range(scores: str, first: int, end: int) -> str:
    """Return the key of the scores under masks `first` to `end` - 1, below the prefix that `mask_scores` returned."""
    return f"{scores}{first:08d}-{end:08d}"


def mask_scores_result(scores: str) -> str:
    """Return the key of the note which result holds the scores below the prefix that `mask_scores` returned."""
    return f"{scores}result"


def bench_features(step: str, name: str = "") -> str:
    """Return the key of features that a bench keeps under a name; without one the prefix of all of the step's."""
    return f"bias/{step}/{name}"
