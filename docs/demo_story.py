"""Put what `make demo` found into README.md: two of its figures, and three sentences with its numbers.

.venv/bin/python docs/demo_story.py medvlm-demo

Every sentence is written only where the demo's intervals support it; where they do not, this stops with what they say
and leaves README.md as it is.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
MODEL = "efficientnet_lite0"
FIGURES = {
    "demo_words.png": "bias_efficientnet_lite0_phantom.png",
    "demo_maps.png": "bias_maps_efficientnet_lite0_phantom.png",
}
WIDTH_PX = 1100
PART = re.compile(r"(<!-- demo -->\n).*?(<!-- end of demo -->)", re.DOTALL)


EVEN, FULL = "0.25", "1"
"""Share of training images with their own class's word: where words tell nothing, and all."""


@dataclass(frozen=True, slots=True)
class Number:
    """A value of bias.csv or saliency_quality.csv with its interval."""

    value: float
    low: float
    high: float
    chance: float

    def share(self) -> str:
        """Return it in percent with its interval."""
        return f"{100 * self.value:.0f} % [{100 * self.low:.0f}, {100 * self.high:.0f}]"

    def difference(self) -> str:
        """Return it with a sign and its interval."""
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


Numbers = Mapping[tuple[str, str], Number]


def number(row: Mapping[str, str], name: str) -> Number:
    """Return a row's number."""
    return Number(float(row[name]), float(row["ci_low"]), float(row["ci_high"]), float(row.get("chance") or 0))


def supported(claim: bool, what: str) -> None:
    """Raise SystemExit for a sentence that the numbers do not support."""
    if not claim:
        raise SystemExit(f"the demo does not show it: {what}")


def read(path: Path, name: str) -> dict[tuple[str, str], tuple[Number, Mapping[str, str]]]:
    """Return (measure, condition) -> its number and row, of the story's model and of rows that have an interval."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["ci_low"] and row["model"] == MODEL]
    return {(row["measure"], row.get("condition", "")): (number(row, name), row) for row in rows}


def story(out: Path) -> str:
    """Return the three sentences."""
    lab = {key: found for key, (found, _) in read(out / "bias.csv", "value").items()}
    lesion, row = read(out / "saliency_quality.csv", "mean")["mass_over_area_lesion", ""]
    images = int(read(out / "bias.csv", "value")["mass_over_area_text", FULL][1]["n"])
    return "\n".join([f"1. {_accuracy(lab)}", f"2. {_word(lab, images)}", f"3. {_lesion(lesion, row)}", ""])


def _accuracy(lab: Numbers) -> str:
    own, other = lab["accuracy_matching", FULL], lab["accuracy_reversed", FULL]
    even, even_other = lab["accuracy_matching", EVEN], lab["accuracy_reversed", EVEN]
    supported(other.high < own.low, "accuracy collapses with reversed words")
    supported(even_other.high > even.low and even.high > even_other.low, "on unbiased images words do not matter")
    return (
        "A classifier whose training images all carry the word of their class reads the word: it is right on "
        f"{own.share()} of the hold-out images when they carry the word of their own class, and on {other.share()} of "
        "the same images when they carry the word of another class. A classifier trained on images whose words say "
        f"nothing about the class is right on {even.share()} and {even_other.share()}."
    )


def _word(lab: Numbers, images: int) -> str:
    word, even, robust = lab["mass_over_area_text", FULL], lab["mass_over_area_text", EVEN], lab["robustness", "k=10"]
    supported(word.low > 0, f"the map lies on the word: {word.difference()}")
    supported(even.low <= 0, f"trained on unbiased images it does not: {even.difference()}")
    supported(robust.high < robust.chance, "neighbours follow the word")
    return (
        f"Its RISE maps lie on the word: over {images} images, the share of the map's mass inside the word's box minus "
        f"the box's share of the image area is {word.difference()}; for the classifier trained on unbiased images it "
        f"is {even.difference()}. Single maps of so few masks are mostly noise. The encoder itself places images "
        f"with the same word beside each other (robustness {robust.value:.2f} [{robust.low:.2f}, {robust.high:.2f}], "
        f"{robust.chance:.2f} by chance)."
    )


def _lesion(lesion: Number, row: Mapping[str, str]) -> str:
    seen = "lie on the lesion" if lesion.low > 0 else "are not shown to lie on the lesion"
    return (
        f"The maps of the probe, which was trained on unbiased images, {seen}: over {row['n']} images that contain a "
        f"lesion, its share of the mass minus its share of the area is {lesion.difference()}, and "
        f"{row['mostly_noise']} of these maps are marked as mostly noise."
    )


def main() -> None:
    """Write README.md and the figures."""
    out = Path(sys.argv[1])
    text, readme = story(out), ROOT / "README.md"
    for name, figure in FIGURES.items():
        with Image.open(out / "figures" / figure) as image:
            height = round(image.height * WIDTH_PX / image.width)
            shown = image.convert("RGB").resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
            shown.quantize(128).save(ROOT / "assets" / name, optimize=True)
    readme.write_text(
        PART.sub(lambda part: part[1] + text + part[2], readme.read_text(encoding="utf-8")), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
