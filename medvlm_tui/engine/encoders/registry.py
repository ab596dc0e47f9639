"""Which module serves which family, and the key of an encoder. Imports no torch until an encoder is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, cast

from medvlm_tui.core.digests import of_record
from medvlm_tui.core.intensity_windows import FILE
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import EncoderKey, ModelSpec, Precision, PreprocessSpec
from medvlm_tui.engine.encoders.checkpoints.load_report import LoadReport, reporting
from medvlm_tui.engine.encoders.checkpoints.tensor_digests import chosen
from medvlm_tui.engine.step.device_memory import naming_shortage
from medvlm_tui.engine.step.device_session import open_device
from medvlm_tui.errors import MissingInputError, UsageError, WeightsError

if TYPE_CHECKING:
    from medvlm_tui.engine.encoders.encoder import Encoder, Load
    from medvlm_tui.engine.encoders.weights.record import Weights


@dataclass(frozen=True, slots=True)
class FamilyEntry:
    """One module of this folder."""

    module: str
    code_version: str
    """Raised when the module's numbers change: stored features of the older version are then computed anew."""
    config_files: tuple[str, ...] = ()
    """Files beside a checkpoint that define the network; part of the weights' digest when they are there."""
    reads: str = ""
    """A regular expression for the names of the tensors that the module may read; an entry's `options.reads` goes
    before it. They alone make the weights' digest, and of sharded repositories only their shards are fetched."""
    function: str = "load"
    """The module's `Load`."""
    drafted: bool = False
    """True where the network's shape may come from files beside the checkpoint: it is then compared with the
    checkpoint's names and shapes before it is built."""
    own_preparation: bool = False
    """True where the module prepares images by itself: the framing of its `PreprocessSpec` is not what it reads."""
    fetched: tuple[str, ...] = ()
    """Further files that are downloaded with a checkpoint: what they say is in the key by itself."""


ENTRY_POINTS = "medvlm_tui.encoders"
_LIBRARIES = "medvlm_tui.engine.encoders.libraries"
_MODELS = "medvlm_tui.engine.encoders.models"
_TEXTS = "medvlm_tui.engine.encoders.text.towers"
_VISUAL = r"^(module\.)?visual\."
FAMILIES: Mapping[str, FamilyEntry] = {
    "open_clip": FamilyEntry(f"{_LIBRARIES}.open_clip_", "1", ("open_clip_config.json",), _VISUAL, drafted=True),
    "transformers": FamilyEntry(
        f"{_LIBRARIES}.transformers_",
        "1",
        ("config.json",),
        r"(^|\.)(vision_model|visual_projection)\.|^visual\.",
        drafted=True,
        fetched=("preprocessor_config.json", "processor_config.json"),
    ),
    "timm": FamilyEntry(f"{_LIBRARIES}.timm_", "1", drafted=True, fetched=("config.json",)),
    "torchvision": FamilyEntry(f"{_LIBRARIES}.torchvision_", "1"),
    "flair": FamilyEntry(f"{_MODELS}.flair", "1", reads=r"(^|\.)vision_model\."),
    "cxr_clip": FamilyEntry(f"{_MODELS}.cxr_clip", "1", reads=r"^image_(encoder|projection)\."),
    "conch": FamilyEntry(
        f"{_MODELS}.conch", "1", reads=r"(^|\.)visual\.(trunk|attn_pool_contrast|ln_contrast|proj_contrast)"
    ),
    "panderm": FamilyEntry(f"{_MODELS}.panderm", "1", ("open_clip_config.json",), _VISUAL),
    "ctranspath": FamilyEntry(f"{_MODELS}.ctranspath", "1"),
    "visionunite": FamilyEntry(
        f"{_MODELS}.visionunite", "1", reads=r"^(eva02\.model|clip\.visual)\.", own_preparation=True
    ),
    "llava": FamilyEntry(
        f"{_MODELS}.llava", "1", ("config.json",), r"(^|\.)(vision_tower|mm_projector|multi_modal_projector)\."
    ),
    "medgemma": FamilyEntry(
        f"{_MODELS}.medgemma",
        "1",
        ("config.json",),
        r"(^|\.)(vision_tower|multi_modal_projector)\.",
        drafted=True,
    ),
    "mammo_clip": FamilyEntry(f"{_MODELS}.mammo_clip", "2", reads=r"(^|\.)image_encoder\.", own_preparation=True),
    "efficientnet_lite": FamilyEntry(f"{_MODELS}.efficientnet_lite", "1"),
    "merlin": FamilyEntry(f"{_MODELS}.merlin", "1", reads=r"(^|\.)i3_resnet\."),
    "ct_clip": FamilyEntry(f"{_MODELS}.ct_clip", "1", reads=r"^(visual_transformer|to_visual_latent)\."),
    # Text towers: their `load` makes a `TextTower`, and text/loading.py an encoder of it.
    "text_open_clip": FamilyEntry(
        f"{_TEXTS}.open_clip_text",
        "1",
        ("open_clip_config.json",),
        r"^(?!.*\bvisual\.)(?!.*\bvision_model\.)(.*\.)?"
        r"(token_embedding|positional_embedding|transformer|ln_final|text_projection|cls_emb|logit_scale|logit_bias)\b",
        drafted=True,
    ),
    "text_transformers": FamilyEntry(
        f"{_TEXTS}.transformers_text",
        "1",
        ("config.json",),
        r"(^|\.)(text_model|text_projection)\.|(^|\.)logit_(scale|bias)$",
        drafted=True,
    ),
    "text_bert": FamilyEntry(f"{_TEXTS}.bert", "1"),
    "text_longformer": FamilyEntry(f"{_TEXTS}.longformer", "1", reads=r"(^|\.)encode_text\."),
    "text_ranks": FamilyEntry(
        f"{_TEXTS}.ranks", "1", reads=r"(^|\.)(text_encoder|prompt_learner)\.|(^|\.)logit_scale$"
    ),
    "text_adapter": FamilyEntry(f"{_TEXTS}.adapter", "1", reads=r"(^|\.)text_adapt[eo]r\.|(^|\.)logit_scale$"),
}


def reads(spec: ModelSpec) -> str:
    """Return the regular expression for the names of the tensors that loading this model may read."""
    return str(spec.options.get("reads") or family_entry(spec).reads)


def family_entry(spec: ModelSpec) -> FamilyEntry:
    """Return the family of a model, ours or an installed package's; raises UsageError when there is none."""
    entry = FAMILIES.get(spec.family) or _from_packages().get(spec.family)
    if entry is None:
        known = ", ".join([*FAMILIES, *_from_packages()])
        raise UsageError(f"model {spec.id}: unknown family {spec.family!r}", f"one of {known}")
    return entry


def family_load(spec: ModelSpec) -> Load:
    """Return the `load` of a model's family; imports its module."""
    entry = family_entry(spec)
    return cast("Load", getattr(import_module(entry.module), entry.function))


@cache
def _from_packages() -> dict[str, FamilyEntry]:
    """Return the families of installed packages, without importing them; a package's version is its code version."""
    found = {}
    for point in entry_points(group=ENTRY_POINTS):
        version = f"{point.dist.name}-{point.dist.version}" if point.dist else "unknown"
        found[point.name] = FamilyEntry(point.module, version, function=point.attr or "load")
    return found


def check_feature(spec: ModelSpec, feature: str) -> str:
    """Return the feature's name, the default one for an empty name; raises UsageError when there is none."""
    name = feature or spec.default_feature
    if name not in spec.features:
        raise UsageError(f"{spec.id} has no feature {name!r}", f"it has {', '.join(spec.features)}")
    return name


def volume_refusal(spec: ModelSpec) -> UsageError:
    """Return the error for images given to an encoder of volumes."""
    return UsageError(
        f"{spec.id} encodes CT volumes, and 2D images are refused",
        f"medvlm-tui encode {spec.id} SCAN.nii.gz --out F.npz",
    )


def encoder_key(
    spec: ModelSpec, weights: Weights, feature: str, precision: Precision, window: str = FILE
) -> EncoderKey:
    """Return the key of everything that this encoder's features depend on. Needs no torch.

    `window` is how images of more than 8 bits are read, as core/intensity_windows.py names it.
    """
    entry = family_entry(spec)
    network = of_record([spec.architecture, dict(spec.options)])[:8]
    return EncoderKey(
        model=spec.id,
        weights_digest=weights.digest,
        preprocess_digest=spec.volume.digest if spec.volume else reading_digest(spec.preprocess, window),
        feature=check_feature(spec, feature),
        precision=precision,
        code_version=f"{spec.family}-{entry.code_version}-{network}",
    )


def reading_digest(preprocess: PreprocessSpec, window: str) -> str:
    """Return the digest of everything between a file and the model's input; the file's own window adds nothing."""
    return preprocess.digest if window == FILE else of_record([preprocess.digest, {"window": window}])


def load_encoder(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> Encoder:
    """Return the encoder, loaded onto its device (a step asks `Encoders` for the one that its worker keeps).

    Raises MissingInputError when the weights are not here, WeightsError when they do not fit.
    """
    if weights.state != "present" or weights.path is None:
        raise MissingInputError(f"the weights of {spec.id} are {weights.state}", weights.hint)
    with naming_shortage(f"{spec.id} ({precision})", device):
        open_device(device)
    encoder: Encoder = build(spec, weights, check_feature(spec, feature), device, precision)
    return encoder


def build(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> Any:
    """Return what a family's `load` makes of a checkpoint, with the report of what was read as its `report`.

    Raises WeightsError where the checkpoint does not fit.
    """
    from medvlm_tui.engine.encoders.checkpoints import drafts
    from medvlm_tui.engine.encoders.checkpoints.tensor_files import kept_open

    assert weights.path is not None
    load = family_load(spec)
    with kept_open():
        if family_entry(spec).drafted:
            drafts.compare(lambda: load(spec, weights, feature, "meta", precision), weights.path, spec.id)
        with reporting() as report, naming_shortage(f"{spec.id} ({precision})", device):
            made = load(spec, weights, feature, device, precision)
    _refuse_uncounted(spec, report)
    made.report = report
    return made


def _refuse_uncounted(spec: ModelSpec, report: LoadReport) -> None:
    """Raise WeightsError where a tensor was used that the digest, and with it the key, does not cover, or where
    their number is not the one that the entry names."""
    if uncounted := sorted(report.used - chosen(report.held, reads(spec))):
        raise WeightsError(
            f"{spec.id}: {len(uncounted)} tensors are used that its digest leaves out ({clean(uncounted[0])}, ...)",
            "correct `options.reads` of its entry",
        )
    if spec.tensors and len(report.used) + len(report.absent) != spec.tensors:
        raise WeightsError(
            f"{spec.id}: {len(report.used)} tensors were used, {spec.tensors} make this network",
            f"get the weights again from {spec.homepage}",
        )
