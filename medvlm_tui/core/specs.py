"""The records that every part of the program agrees on: models, datasets, samples, keys, feature tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medvlm_tui.core import digests
from medvlm_tui.core.text_specs import TextSpec

if TYPE_CHECKING:
    # Only named in annotations: numpy costs 0.1 s, and the screens start without it.
    import numpy as np
    from numpy.typing import NDArray

ResizeMode = Literal["short_side", "squash", "squash_float", "long_side_pad", "pad_square", "none"]
Interpolation = Literal["bicubic", "bilinear", "lanczos", "nearest", "box", "hamming"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """From an RGB image to the model's input tensor, as the model's authors define it."""

    size_px: int
    """Side of the square the model sees."""
    resize_px: int
    """Target of the resize: the short side, the long side or both sides, by `resize`."""
    resize: ResizeMode = "short_side"
    """`squash_float` is `squash` after scaling to [0, 1], without rounding to 8 bits in between; `none` only crops."""
    interpolation: Interpolation = "bicubic"
    antialias: bool = True
    crop_rounding: Literal["half_even", "floor"] = "half_even"
    """Rounding of an odd crop margin: torchvision rounds half to even, transformers' processors round down."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Subtracted after scaling to [0, 1]."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    pad_colour: tuple[int, int, int] = (0, 0, 0)
    """Fill of the padding modes, 0 to 255."""

    @property
    def digest(self) -> str:
        """Changes whenever any of the parameters does."""
        return digests.of_record(asdict(self))


@dataclass(frozen=True, slots=True)
class VolumeSpec:
    """From a CT volume in Hounsfield units to the model's input tensor, as the model's authors define it."""

    size: tuple[int, int, int]
    """Voxels along each axis of the tensor; larger volumes are cropped in the centre, smaller ones padded."""
    spacing_mm: tuple[float, float, float]
    axes: str
    """Directions of the tensor's axes, e.g. `RAS`: right, anterior, superior."""
    window_hu: tuple[float, float]
    window_to: tuple[float, float]
    """Output values for the ends of the window; values outside are clipped to them."""
    grid: Literal["first_centre", "edges"]
    """Fixed point of the resampling: the centre of the first voxel, or the volume's outer edges."""
    clip: Literal["before", "after"]
    """Order of clipping to the window and resampling."""

    @property
    def pad(self) -> float:
        """Value of the padding: air, the window's lower end."""
        return self.window_to[0]

    @property
    def digest(self) -> str:
        """Changes whenever any of the parameters does."""
        return digests.of_record(asdict(self))


SYNTHETIC_GROUP = "synthetic"
"""Group of the models that know drawings alone: no model of the study, and part of no comparison of groups."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One encoder of the catalog, or one that the user named by prefix or path."""

    id: str
    name: str
    """As tables print it."""
    group: str
    """medical, modality_specific or general: the groups of the paper's tables; or SYNTHETIC_GROUP."""
    family: str
    """The module of `engine/encoders` that loads it."""
    architecture: str
    """The name the family's library knows the network by."""
    source: str
    """Source of the weights: `hub:ORG/NAME`, `torchvision:WEIGHTS`, `package:NAME`, `shipped:NAME` with
    this program, `bring` or a local path."""
    preprocess: PreprocessSpec
    features: Mapping[str, int]
    """Feature name to dimension; the first is the default."""
    backbone: str = ""
    revision: str = ""
    """Pinned commit of the hub repository, where one is known."""
    files: tuple[str, ...] = ()
    """Checkpoint files in order of preference."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the family's builder, e.g. `init_values` for timm."""
    modalities: tuple[str, ...] = ()
    """Imaging modalities in the training data (the dagger)."""
    trained_on: tuple[str, ...] = ()
    """Dataset ids in the training data (the star)."""
    text_encoder: str = ""
    pretraining_data: str = ""
    counterpart: str = ""
    """Id of the general model it is compared with."""
    gated: bool = False
    licence: str = ""
    homepage: str = ""
    published: str = ""
    """The id of its rows in published.csv, empty when the paper does not list it."""
    assumption: str = ""
    """The choice of this entry where the paper leaves one open."""
    proof: str = ""
    """Reference of its vectors: stored vectors of the official code, a library's own model, or both."""
    tensors: int = 0
    """Number of checkpoint tensors that the network uses, where it is known and the same for every feature."""
    volume: VolumeSpec | None = None
    """Set for encoders of volumes; `preprocess` then only holds the longest side."""
    text: TextSpec | None = None
    """Its text tower; None for models without one."""

    @property
    def input(self) -> str:
        """Return the size of the model's input in words."""
        if self.volume is None:
            return f"{self.preprocess.size_px} px"
        return f"{' x '.join(map(str, self.volume.size))} voxels"

    @property
    def default_feature(self) -> str:
        """The feature the tables use unless the user chose another."""
        return next(iter(self.features))

    def dim(self, feature: str = "") -> int:
        """Dimension of a feature, of the default one when none is named."""
        return self.features[feature or self.default_feature]


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """One dataset of the catalog, or a folder or CSV of the user."""

    id: str
    name: str
    modality: str
    reader: str
    """The module of `engine/datasets` that knows the layout."""
    classes: tuple[str, ...] = ()
    """Expected classes as read, in the order of tables and figures; empty: as found."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Expected images by class as read in the study's part; empty: unknown."""
    part_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Name of another part than the study's -> expected images by class as read."""
    views: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """View name to (class as read -> class of the view); classes that a view does not name are left out of it.
    `default` is the view of the tables where that is not the class as read."""
    parts: tuple[str, ...] = ()
    """Names of the published parts, the study's first."""
    positive: str = ""
    """The class counted as positive when there are two."""
    group_key: str = ""
    """Kind of the groups: patient, slide, lesion; empty when the release names none."""
    published_classes: int = 0
    """As the paper prints it, where that is another number than the images have; 0: the same."""
    published_n: int = 0
    also_complete: tuple[int, ...] = ()
    """Other totals that count as the whole set, where sources disagree."""
    licence: str = ""
    homepage: str = ""
    how_to_get: str = ""
    size: str = ""
    """Of the download, in words."""
    layout: str = ""
    """The expected folders as a tree, for help and error messages."""
    synthetic: bool = False
    """Made by code: shown as SYNTHETIC wherever it appears."""
    root: Path | None = None
    """Path on this machine, when known."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset."""

    id: str
    """Relative POSIX path below the root: unique, stable, free of the machine's own folders."""
    path: Path
    label: str
    group: str = ""
    part: str = ""
    digest: str = ""
    """Of the file's bytes (and frame, where a file holds several); `unreadable-...` for a file that cannot be read."""
    frame: str = ""
    """Position of the image in a file of several images: `array/row` of an .npz, or the number of a frame."""
    mask: Path | None = None
    """A lesion mask beside the image, where the dataset has one."""
    more_masks: tuple[Path, ...] = ()
    """Masks of further lesions in the same image."""
    boxes: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    """Named rectangles (left, top, right, bottom) in pixels of the original image, e.g. burned-in words."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Further groupings that the reader knows: tag -> value, e.g. which word is burned in."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as found on disk, in one label view and one part."""

    spec: DatasetSpec
    root: Path
    view: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    """Differences from the catalog and what else every table repeats."""
    notes: tuple[str, ...] = ()
    """Those of the warnings that say how the dataset was read; nothing is wrong with it."""

    @property
    def digest(self) -> str:
        """Of the ordered (image digest, label, group) rows: renaming the root changes nothing."""
        rows = [[s.id, s.digest, s.label, s.group] for s in self.samples]
        return digests.of_record([self.spec.id, self.view, list(self.classes), rows])


RANDOM_WEIGHTS, MIRRORED = " (random weights)", " (mirrored images)"
"""Endings of the model's name in an encoder's key whose features are a reference of similarity."""


@dataclass(frozen=True, slots=True)
class EncoderKey:
    """Everything that a feature vector depends on besides the image."""

    model: str
    weights_digest: str
    preprocess_digest: str
    feature: str
    precision: str
    code_version: str
    """Of the encoder family's module: raised when its numbers change."""

    @property
    def digest(self) -> str:
        """Names the features of this encoder in the store."""
        return digests.of_record(asdict(self))

    @property
    def is_reference(self) -> bool:
        """Return whether the features are a reference of similarity: of random weights, or of mirrored images."""
        return self.model.endswith((RANDOM_WEIGHTS, MIRRORED))


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The sealed features of one encoder on one dataset, rows in the dataset's order."""

    encoder: EncoderKey
    dataset_digest: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    matrix: NDArray[np.float32]
    """(n, d) float32, possibly memory-mapped."""
    classes: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    """Sample id -> reason, for images that could not be read and have no row."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Versions, device, batch size, seconds: everything that is recorded but is no part of the key."""
