"""Stored results of the check of a dataset: its findings, and the images of the small pictures beside them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["exact", "near", "features"]
Unit = Literal["image", "group"]


@dataclass(frozen=True, slots=True)
class CountRow:
    """Images of one class in one part."""

    part: str
    label: str
    images: int
    expected: int | None = None
    """By the catalog; None where it does not say."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that gives no image."""

    image: str
    reason: str


@dataclass(frozen=True, slots=True)
class DuplicateSet:
    """Images that show the same picture."""

    kind: Kind
    """Way in which it was found: equal pixels, perceptual hash, or a model's features."""
    images: tuple[str, ...]
    labels: tuple[str, ...]
    """The different labels among them: more than one is a label conflict."""
    parts: tuple[str, ...]
    """The different parts: more than one leaks from training to test."""
    groups: tuple[str, ...]
    """The different groups: more than one means that a split by group leaks too."""
    correlation: float
    """Of the least alike linked pair, its thumbnails' or its features'; 1 for exact ones."""

    @property
    def gravity(self) -> tuple[int, int, str, tuple[str, ...]]:
        """Sorts the worst first: across classes, then across parts, then by how it was found, then by its images."""
        return -len(self.labels), -len(self.parts), self.kind, self.images


@dataclass(frozen=True, slots=True)
class GroupLeak:
    """A patient, slide or lesion with images in more than one part."""

    group: str
    parts: tuple[str, ...]
    images: int


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of images that a split by group keeps together."""

    key: str
    """`patient`, `slide`, `lesion`, or `near-duplicate cluster` where the release names none."""
    groups: int
    """With two images or more, or named by the release."""
    alone: int
    """Images of no group."""
    largest: int


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One class in the hold-out and in the folds."""

    label: str
    held_out: int
    folds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The division of the study's part with the parameters that were asked for."""

    by: Unit
    hold_out: float
    folds: int
    seed: int
    rows: tuple[SplitRow, ...] = ()
    problem: str = ""
    """Why it cannot be divided so; there are no rows then."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """Everything that was found; duplicates are of all parts together, by the classes as read."""

    dataset: str
    root: str
    images: int
    counts: tuple[CountRow, ...]
    differences: tuple[str, ...]
    """From the catalog, in sentences; empty when it is as the catalog says."""
    unreadable: tuple[Unreadable, ...]
    exact: tuple[DuplicateSet, ...]
    near: tuple[DuplicateSet, ...]
    """Sets with at least one pair that is not exact."""
    group_leaks: tuple[GroupLeak, ...]
    seconds: float
    window: str = "file"
    flat: tuple[str, ...] = ()
    """Images in one grey level under the window; those that the window made so are not among the duplicates."""
    similar: tuple[DuplicateSet, ...] = ()
    """Pairs that a model's features hold for the same picture and the hash does not: to be looked at."""
    features_of: str = ""
    """The model, empty when the store has no features of this dataset."""
    groups: Groups = field(default_factory=lambda: Groups("", 0, 0, 0))
    splits: tuple[SplitPlan, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on how the dataset was read; nothing in them is a fault of it."""

    @property
    def matches(self) -> bool:
        """Return whether counts are the catalog's and every file can be read."""
        return not self.differences and not self.unreadable

    @property
    def conflicts(self) -> tuple[DuplicateSet, ...]:
        """Sets whose images carry different labels, exact ones first."""
        return tuple(found for found in (*self.exact, *self.near) if len(found.labels) > 1)

    @property
    def crossing(self) -> tuple[DuplicateSet, ...]:
        """Sets with images in more than one part, exact ones first."""
        return tuple(found for found in (*self.exact, *self.near) if len(found.parts) > 1)

    @property
    def worst(self) -> tuple[DuplicateSet, ...]:
        """All sets, the worst first."""
        return tuple(sorted((*self.exact, *self.near, *self.similar), key=lambda one: one.gravity))

    def to_record(self) -> dict[str, Any]:
        """Return a JSON-able dict, with `matches`."""
        return {**asdict(self), "matches": self.matches}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """A stored check. Arrays: `pictures` (k, 64, 64, 3), each in its upper left corner, and `sizes` (k, 2)."""

    report: AuditReport
    worst: tuple[DuplicateSet, ...]
    """Its sets of duplicates, the worst first."""
    pictures: tuple[tuple[int, str], ...]
    """(position in `worst`, image id) of each picture."""

    @classmethod
    def example(cls) -> CheckRecord:
        """Return a small, complete record: one finding of each kind."""
        exact = DuplicateSet("exact", ("a/1.png", "b/2.png"), ("a", "b"), ("train",), ("",), 1.0)
        near = DuplicateSet("near", ("a/3.png", "test/a/4.png"), ("a",), ("test", "train"), ("",), 0.995)
        similar = DuplicateSet("features", ("a/5.png", "a/6.png"), ("a",), ("train",), ("",), 0.995)
        rows = (SplitRow("a", 20, (16,) * 5), SplitRow("b", 4, (4,) * 5))
        report = AuditReport(
            dataset="phantom",
            root="/data",
            images=124,
            counts=(CountRow("train", "a", 100, 200), CountRow("train", "b", 24, 24)),
            differences=("phantom: 124 images found, the catalog says 224",),
            unreadable=(Unreadable("a/broken.png", "it cannot be decoded"),),
            exact=(exact,),
            near=(near,),
            group_leaks=(GroupLeak("p7", ("test", "train"), 5),),
            seconds=1.0,
            similar=(similar,),
            features_of="efficientnet_lite0",
            groups=Groups("patient", 31, 2, 9),
            splits=(
                SplitPlan("image", 0.2, 5, 0, rows),
                SplitPlan("group", 0.2, 5, 0, problem="too few groups"),
            ),
        )
        return cls(report=report, worst=report.worst, pictures=((0, "a/1.png"), (0, "b/2.png"), (1, "a/3.png")))
