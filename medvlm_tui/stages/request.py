"""What the user may choose, one record for each analysis; each enters the key of its results."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from medvlm_tui.core.specs import Precision
from medvlm_tui.core.typed_lists import join_list, split_list

PAPER_T_GRID = (1.0, 10.0, 100.0, 1000.0, 10000.0)
Fill = Literal["mean", "black", "blur"]
FILLS: tuple[Fill, ...] = get_args(Fill)
Estimator = Literal["plain", "reduced"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
DEFAULT_STAGES = ("extract", "probe", "project", "statistics", "report")
# The bias lab's overlays: the word itself, then controls with the ink of the word.
OVERLAYS = ("text", "box", "scrambled", "lines", "calipers")
POSITIONS = ("top_left", "top_right", "bottom_left", "bottom_right", "top", "bottom", "centre")
# Those that fit a linear SVM to the training part, whose final classifier saliency and new images use.
LINEAR_PROTOCOLS = ("paper", "poster", "tuned", "grouped")
PROTOCOLS = (*LINEAR_PROTOCOLS, "knn", "few_shot")
NEIGHBOR_COUNTS = (1, 5, 20)
SHOTS = (1, 2, 4, 8, 16)
"""Training images a class under `few_shot`."""
DRAWS = 10
SEPARATED = "no training error at any t of the grid"
SATURATED = f"saturated: {SEPARATED}, and no predicted label on validation or held-out images depends on t"
"""What the mark beside a t means, wherever it is shown."""


@dataclass(frozen=True, slots=True)
class SplitParams:
    """How images are divided; the same for every model."""

    hold_out: float = 0.2
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ProbeParams:
    """How features are classified."""

    protocol: str = "paper"
    """One of PROTOCOLS."""
    split: SplitParams = field(default_factory=SplitParams)


@dataclass(frozen=True, slots=True)
class ProjectionParams:
    """One UMAP cell."""

    n_neighbors: int = 15
    min_dist: float = 0.1
    max_points: int = 5000
    """Larger sets are subsampled, stratified by class."""
    seed: int = 0


# The poster's 50 panels.
POSTER_NEIGHBORS = (3, 5, 10, 15, 25, 50, 100, 200, 500, 1000)
POSTER_MIN_DISTS = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class SeparabilityParams:
    """How well classes, or the values of a tag, lie apart in the full feature space."""

    tag: str = ""
    """Empty: the classes."""
    neighbours: int = 15
    """Of kNN purity and hubness, the row itself not counted."""
    permutations: int = 200
    max_points: int = 5000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SimilarityParams:
    """How alike two models see a dataset."""

    neighbours: int = 10
    permutations: int = 200
    max_points: int = 1000
    """Stratified; CKA keeps a Gram of 1,000 x 1,000 a model."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class ReferenceParams:
    """What a model's similarities to others are read against; of the images that `SimilarityParams` takes."""

    neighbours: int = SimilarityParams().neighbours
    max_points: int = SimilarityParams().max_points
    seed: int = 0
    """Of the random weights too."""


@dataclass(frozen=True, slots=True)
class SaliencyParams:
    """RISE on encoder + scaler + SVM."""

    masks: int = 4096
    cells: int = 7
    probability: float = 0.5
    seed: int = 0
    images_per_class: int = 1
    """Hold-out images of each class, drawn with the seed, when `images` is empty."""
    images: tuple[str, ...] = ()
    """Sample ids to explain."""
    estimator: Estimator = "plain"
    """The paper's; or pairs of masks with a control variate, whose map differs by a constant and errs less."""
    fill: Fill = "mean"
    """What a masked pixel becomes: the preprocessing mean, black, or the blurred image."""
    stop_error: float = 0.0
    """Stop when every image's standard error (of the map less its mean, root mean square over pixels) is below this
    share of the map's standard deviation over pixels; 0 runs all masks."""
    explain: tuple[str, ...] = ()
    """Classes to explain for every image; empty is the predicted one, `*` is all."""


@dataclass(frozen=True, slots=True)
class BiasParams:
    """What the bias lab draws into images, and how many images it takes."""

    words: tuple[str, ...] = ("BREAST", "AXILLA", "LEFT", "RIGHT")
    """Pairs (0, 1) and (2, 3) are told apart; class c's own word is number c modulo their count."""
    position: str = "bottom_left"
    height: float = 0.08
    """Font size over the image's short side."""
    contrast: float = 1.0
    """1 is white ink, 0 is invisible."""
    controls: tuple[str, ...] = OVERLAYS[1:]
    """Drawn with the ink of the first word."""
    train_per_class: int = 40
    test_per_class: int = 20
    """Images of the hold-out, drawn with the seed."""
    neighbours: int = 10
    levels: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    """Share of training images whose word is their class's."""
    rise_masks: int = 256
    """Reduced masks for each explained image; 0 leaves the maps out."""
    rise_images: int = 2
    """Explained images a class."""
    rise_removed: int = 2
    """Of these, images a class that are explained again after the word was taken out in each way."""
    rise_fill: Fill = "mean"
    """What a masked pixel of these images becomes."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class StatisticsParams:
    """Intervals of one model's scores on the hold-out; nothing in them is drawn."""

    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class ComparisonParams:
    """Models beside each other, on one dataset and over all."""

    confidence: float = 0.95
    alpha: float = 0.05
    """Two models are told apart when their p-value, adjusted for all pairs, is below it."""
    seed: int = 0
    """Of the exchanges that are drawn where all are too many."""


# What a run asks for unless it is told otherwise is what each analysis does by itself.
_PROBE, _PROJECTION, _SALIENCY, _BIAS = ProbeParams(), ProjectionParams(), SaliencyParams(), BiasParams()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Everything that one `--batch` line, RUN.toml or marked screen asks for."""

    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    data: dict[str, str] = field(default_factory=dict)
    """Dataset id (or a new name) -> folder or CSV."""
    weights: dict[str, str] = field(default_factory=dict)
    """Model id -> local checkpoint file or folder."""
    stages: tuple[str, ...] = DEFAULT_STAGES
    protocols: tuple[str, ...] = (_PROBE.protocol,)
    folds: int = _PROBE.split.folds
    hold_out: float = _PROBE.split.hold_out
    seed: int = _PROBE.split.seed
    seeds: int = 1
    """Hold-outs of every probe: this many seeds, `seed` the first of them."""
    label: str = ""
    """Label view; empty is the dataset's default."""
    part: str = ""
    """Published part; empty is the study's."""
    umap_neighbors: tuple[int, ...] = (_PROJECTION.n_neighbors,)
    umap_min_dist: tuple[float, ...] = (_PROJECTION.min_dist,)
    umap_max_points: int = _PROJECTION.max_points
    tags: str = ""
    """A CSV of path, tag, value: further groupings of the images."""
    rise_masks: int = _SALIENCY.masks
    rise_cells: int = _SALIENCY.cells
    rise_images: str = str(_SALIENCY.images_per_class)
    """A number per class, or a list of sample ids (core/typed_lists.py)."""
    rise_estimator: Estimator = _SALIENCY.estimator
    rise_explain: tuple[str, ...] = _SALIENCY.explain
    """Classes to explain for every image; empty is the predicted one, `*` is all."""
    rise_fill: Fill = _SALIENCY.fill
    rise_stop_error: float = _SALIENCY.stop_error
    """Stop early at this standard error, as a share of the maps' spread; 0 runs all masks."""
    bias_words: tuple[str, ...] = _BIAS.words
    bias_position: str = _BIAS.position
    bias_size: float = _BIAS.height
    """Font size of the words over the image's short side."""
    bias_contrast: float = _BIAS.contrast
    bias_controls: tuple[str, ...] = _BIAS.controls
    bias_train: int = _BIAS.train_per_class
    """Images per class that the lab trains on."""
    bias_test: int = _BIAS.test_per_class
    """Hold-out images per class that the lab draws into."""
    bias_masks: int = _BIAS.rise_masks
    """RISE masks of each image that the lab explains; 0 leaves these maps out."""
    bias_images: int = _BIAS.rise_images
    """Images per class that the lab explains."""
    bias_removed: int = _BIAS.rise_removed
    """Of these, images per class that it explains again with the word taken out; each costs three more maps."""
    device: str = "auto"
    precision: Literal["auto"] | Precision = "auto"
    batch_size: int = 0
    """0 lets the program choose."""
    workers: int = 0
    limit: int = 0
    """Images per class, 0 for all: a quick look."""
    window: str = "file"
    """How images of more than 8 bits become 8 (core/intensity_windows.py); part of the encoder's key."""
    feature: str = ""
    out: str = ""
    strict: bool = False
    offline: bool = False
    demo: bool = False
    phantom_per_class: int = 120

    def to_record(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> RunRequest:
        """Rebuild from `to_record()`'s dict after a trip through JSON."""
        lists = {key: tuple(value) for key, value in record.items() if isinstance(value, list)}
        return cls(**{**record, **lists})

    def with_absolute_paths(self) -> RunRequest:
        """Return the request for another process, which may stand in another directory."""
        models = tuple(
            f"local:{_absolute(name.removeprefix('local:'))}" if name.startswith("local:") else name
            for name in self.models
        )
        data = {name: _absolute(path) for name, path in self.data.items()}
        weights = {name: _absolute(path) for name, path in self.weights.items()}
        return replace(self, models=models, data=data, weights=weights, out=_absolute(self.out) if self.out else "")

    def further_seeds(self) -> tuple[int, ...]:
        """Return the seeds of the hold-outs after the first."""
        return tuple(range(self.seed + 1, self.seed + self.seeds))

    def split(self) -> SplitParams:
        """The split that every model of the run shares."""
        return SplitParams(hold_out=self.hold_out, folds=self.folds, seed=self.seed)

    def bias(self) -> BiasParams:
        """The bias lab's parameters of the run."""
        return BiasParams(
            words=self.bias_words,
            position=self.bias_position,
            height=self.bias_size,
            contrast=self.bias_contrast,
            controls=self.bias_controls,
            train_per_class=self.bias_train,
            test_per_class=self.bias_test,
            rise_masks=self.bias_masks,
            rise_images=self.bias_images,
            rise_removed=self.bias_removed,
            rise_fill=self.rise_fill,
            seed=self.seed,
        )

    def saliency(self) -> SaliencyParams:
        """The saliency parameters of the run."""
        base = SaliencyParams(
            self.rise_masks,
            self.rise_cells,
            seed=self.seed,
            estimator=self.rise_estimator,
            fill=self.rise_fill,
            stop_error=self.rise_stop_error,
            explain=self.rise_explain,
        )
        if self.rise_images.isdigit():
            return replace(base, images_per_class=int(self.rise_images))
        return replace(base, images=split_list(self.rise_images))

    def with_saliency(self, params: SaliencyParams) -> RunRequest:
        """Return the request whose `saliency()` is `params`; no option changes their probability."""
        images = join_list(params.images) if params.images else str(params.images_per_class)
        return replace(
            self,
            rise_masks=params.masks,
            rise_cells=params.cells,
            seed=params.seed,
            rise_images=images,
            rise_estimator=params.estimator,
            rise_fill=params.fill,
            rise_stop_error=params.stop_error,
            rise_explain=params.explain,
        )


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
