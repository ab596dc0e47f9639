"""Stored results of saliency: each explained image, the quality of its map, and how the maps were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.saliency import Estimator, Fill, SaliencyParams


@dataclass(frozen=True, slots=True, kw_only=True)
class MapQuality:
    """Measures of one map; None where a measure is not defined."""

    pointing: bool | None = None
    """The map's largest value lies in the lesion."""
    mass_lesion: float | None = None
    area_lesion: float | None = None
    mass_over_area_lesion: float | None = None
    mass_text: float | None = None
    area_text: float | None = None
    mass_over_area_text: float | None = None
    insertion: float | None = None
    deletion: float | None = None
    stability: float | None = None
    insertion_curve: tuple[float, ...] | None = None
    """The class's probability at even shares of the pixels."""
    deletion_curve: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRecord:
    """One measure over the images of a result, with its 95 % interval."""

    mean: float
    low: float | None
    """None below five images."""
    high: float | None
    n: float
    """Images; release 0.1 stored it as a fraction."""
    misclassified: int | None = None
    """Of the n images; None in results of release 0.1, which did not count them."""
    mostly_noise: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedImage:
    """One image of a saliency result, in the order of its arrays."""

    image: str
    label: str
    predicted: str
    explained: str
    """The class whose score the map explains."""
    score: float | None
    """Decision value of the unmasked image; None for a class whose value is not stored."""
    explained_classes: tuple[str, ...] = ()
    """Of each of its maps the class, or the prompt behind `prompt:`."""
    similarities: Mapping[str, float] = field(default_factory=dict)
    """Prompt -> its cosine with the unmasked image."""
    relative_error: float | None = None
    """Standard error of the centred map over its standard deviation over pixels; None where it is unknown."""
    constant: bool = False
    """The map is flat: no mask changes the score."""
    mostly_noise: bool = False
    """The map's error is so large that it carries the mark."""
    quality: MapQuality = field(default_factory=MapQuality)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaliencyRecord:
    """The maps of one model on one dataset.

    Arrays: `images`, `maps`, `errors`, `class_maps`, `scores`, `lesions`, each with one entry per item.
    """

    items: tuple[ExplainedImage, ...]
    quality: Mapping[str, QualityRecord] = field(default_factory=dict)
    """Measure -> its mean over the images."""
    explained: str = ""
    """Whose score: of the predicted class, or of the classes asked for."""
    curve_points: int | None = None
    masks: int
    """Masks that were scored; fewer than asked for where the maps were good enough."""
    masks_asked: int
    params: SaliencyParams | None = None
    """As asked for; None in results of release 0.1, which stored them in part."""
    cells: int
    probability: float
    seed: int
    baseline: Fill
    """Value that a masked pixel was given."""
    estimator: Estimator
    offset: str = ""
    """By which constant the maps differ from the paper's."""
    classes: tuple[str, ...] = ()
    encoder: str = ""
    """Digest of the encoder."""
    probe: str = ""
    """Key of the probe's result."""
    device: str = ""
    batch_size: int | None = None
    threads: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> SaliencyRecord:
        """Return a small, complete record: an explained image of each of three classes."""
        classes = ("none", "smooth", "spiculated")
        quality = MapQuality(
            pointing=True,
            mass_lesion=0.375,
            area_lesion=0.125,
            mass_over_area_lesion=0.25,
            insertion=0.75,
            deletion=0.25,
            stability=0.9,
            insertion_curve=(0.25, 0.75, 1.0),
            deletion_curve=(1.0, 0.25, 0.0),
        )
        items = tuple(_example_image(name, quality) for name in classes)
        mean = QualityRecord(mean=0.25, low=None, high=None, n=3, misclassified=2, mostly_noise=0)
        return cls(
            items=items,
            quality={"mass_over_area_lesion": mean},
            explained="the predicted class",
            curve_points=3,
            masks=512,
            masks_asked=512,
            params=SaliencyParams(masks=512),
            cells=7,
            probability=0.5,
            seed=0,
            baseline="mean",
            estimator="plain",
            classes=classes,
            probe="probe-1",
        )


def _example_image(name: str, quality: MapQuality) -> ExplainedImage:
    return ExplainedImage(
        image=f"{name}/000.png",
        label=name,
        predicted="none",
        explained=name,
        explained_classes=(name,),
        score=1.25,
        relative_error=0.3,
        quality=quality,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewImage:
    """An image whose map grows."""

    image: str
    label: str
    predicted: str
    explained: str
    masks: int
    """Scored so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRecord:
    """The maps so far of a running step; replaced as they grow, and gone when the step ends."""

    items: tuple[PreviewImage, ...]
    masks_asked: int
    classes: tuple[str, ...]
