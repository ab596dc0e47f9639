"""Stored results of the bias lab: measures of one model on one dataset, and the comparison of all models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.records.comparison import TraitTestRecord
from medvlm_tui.stages.records.measure import Measure

EVERY_CONTROL = "every control"
"""Condition of the smallest lead of the word over its controls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRecord:
    """The text that an image of the dataset bears of itself."""

    image: str
    boxes: tuple[tuple[int, int, int, int], ...]
    words: tuple[str, ...]
    """Those that are common in the dataset: a rare one may be a patient's name."""
    by: str
    """`known`: the dataset says so; `read`: by OCR; `found`: by shape alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordMapRecord:
    """An explained image that bears its class's word; the tuples have one value for each of `map_levels`."""

    image: str
    label: str
    word: str
    predicted: tuple[str, ...]
    relative_error: tuple[float | None, ...]
    """Standard error of the centred map over its standard deviation over pixels."""
    mostly_noise: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasRecord(BiasParams):
    """The parameters of the lab and what it measured.

    Arrays: `shifts` (kinds, images), `scores` (1 + kinds, images, classes), `labels`, `pictures`, `boxes`; with maps
    also `map_images`, `map_boxes`, `maps`.
    """

    classes: tuple[str, ...]
    kinds: tuple[str, ...]
    """`text`, then the controls."""
    images: tuple[str, ...]
    """Ids of the lab's hold-out images."""
    shown: tuple[int, ...]
    """Position in `images` of each stored picture."""
    flipped: Mapping[str, tuple[int, ...]]
    """Kind -> positions in `images` of those whose predicted class changes."""
    even_level: float
    """The level of correlation at which words tell nothing of the class; `levels` has it too."""
    measures: tuple[Measure, ...]
    texts: tuple[TextRecord, ...]
    map_levels: tuple[float, ...]
    """The even level and the highest; empty without maps."""
    map_items: tuple[WordMapRecord, ...]
    n_train: int
    n_test: int
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def by_name(self) -> dict[tuple[str, str], Measure]:
        """(measure, condition) -> the measure."""
        return {(one.name, one.condition): one for one in self.measures}

    @classmethod
    def example(cls) -> BiasRecord:
        """Return a small, complete record: two words, one control, four hold-out images of three classes."""
        levels, words = (0.0, 0.5, 1.0), ("BREAST", "AXILLA")
        return cls(
            words=words,
            controls=("box",),
            levels=levels,
            train_per_class=4,
            test_per_class=2,
            classes=("none", "smooth", "spiculated"),
            kinds=("text", "box"),
            images=("none/0.png", "none/1.png", "smooth/2.png", "spiculated/3.png"),
            shown=(0, 2),
            flipped={"text": (2,), "box": ()},
            even_level=0.5,
            measures=_example_measures(levels),
            texts=(
                TextRecord(image="none/0.png", boxes=((0, 0, 5, 5),), words=("AXILLA",), by="read"),
                TextRecord(image="none/1.png", boxes=(), words=(), by="read"),
            ),
            map_levels=(0.5, 1.0),
            map_items=(
                WordMapRecord(
                    image="none/0.png",
                    label="none",
                    word="BREAST",
                    predicted=("none", "smooth"),
                    relative_error=(0.3, None),
                    mostly_noise=(False, True),
                ),
            ),
            n_train=12,
            n_test=4,
        )


def _example_measures(levels: tuple[float, ...]) -> tuple[Measure, ...]:
    scores = {"random": (0.7, 0.65, 0.6), "matching": (0.6, 0.75, 0.9), "reversed": (0.5, 0.3, 0.1)}
    ways = {"as it is": 0.1, "blank": 0.5, "inpaint": 0.55, "border": 0.6}
    return (
        _measured("shift", "text", 0.2),
        _measured("shift", "box", 0.1),
        _measured("shift_over_control", "box", 0.1, 0.0),
        Measure("shift_over_control", EVERY_CONTROL, 0.1, None, None, 4, 0.0, ("BREAST",)),
        _measured("flip_rate", "text", 0.25),
        _measured("flip_rate", "box", 0.0),
        _measured("decodability", "BREAST/AXILLA", 0.875, 0.5),
        _measured("robustness", "k=10", 0.4),
        *(
            _measured(f"accuracy_{name}", f"{level:g}", value)
            for name, values in scores.items()
            for level, value in zip(levels, values, strict=True)
        ),
        *(_measured("removal_reversed", way, value) for way, value in ways.items()),
        _measured("mass_text", "0.5", 0.05, 0.02),
        _measured("mass_text", "1", 0.3, 0.02),
    )


def _measured(name: str, condition: str, value: float, chance: float | None = None) -> Measure:
    return Measure(name, condition, value, value - 0.01, value + 0.01, 4, chance, ("BREAST",))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanRecord:
    """A model and its mean over the datasets."""

    model: str
    mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasRanking:
    """The models by one measure, the largest mean first; those that have it on every dataset."""

    measure: str
    condition: str
    models: tuple[MeanRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasGroupRecord(TraitTestRecord):
    """The test of a trait by a measure of the lab; the family is all tests but the primary one, which keeps its
    p-value."""

    measure: str
    condition: str
    primary: bool = False
    """The one test that is named in advance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasGroupsRecord:
    """The labs of all models and datasets of a run."""

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    rankings: tuple[BiasRanking, ...]
    groups: tuple[BiasGroupRecord, ...]
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> BiasGroupsRecord:
        """Return a small, complete record: three models on one dataset, and the primary test."""
        means = zip(("one", "two", "three"), (0.9, 0.8, 0.1), strict=True)
        test = BiasGroupRecord(
            measure="shift_over_control",
            condition=EVERY_CONTROL,
            trait="medical",
            primary=True,
            difference=0.031,
            p_value=0.2,
            holm=0.2,
            permutations=3,
            exhaustive=True,
            inside=2,
            outside=1,
            datasets=1,
        )
        return cls(
            models=("one", "two", "three"),
            datasets=("phantom",),
            rankings=(
                BiasRanking(
                    measure="shift",
                    condition="text",
                    models=tuple(MeanRecord(model=model, mean=mean) for model, mean in means),
                ),
            ),
            groups=(test,),
            seed=0,
        )
