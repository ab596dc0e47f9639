"""The preprocessing lab: the changes of images that it compares, and the number of images that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from medvlm_tui.core.intensity_windows import parse_window
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.option import Check, Option, at_least, follows, option

Place = Literal["read", "image", "frame"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of change."""

    place: Place
    """read: from the file's depth to 8 bits; image: of the 8-bit image; frame: resize and crop of the model."""
    value: str
    """Description of the text after the colon, for messages; empty: no value."""
    accepts: Callable[[str], bool]


def _number(low: float, high: float) -> Callable[[str], bool]:
    def accepts(text: str) -> bool:
        try:
            return low <= float(text) <= high
        except ValueError:
            return False

    return accepts


def _window(text: str) -> bool:
    try:
        parse_window(text)
    except UsageError:
        return False
    return True


def _nothing(text: str) -> bool:
    return not text


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda text: text in values


_QUALITY, _SHARE = "a quality from 1 to 95", "a share from 0 to 1"
KINDS: Mapping[str, Kind] = {
    "window": Kind("read", "file, brain, soft_tissue, lung, bone, percentiles or CENTRE/WIDTH", _window),
    "jpeg": Kind("image", _QUALITY, _number(1, 95)),
    "jp2": Kind("image", "a ratio of compression from 1 to 500", _number(1, 500)),
    "bits": Kind("image", "a number of bits from 1 to 7", _one_of(*"1234567")),
    "gamma": Kind("image", "an exponent from 0.1 to 10", _number(0.1, 10)),
    "contrast": Kind("image", "a factor from 0 to 10", _number(0, 10)),
    "brightness": Kind("image", "a share from -1 to 1", _number(-1, 1)),
    "invert": Kind("image", "", _nothing),
    "equalise": Kind("image", "", _nothing),
    "grey": Kind("image", "", _nothing),
    "noise": Kind("image", _SHARE, _number(0, 1)),
    "speckle": Kind("image", _SHARE, _number(0, 1)),
    "blur": Kind("image", "a sigma from 0 to 64 pixels of the model's view", _number(0, 64)),
    "down": Kind("image", "a short side from 4 to 4096 pixels", _number(4, 4096)),
    "down_nearest": Kind("image", "a short side from 4 to 4096 pixels", _number(4, 4096)),
    "border": Kind("image", "a share of the short side from 0 to 0.45", _number(0, 0.45)),
    "resize": Kind("frame", "short_side, squash or pad_square", _one_of("short_side", "squash", "pad_square")),
    "interpolation": Kind(
        "frame", "nearest, bilinear, bicubic or lanczos", _one_of("nearest", "bilinear", "bicubic", "lanczos")
    ),
    "antialias": Kind("frame", "off", _one_of("off")),
    "crop": Kind("frame", "the share of the short side that is kept, from 0.5 to 1", _number(0.5, 1)),
}
PANEL = (
    "window:percentiles", "jpeg:75", "jpeg:25", "bits:4", "gamma:0.7", "gamma:1.5", "invert", "equalise", "noise:0.04",
    "blur:1", "down:64", "border:0.1", "resize:squash", "resize:pad_square", "antialias:off",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variant:
    """One change of the way from a file to the model's input."""

    kind: str
    value: str = ""

    @property
    def name(self) -> str:
        """As it is written in options and tables: `jpeg:75`, `invert`."""
        return f"{self.kind}:{self.value}" if self.value else self.kind

    @property
    def place(self) -> Place:
        """Place where it acts."""
        return KINDS[self.kind].place


def parse_variant(text: str) -> Variant:
    """Return the variant of a name such as `jpeg:75`; raises UsageError."""
    kind, _, value = text.partition(":")
    known = KINDS.get(kind)
    if known is None:
        raise UsageError(f"{text!r} is no change of preprocessing", f"the kinds are {', '.join(KINDS)}")
    if not known.accepts(value):
        fix = f"{kind}:VALUE, where VALUE is {known.value}" if known.value else f"write {kind} alone"
        raise UsageError(f"{text!r} is no change of preprocessing", fix)
    return Variant(kind, value)


def _are_variants(names: tuple[str, ...]) -> bool:
    try:
        return len({parse_variant(name) for name in names}) == len(names) > 0
    except UsageError:
        return False


_NAMES = Check(f"must be different changes such as jpeg:75; the kinds are {', '.join(KINDS)}", _are_variants)


@dataclass(frozen=True, slots=True)
class PreprocessingParams:
    """The changes, one at a time, and the images that they are made to."""

    variants: tuple[str, ...] = option(
        PANEL,
        Option(
            "prep_variants",
            "changes of the preprocessing lab, one at a time (docs/preprocessing.md)",
            "LIST",
            check=_NAMES,
            default_words="a panel of 15",
        ),
    )
    train_per_class: int = option(
        40, Option("prep_train", "training images per class of the preprocessing lab", "N", check=at_least(2))
    )
    test_per_class: int = option(
        20, Option("prep_test", "hold-out images per class of the preprocessing lab", "N", check=at_least(2))
    )
    """Images of the hold-out, drawn with the seed."""
    seed: int = follows(0, "seed")
