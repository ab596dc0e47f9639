"""Text about a saliency map: the decision, the map's quality, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.measures.map_noise import MOSTLY_NOISE, mostly_noise
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.tui.states import GREEN, GREY, RED

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Return a character a value, from the lowest to the highest."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in values)


def decision(title: str, item: Mapping[str, Any], explained: str) -> list[Text]:
    """Return whose map this is, and what the classifier says of the image."""
    label, predicted, image = (clean(str(item[name])) for name in ("label", "predicted", "image"))
    verdict = ("right", GREEN) if item["label"] == item["predicted"] else ("wrong", RED)
    score = f"  decision value {item['score']:+.2f}" if item["explained"] == explained and "score" in item else ""
    return [
        Text.assemble((title, "bold"), "   ", image),
        Text.assemble(
            ("true ", GREY), label, ("   predicted ", GREY), predicted, "  ", verdict,
            ("   explained ", GREY), clean(explained), (score, GREY),
        ),
    ]  # fmt: skip


def quality(item: Mapping[str, Any]) -> Text:
    """Return the masses beside their regions' areas, the pointing game, and the areas under both probability curves;
    may be empty."""
    known: Mapping[str, Any] = item.get("quality") or {}
    parts = []
    for name in ("lesion", "text"):
        mass, area = known.get(f"mass_{name}"), known.get(f"area_{name}")
        if mass is not None and area is not None:
            parts.append(f"mass in {name} {mass:.2f} (area {area:.2f}, {mass - area:+.2f})")
    if known.get("pointing") is not None:
        parts.append("peak in the lesion" if known["pointing"] else "peak outside the lesion")
    for name in ("insertion", "deletion"):
        if known.get(name) is not None:
            curve = known.get(f"{name}_curve")
            parts.append(f"{name} {known[name]:.2f}" + (f" {sparkline(curve)}" if curve else ""))
    if item.get("constant"):
        parts.append("the map is flat: no mask changes the score")
    return Text("   ".join(parts))


def asked(record: Mapping[str, Any]) -> SaliencyParams:
    """Return the parameters that a saliency result was asked for with.

    Release 0.1.0 stored them in part: of its results the shown images stand for those that were asked for.
    """
    if "params" in record:
        names = {each.name for each in fields(SaliencyParams)}
        known: dict[str, Any] = {name: value for name, value in record["params"].items() if name in names}
        known |= {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return SaliencyParams(**known)
    classes = {tuple(item.get("explained_classes") or ()) for item in record["items"]}
    several = next(iter(classes)) if len(classes) == 1 else ()
    return SaliencyParams(
        masks=int(record["masks_asked"]),
        cells=int(record["cells"]),
        probability=float(record["probability"]),
        seed=int(record["seed"]),
        images=tuple(str(item["image"]) for item in record["items"]),
        estimator=record["estimator"],
        fill=record["baseline"],
        explain=several if len(several) > 1 else (),
    )


def made(record: Mapping[str, Any], item: Mapping[str, Any]) -> Text:
    """Return how the map was made, and how sure it is."""
    error = item.get("relative_error")
    sure = f", standard error {error:.2f} of the map's spread" if error is not None else ""
    mark = (f"{MOSTLY_NOISE}: ", RED) if item.get("mostly_noise") else ""
    return Text.assemble(
        mark,
        f"RISE ({clean(str(record['estimator']))}), {record['masks']:,} masks of {record['cells']} × {record['cells']} "
        f"cells, p {record['probability']:g}, masked with the {clean(str(record['baseline']))}, seed "
        f"{record['seed']}{sure}; bright raises the decision value",
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
    return Text.assemble(mark, "masks come in: s stops, and what was scored is kept", style=GREY)
