"""The finding of covered lesions, in one sentence with its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from medvlm_tui.stages.records.background import WHOLE, BackgroundRecord
from medvlm_tui.stages.records.measure import Measure


def finding(record: BackgroundRecord) -> str:
    """Return what the intervals support under every fill, and no more."""
    whole = record.by_name["accuracy", WHOLE]
    if whole.low is None or whole.chance is None or whole.low <= whole.chance:
        return f"Not enough evidence: on whole images the accuracy of {_shown(whole)} is not shown to exceed chance."
    costs = [record.by_name["cost_of_cover", fill] for fill in record.fills]
    indices = [record.by_name["shortcut_index", fill] for fill in record.fills]
    needs = all(cost.low is not None and cost.low > 0 for cost in costs)
    keeps = all(index.low is not None and index.low > 0 for index in indices)
    cost = _each(record, costs, 100, ".0f", " points")
    index = _each(record, indices, 1, ".2f", "")
    lesion = "covering lesions costs more than covering as much elsewhere" if needs else (
        "covering lesions is not shown to cost more than covering as much elsewhere"
    )  # fmt: skip
    rest = "the rest of the image alone tells the class above chance" if keeps else (
        "the rest of the image alone is not shown to tell the class"
    )  # fmt: skip
    return f"{lesion[0].upper()}{lesion[1:]} ({cost}), and {rest} (shortcut index: {index}); {record.n_test} images."


def _each(record: BackgroundRecord, measures: Sequence[Measure], scale: int, spec: str, unit: str) -> str:
    pairs = zip(record.fills, measures, strict=True)
    return "; ".join(f"{fill} {scale * m.value:{spec}}{unit}{_ends(m, scale)}" for fill, m in pairs)


def _shown(measure: Measure) -> str:
    return f"{measure.value:.0%}{_ends(measure, 100)}"


def _ends(measure: Measure, scale: int) -> str:
    if measure.low is None or measure.high is None:
        return ""
    digits = 0 if scale == 100 else 2
    return f" [{scale * measure.low:.{digits}f}, {scale * measure.high:.{digits}f}]"
