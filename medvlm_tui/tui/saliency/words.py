"""Text about a saliency map: the decision, the map's quality, and how it was made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.measures.map_noise import MOSTLY_NOISE, mostly_noise
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.records.saliency import ExplainedImage, PreviewImage, SaliencyRecord
from medvlm_tui.tui.states import GREEN, GREY, RED

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Return a character a value, from the lowest to the highest."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)


def decision(title: str, item: ExplainedImage | PreviewImage, explained: str) -> list[Text]:
    """Return whose map this is, and what the classifier says of the image."""
    label, predicted, image = clean(item.label), clean(item.predicted), clean(item.image)
    verdict = ("right", GREEN) if item.label == item.predicted else ("wrong", RED)
    value = item.score if isinstance(item, ExplainedImage) and item.explained == explained else None
    score = "" if value is None else f"  decision value {value:+.2f}"
    return [
        Text.assemble((title, "bold"), "   ", image),
        Text.assemble(
            ("true ", GREY), label, ("   predicted ", GREY), predicted, "  ", verdict,
            ("   explained ", GREY), clean(explained), (score, GREY),
        ),
    ]  # fmt: skip


def quality(item: ExplainedImage) -> Text:
    """Return the masses beside their regions' areas, the pointing game, and both probability curves with what is good;
    may be empty."""
    known = item.quality
    parts = []
    regions = {"lesion": (known.mass_lesion, known.area_lesion), "text": (known.mass_text, known.area_text)}
    for name, (mass, area) in regions.items():
        if mass is not None and area is not None:
            parts.append(f"the {name} holds {100 * mass:.0f} % of the mass (its area is {100 * area:.0f} %)")
    if known.pointing is not None:
        parts.append("peak in the lesion" if known.pointing else "peak outside the lesion")
    if gone := half_gone(known.deletion_curve or ()):
        parts.append(f"half the probability is gone after {gone} % of the pixels")
    curves = (
        ("insertion", "more", known.insertion, known.insertion_curve),
        ("deletion", "less", known.deletion, known.deletion_curve),
    )
    for name, good, value, curve in curves:
        if value is not None:
            parts.append(f"{name} {value:.2f} of 1, {good} is better" + (f" {sparkline(curve)}" if curve else ""))
    if item.constant:
        parts.append("the map is flat: no mask changes the score")
    return Text("   ".join(parts))


def half_gone(curve: Sequence[float]) -> int | None:
    """Return the percent of the pixels, the heaviest first, after which a probability is half of its first value; None
    where it never is."""
    if len(curve) < 2:
        return None
    steps = [step for step, value in enumerate(curve) if value <= curve[0] / 2]
    return round(100 * steps[0] / (len(curve) - 1)) if steps else None


def asked(record: SaliencyRecord) -> SaliencyParams:
    """Return the parameters that a saliency result was asked for with.

    Release 0.1.0 stored them in part: of its results the shown images stand for those that were asked for.
    """
    if record.params is not None:
        return record.params
    classes = {item.explained_classes for item in record.items}
    several = next(iter(classes)) if len(classes) == 1 else ()
    return SaliencyParams(
        masks=record.masks_asked,
        cells=record.cells,
        probability=record.probability,
        seed=record.seed,
        images=tuple(item.image for item in record.items),
        estimator=record.estimator,
        fill=record.baseline,
        explain=several if len(several) > 1 else (),
    )


def made(record: SaliencyRecord, item: ExplainedImage) -> Text:
    """Return how the map was made, and how sure it is."""
    error = item.relative_error
    sure = f", standard error {error:.2f} of the map's spread" if error is not None else ""
    mark = (f"{MOSTLY_NOISE}: ", RED) if item.mostly_noise else ""
    return Text.assemble(
        mark,
        f"RISE ({record.estimator}), {record.masks:,} masks of {record.cells} × {record.cells} "
        f"cells, p {record.probability:g}, masked with the {record.baseline}, seed "
        f"{record.seed}{sure}; bright raises the decision value",
        style=GREY,
    )


def error_so_far(values: NDArray[np.floating], errors: NDArray[np.floating]) -> float | None:
    """Return the relative standard error of a map (H, W) that grows, from that of each pixel of the centred map; None
    while the map is flat."""
    spread = float(values.std())
    return float(np.sqrt((errors.astype(np.float64) ** 2).mean())) / spread if spread > 0 else None


def so_far(error: float | None) -> Text:
    """Return what is said of a map that grows."""
    mark = (f"{MOSTLY_NOISE} so far: ", RED) if mostly_noise(error) else ""
    return Text.assemble(
        mark, "masks come in; c on the run's screen (F3) stops them, and what was scored is kept", style=GREY
    )
