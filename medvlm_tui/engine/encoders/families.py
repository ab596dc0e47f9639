"""Which module serves which family, and the key of an encoder. Imports no torch until an encoder is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.specs import EncoderKey, ModelSpec, Precision, PreprocessSpec
from medvlm_tui.core.windows import FILE
from medvlm_tui.errors import MissingInputError, UsageError

if TYPE_CHECKING:
    from medvlm_tui.engine.encoders.base import Encoder, Family
    from medvlm_tui.engine.encoders.weights import Weights


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """One module of this folder."""

    module: str
    code_version: str
    """Raised when the module's numbers change: stored features of the older version are then computed anew."""
    config_files: tuple[str, ...] = ()
    """Files beside a checkpoint that define the network; part of the weights' digest when they are there."""


_HERE = "medvlm_tui.engine.encoders"
FAMILIES: Mapping[str, FamilyEntry] = {
    "open_clip": FamilyEntry(f"{_HERE}.open_clip_", "1", ("open_clip_config.json",)),
    "transformers": FamilyEntry(f"{_HERE}.transformers_", "1", ("config.json",)),
    "timm": FamilyEntry(f"{_HERE}.timm_", "1"),
    "torchvision": FamilyEntry(f"{_HERE}.torchvision_", "1"),
    "flair": FamilyEntry(f"{_HERE}.flair", "1"),
    "cxr_clip": FamilyEntry(f"{_HERE}.cxr_clip", "1"),
    "conch": FamilyEntry(f"{_HERE}.conch", "1"),
    "panderm": FamilyEntry(f"{_HERE}.panderm", "1"),
    "ctranspath": FamilyEntry(f"{_HERE}.ctranspath", "1"),
    "visionunite": FamilyEntry(f"{_HERE}.visionunite", "1"),
    "llava": FamilyEntry(f"{_HERE}.llava", "1", ("config.json",)),
    "mammo_clip": FamilyEntry(f"{_HERE}.mammo_clip", "1"),
    "efficientnet_lite": FamilyEntry(f"{_HERE}.efficientnet_lite", "1"),
}


def family_entry(spec: ModelSpec) -> FamilyEntry:
    """Return the family of a model; raises UsageError when there is none of that name."""
    if spec.family not in FAMILIES:
        raise UsageError(f"model {spec.id}: unknown family {spec.family!r}", f"one of {', '.join(FAMILIES)}")
    return FAMILIES[spec.family]


def check_feature(spec: ModelSpec, feature: str) -> str:
    """Return the feature's name, the default one for an empty name; raises UsageError when there is none."""
    name = feature or spec.default_feature
    if name not in spec.features:
        raise UsageError(f"{spec.id} has no feature {name!r}", f"it has {', '.join(spec.features)}")
    return name


def encoder_key(
    spec: ModelSpec, weights: Weights, feature: str, precision: Precision, window: str = FILE
) -> EncoderKey:
    """Return the key of everything that this encoder's features depend on. Needs no torch.

    `window` is how images of more than 8 bits are read, as core/windows.py names it.
    """
    entry = family_entry(spec)
    network = of_record([spec.architecture, dict(spec.options)])[:8]
    return EncoderKey(
        model=spec.id,
        weights_digest=weights.digest,
        preprocess_digest=reading_digest(spec.preprocess, window),
        feature=check_feature(spec, feature),
        precision=precision,
        code_version=f"{spec.family}-{entry.code_version}-{network}",
    )


def reading_digest(preprocess: PreprocessSpec, window: str) -> str:
    """Return the digest of everything between a file and the model's input; the file's own window adds nothing."""
    return preprocess.digest if window == FILE else of_record([preprocess.digest, {"window": window}])


@dataclass(frozen=True, slots=True)
class _Loaded:
    key: EncoderKey
    device: str
    encoder: Encoder


_last: list[_Loaded] = []


def load_encoder(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> Encoder:
    """Return the encoder on its device; the one loaded last is kept and given out again.

    Raises MissingInputError when the weights are not here, WeightsError when they do not fit.
    """
    if weights.state != "present" or weights.path is None:
        raise MissingInputError(f"the weights of {spec.id} are {weights.state}", weights.hint)
    key = encoder_key(spec, weights, feature, precision)
    if _last and (_last[0].key, _last[0].device) == (key, device):
        return _last[0].encoder
    _last.clear()  # before the next one is built, so that two never share the memory
    family = cast("Family", import_module(family_entry(spec).module))
    encoder = cast("Encoder", family.load(spec, weights, key.feature, device, precision))
    _last.append(_Loaded(key, device, encoder))
    return encoder


def forget_encoder() -> None:
    """Let go of the encoder loaded last."""
    _last.clear()
