"""RISE maps of encoder, scaler and linear SVM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from medvlm_tui.core.typed_lists import join_list, split_list
from medvlm_tui.stages.option import Check, Option, at_least, follows, option

Fill = Literal["mean", "black", "blur"]
FILLS: tuple[Fill, ...] = get_args(Fill)
Estimator = Literal["plain", "reduced"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
PROMPT = "prompt:"
"""Before a text in `explain`, and before it where a map of a text is named."""


def _images(text: str) -> Mapping[str, Any]:
    """Return the fields that `--rise-images` sets: a number of images per class, or the images themselves."""
    return {"images_per_class": int(text)} if text.isdigit() else {"images": split_list(text)}


def _images_text(params: SaliencyParams) -> str:
    return join_list(params.images) if params.images else str(params.images_per_class)


def _readable(text: str) -> str:
    split_list(text)  # a quote that is not closed is found here
    return text


@dataclass(frozen=True, slots=True)
class SaliencyParams:
    """RISE on encoder + scaler + SVM."""

    masks: int = option(4096, Option("rise_masks", "random masks per image", "N", check=at_least(1)))
    cells: int = option(
        7, Option("rise_cells", "mask grid size", "N", check=at_least(2), default_words="7 = 7 x 7 cells")
    )
    probability: float = 0.5
    seed: int = follows(0, "seed")
    images_per_class: int = option(
        1,
        Option(
            "rise_images",
            "explained hold-out images per class, or a list of image ids",
            "N|IDS",
            normal=_readable,
            read=_images,
            write=_images_text,
        ),
    )
    """Hold-out images of each class, drawn with the seed, when `images` is empty."""
    images: tuple[str, ...] = ()
    """Sample ids to explain."""
    estimator: Estimator = option(
        "plain",
        Option(
            "rise_estimator",
            "plain: as in the paper; reduced: lower variance, needs fewer masks",
            choices=ESTIMATORS,
        ),
    )
    """The paper's; or pairs of masks with a control variate, whose map differs by a constant and errs less."""
    fill: Fill = option(
        "mean",
        Option(
            "rise_fill",
            "value of masked pixels, also in the bias lab: the preprocessing mean, black, or the blurred image",
            choices=FILLS,
        ),
    )
    """Value of a masked pixel: the preprocessing mean, black, or the blurred image."""
    stop_error: float = option(
        0.0,
        Option(
            "rise_stop_error",
            "stop when the standard error of every map is below SHARE of its standard deviation",
            "SHARE",
            check=Check("must be 0 or more", lambda share: share >= 0),
            default_words="0: use all masks",
        ),
    )
    """Stop when every image's standard error (of the map less its mean, root mean square over pixels) is below this
    share of the map's standard deviation over pixels; 0 runs all masks."""
    explain: tuple[str, ...] = option(
        (),
        Option(
            "rise_explain",
            "classes to explain for each image, * for all; prompt:TEXT for a text of your own",
            "LIST",
            default_words="the predicted class",
        ),
    )
    """Classes to explain for every image; empty is the predicted one, `*` is all. An entry that begins with PROMPT is a
    text, whose similarity to the image is explained beside the classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes that were named, `*` among them."""
        return tuple(each for each in self.explain if not each.startswith(PROMPT))

    @property
    def prompts(self) -> tuple[str, ...]:
        """Return the texts, without repeats."""
        named = (each.removeprefix(PROMPT) for each in self.explain if each.startswith(PROMPT))
        return tuple(dict.fromkeys(text for text in named if text))
