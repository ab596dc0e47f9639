"""Details of a cell: metrics, folds, confusions as heat blocks, classes as bars, calibration."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.render.palette import class_letters
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.tui.home.detail import percent
from medvlm_tui.tui.scores.confusion import MOST_CLASSES, confusion, confusion_lines
from medvlm_tui.tui.scores.table import NO_SHARES
from medvlm_tui.tui.states import GREY, SKY, YELLOW

if TYPE_CHECKING:
    from medvlm_tui.core.specs import FeatureTable
    from medvlm_tui.core.store.store import Stored

_BAR, _NAME = 20, 18
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_CALIBRATION_BINS = 10
_GAP = 3
# Cells beside a class's name in its line: the letter, the bar, three numbers.
_BESIDE_NAME = _BAR + 24


def behind(probe: Stored[ProbeRecord], table: FeatureTable | None, width: int, heat: Sequence[str]) -> list[Text]:
    """Return metrics, folds and confusions of one probe, side by side where they fit into `width`."""
    blocks = (metric_lines(probe.record), confusion_block(probe, table, width, heat))
    return [*flowed(blocks, width), *warning_lines(probe.record, width)]


def whole(probe: Stored[ProbeRecord], table: FeatureTable | None, width: int, heat: Sequence[str]) -> list[Text]:
    """Return everything there is to say of a probe in `width` cells."""
    blocks = (
        metric_lines(probe.record),
        confusion_block(probe, table, width, heat),
        class_bars(probe, table, width),
        calibration_bars(probe, table),
    )
    return [*warning_lines(probe.record, width), *flowed(blocks, width)]


def flowed(blocks: Sequence[list[Text]], width: int) -> list[Text]:
    """Return blocks side by side, as many as fit into `width`, then the next ones below after an empty line."""
    lines: list[Text] = []
    row: list[list[Text]] = []
    for block in filter(None, blocks):
        if row and sum(_widest(one) + _GAP for one in row) + _widest(block) > width:
            lines += [*_beside(row), Text()]
            row = []
        row.append(block)
    return lines + _beside(row)


def _beside(blocks: Sequence[list[Text]]) -> list[Text]:
    lines = []
    for number in range(max((len(block) for block in blocks), default=0)):
        line = Text()
        for block in blocks:
            cell = block[number].copy() if number < len(block) else Text()
            cell.pad_right(_widest(block) + _GAP - cell.cell_len)
            line.append_text(cell)
        line.rstrip()
        lines.append(line)
    return lines


def _widest(block: Sequence[Text]) -> int:
    return max(line.cell_len for line in block)


def metric_lines(record: ProbeRecord) -> list[Text]:
    """Return every metric, the folds' accuracies, the sizes and t."""
    lines = []
    for name, values in record.metrics.items():
        if values.mean is None or values.std is None:
            continue
        # An area under a curve is no percentage.
        shown = f"{values.mean:.3f} ± {values.std:.3f}" if name in NO_SHARES else percent(values.mean, values.std)
        lines.append(Text.assemble((f"{clean(name).replace('_', ' '):<18}", GREY), shown))
    folds = [value for value in record.metrics["accuracy"].folds if value is not None]
    lines.append(Text.assemble((f"{'folds':<8}", GREY), " ".join(f"{100 * value:.1f}" for value in folds)))
    lines.append(Text(f"train {record.n_train:,}, held out {record.n_test:,}, d {record.d:,}"))
    if record.t is not None:
        lines.append(Text(f"t {record.t:g}" + (", grid saturated" if record.saturated else "")))
    return lines


def warning_lines(record: ProbeRecord, width: int) -> list[Text]:
    """Return the warnings of a probe, wrapped."""
    words = [f"! {clean(warning)}" for warning in record.warnings]
    return [Text(part, style=YELLOW) for line in words for part in textwrap.wrap(line, max(8, width))]


def truth_of(probe: Stored[ProbeRecord], table: FeatureTable | None) -> NDArray[np.int64] | None:
    """Return the class (n_test,) of every held-out image, None where the features are gone."""
    if table is None:
        return None
    position = {name: index for index, name in enumerate(probe.record.classes)}
    return np.array([position.get(table.labels[int(row)], 0) for row in probe.arrays["hold_out"]], np.int64)


def predicted_of(probe: Stored[ProbeRecord]) -> tuple[NDArray[np.int64], str]:
    """Return what is predicted (n_test,) and by which classifier: the final one, the first fold's where it is none."""
    if "final_predicted" in probe.arrays:
        return probe.arrays["final_predicted"].astype(np.int64), "final classifier"
    return probe.arrays["predicted_test"][0].astype(np.int64), "first fold's classifier"


def confusion_block(
    probe: Stored[ProbeRecord], table: FeatureTable | None, width: int, heat: Sequence[str]
) -> list[Text]:
    """Return the confusions on the hold-out, nothing where there are too many classes for a screen."""
    classes, truth = probe.record.classes, truth_of(probe, table)
    if truth is None or len(classes) > MOST_CLASSES:
        return []
    predicted, by = predicted_of(probe)
    counts = confusion(truth, predicted, len(classes))
    head = Text(f"{by}, held-out images", style=GREY)
    names = [clean(name) for name in classes]
    return [head, *confusion_lines(counts, names, class_letters(len(classes)), width, heat)]


def class_bars(probe: Stored[ProbeRecord], table: FeatureTable | None, width: int) -> list[Text]:
    """Return a bar of F1 a class, the mean over the folds' classifiers, with precision and recall."""
    truth = truth_of(probe, table)
    if truth is None or "predicted_test" not in probe.arrays:
        return []
    from medvlm_tui.report.scores.side_tables import per_class

    classes = [clean(name) for name in probe.record.classes]
    values = {
        name: folds.mean(axis=0)
        for name, folds in per_class(truth, probe.arrays["predicted_test"], len(classes)).items()
    }
    room = max(_NAME, min(max(map(cell_len, classes)) + 2, width - _BESIDE_NAME))
    lines = [Text(f"{'class':<{room}} {'F1':<{_BAR}}      prec.   rec.", style=GREY)]
    for letter, name, f1, precision, recall in zip(
        class_letters(len(classes)), classes, values["f1"], values["precision"], values["recall"], strict=True
    ):
        label = Text(f"{letter} {name}")
        label.truncate(room, overflow="ellipsis", pad=True)
        lines.append(
            Text.assemble(
                label, " ", (bar(float(f1)), SKY), f"{100 * f1:6.1f}{100 * precision:7.1f}{100 * recall:7.1f}"
            )
        )
    return lines


def calibration_bars(probe: Stored[ProbeRecord], table: FeatureTable | None) -> list[Text]:
    """Return, for each range of the calibrated probability, how often the folds' classifiers are right."""
    truth = truth_of(probe, table)
    if truth is None or "probabilities_test" not in probe.arrays:
        return []
    shares = probe.arrays["probabilities_test"].astype(np.float64)
    predicted = probe.arrays["predicted_test"].astype(np.int64)
    confidence = np.take_along_axis(shares, predicted[..., None], axis=2)[..., 0].ravel()
    right = (predicted == truth).ravel()
    index = np.minimum((confidence * _CALIBRATION_BINS).astype(int), _CALIBRATION_BINS - 1)
    lines = [Text(f"{'says':<10} {'is right':<{_BAR}}        images", style=GREY)]
    for number in np.unique(index):
        here = index == number
        low, share = number / _CALIBRATION_BINS, float(right[here].mean())
        images = here.sum() / len(predicted)
        lines.append(
            Text.assemble(
                f"{100 * low:3.0f}-{100 * low + 10:3.0f} %  ", (bar(share), SKY), f"{100 * share:6.1f} {images:8.1f}"
            )
        )
    return lines


def bar(share: float, width: int = _BAR) -> str:
    """Return a bar of `width` cells, filled to an eighth of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    filled = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
    return filled.ljust(width)


def worst_images(probe: Stored[ProbeRecord], table: FeatureTable, count: int) -> list[tuple[str, str, str, float]]:
    """Return (id, true class, predicted class, margin of the wrong score) of the most wrong held-out images."""
    truth = truth_of(probe, table)
    scores = probe.arrays.get("final_scores", probe.arrays.get("scores_test", np.zeros((0, 0, 0)))[0:1].mean(axis=0))
    if truth is None or len(scores) != len(truth):
        return []
    rows = np.arange(len(truth))
    predicted = scores.argmax(axis=1)
    margin = scores[rows, predicted] - scores[rows, truth]
    classes = [clean(name) for name in probe.record.classes]
    order = [int(row) for row in np.argsort(-margin, kind="stable")[:count] if margin[row] > 0]
    held = probe.arrays["hold_out"]
    return [
        (table.ids[int(held[row])], classes[truth[row]], classes[predicted[row]], float(margin[row])) for row in order
    ]
