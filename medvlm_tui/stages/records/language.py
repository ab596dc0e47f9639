"""Stored results of zero-shot and alignment: scores of each set of prompts, and how texts and images lie together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.stages.params.language import AlignmentParams, ReadingParams, ZeroShotParams
from medvlm_tui.stages.records.measure import Measure


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecord:
    """One score with its interval over images."""

    value: float | None
    """None where it is not defined here."""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRecord:
    """One template, or one prompt of a set whose prompts are whole sentences."""

    prompt: str
    """With `{}` where the class's name stands; a sentence of the first class where there is none."""
    scores: Mapping[str, float]
    """Over the hold-out, with this template alone."""
    flips: float
    """Share of held-out images whose answer differs from that of the whole set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsRecord:
    """One prompt as the model's tokenizer took it."""

    class_name: str
    prompt: str
    tokens: int
    """Special ones included."""
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VersusRecord:
    """Zero-shot beside a probe on the same held-out images."""

    protocol: str
    value: float
    """Accuracy of zero-shot less the probe's mean over its classifiers."""
    low: float
    high: float
    p_value: float
    """Two-sided, by exchanging the outputs image by image."""
    holm: float
    """Adjusted over the protocols of this cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSetRecord:
    """The scores of one set of prompts."""

    name: str
    source: str
    fallback: tuple[str, ...]
    """Classes that went by their own names, for want of words."""
    hold_out: Mapping[str, ScoreRecord]
    """Over several hold-outs their means, with corrected resampled intervals."""
    all_rows: Mapping[str, ScoreRecord]
    extras: Mapping[str, float | None]
    """Labelled extras over the hold-out: `balanced_accuracy_centred`, `balanced_accuracy_threshold`."""
    by_chance: float
    """Mean balanced accuracy with the classes' names permuted."""
    p_value: float
    """Share of permutations that do at least as well."""
    prompts: tuple[PromptRecord, ...]
    words: tuple[WordsRecord, ...]
    versus: tuple[VersusRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroShotRecord(ZeroShotParams):
    """Zero-shot of one model on one dataset. Arrays: `cosines` (sets, n, k) float32, `hold_out` (n_test,) rows,
    `labels` (n,) int16, `class_vectors` (sets, k, d) float32."""

    classes: tuple[str, ...]
    sets: tuple[PromptSetRecord, ...]
    """In the order of the arrays; the first called `ensemble` is the headline."""
    flips_between_sets: float
    """Largest share of held-out images whose answer differs between two sets."""
    factor: float
    """Factor of every cosine, from the model's own checkpoint."""
    bias: float | None
    probability: str
    feature: str
    n: int
    n_test: int
    seeds: int = 1
    """Hold-outs over which the scores `hold_out` are means; all else is of the first."""
    text_key: str
    """Digest of the text encoder's key."""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def headline(self) -> PromptSetRecord:
        """The set that tables show: `ensemble`, else the last."""
        return next((found for found in self.sets if found.name == "ensemble"), self.sets[-1])

    @classmethod
    def example(cls) -> ZeroShotRecord:
        """Return a small, complete record."""
        score = ScoreRecord(value=0.75, low=0.5, high=0.9375)
        scores = {"balanced_accuracy": score, "accuracy": score}
        words = (WordsRecord(class_name="none", prompt="a drawing of no lesion", tokens=7, cut=False),)
        prompts = (
            PromptRecord(prompt="a drawing of {}", scores={"balanced_accuracy": 0.5, "accuracy": 0.5}, flips=0.25),
        )
        versus = (VersusRecord(protocol="paper", value=-0.25, low=-0.5, high=0.125, p_value=0.125, holm=0.125),)
        one = PromptSetRecord(
            name="ensemble", source="ours", fallback=(), hold_out=scores, all_rows=scores,
            extras={"balanced_accuracy_centred": 0.5}, by_chance=0.5, p_value=0.25, prompts=prompts, words=words,
            versus=versus,
        )  # fmt: skip
        return cls(
            classes=("none", "smooth"), sets=(one,), flips_between_sets=0.25, factor=14.25, bias=None,
            probability="softmax", feature="image", n=40, n_test=8, text_key="0" * 32,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRecord:
    """One measure of texts and images together."""

    name: str
    condition: str
    """Subject of the measure: a class, a number of neighbours; empty for the whole."""
    value: float | None
    low: float | None
    high: float | None
    n: int
    chance: float | None = None
    """The mean by chance, where that is known."""
    p_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentRecord(AlignmentParams):
    """Measures of how the texts and images of one model on one dataset lie together."""

    classes: tuple[str, ...]
    measures: tuple[MeasureRecord, ...]
    n: int
    used: int
    text_key: str
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def example(cls) -> AlignmentRecord:
        """Return a small, complete record."""
        gap = MeasureRecord(name="modality_gap", condition="", value=0.75, low=0.5, high=0.9375, n=40)
        return cls(classes=("none", "smooth"), measures=(gap,), n=40, used=40, text_key="0" * 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRecord(ReadingParams):
    """Words drawn into images, beside the same words as texts.

    Arrays: `cosines` (1 + pictures, n_test, 2 words) float32 with the texts of the words, then of the nonsense words;
    `class_cosines` (1 + pictures, n_test, k) float32 with the classes' texts; the first picture bears nothing.
    `labels` (n_test,) int16.
    """

    nonsense: tuple[str, ...]
    """Of each word one without meaning, of the same letters."""
    kinds: tuple[str, ...]
    """Of each picture but the plain one: `text`, `nonsense`, or a control."""
    drawn: tuple[str, ...]
    """Of each picture the word that is drawn, or whose ink the control has."""
    classes: tuple[str, ...]
    images: tuple[str, ...]
    """Ids of the hold-out images, those of the bias lab."""
    measures: tuple[Measure, ...]
    n_test: int
    text_key: str
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def by_name(self) -> dict[tuple[str, str], Measure]:
        """(measure, condition) -> the measure."""
        return {(one.name, one.condition): one for one in self.measures}

    @classmethod
    def example(cls) -> ReadingRecord:
        """Return a small, complete record."""
        words = ("BREAST", "AXILLA")
        measures = (
            Measure("word_retrieval", "text", 0.875, 0.5, 1.0, 4, 0.5, words),
            Measure("word_lead", "text", 0.0625, None, None, 4, 0.0, words),
            Measure("word_lead_over_control", "scrambled", 0.03125, 0.0, 0.0625, 4, 0.0, words),
            Measure("zero_shot_flip_rate", "text", 0.25, 0.0625, 0.75, 4, None, words),
        )
        return cls(
            words=words, controls=("scrambled",), test_per_class=2, nonsense=("TSAERB", "ALLIXA"),
            kinds=("text", "text", "nonsense", "nonsense", "scrambled", "scrambled"),
            drawn=("BREAST", "AXILLA", "TSAERB", "ALLIXA", "BREAST", "AXILLA"), classes=("none", "smooth"),
            images=("none/0.png", "none/1.png", "smooth/2.png", "smooth/3.png"), measures=measures, n_test=4,
            text_key="0" * 32,
        )  # fmt: skip
