"""Our score beside the printed one: which cell compares, by how much it differs, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

from medvlm_tui.catalog.published import PAPER, POSTER, metric_for, published
from medvlm_tui.core.specs import DatasetSpec, ModelSpec
from medvlm_tui.report.formats.table import Mark
from medvlm_tui.report.results.cells import Cell
from medvlm_tui.report.results.naming import STUDY_VIEWS
from medvlm_tui.stages.protocols import LINEAR_PROTOCOLS

_PROTOCOLS = {PAPER: "paper", POSTER: "poster"}
"""Source -> the protocol that its scores were computed by."""
LETTERS = {"n": "n", "classes": "c", "protocol": "p"}
"""Name of a difference -> its mark beside a difference."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A printed mean and our difference to it, in fractions."""

    source: str
    published: float
    delta: float
    differs: tuple[str, ...]
    """Of `n` (we have not the number of images that the study had, or nobody knows it), `classes` (not the printed
    number of classes) and `protocol` (not the source's own)."""

    @property
    def marks(self) -> str:
        """The letters that stand beside the difference."""
        return "".join(LETTERS[each] for each in self.differs)


def source_for(protocol: str) -> str:
    """Return where a protocol was published: the poster's own protocol in the poster, all others in the paper."""
    return POSTER if protocol == "poster" else PAPER


def compare(cell: Cell, metric: str, source: str = "") -> Comparison | None:
    """Return the comparison of one metric of a cell, None where nothing comparable was printed.

    `source` is one of SOURCES, by default the one that printed the cell's protocol.

    Another label view than the study's is another task, and a reading without the study's classifier another question:
    they are compared with nothing.
    """
    if cell.protocol not in LINEAR_PROTOCOLS:
        return None
    ours = cell.metric(metric)
    if ours is None or ours.mean is None or cell.dataset.view not in STUDY_VIEWS or not cell.model.published:
        return None
    source = source or source_for(cell.protocol)
    score = published(cell.dataset.spec.id, cell.model.published, metric, source)
    if score is None:
        return None
    return Comparison(source, score.mean, ours.mean - score.mean, _differs(cell, source))


def _differs(cell: Cell, source: str) -> tuple[str, ...]:
    spec = cell.dataset.spec
    found = {
        "n": spec.published_n != cell.n,
        "classes": printed_classes(spec) != len(cell.classes),
        "protocol": cell.protocol != _PROTOCOLS[source],
    }
    return tuple(name for name, other in found.items() if other)


def printed_classes(spec: DatasetSpec) -> int:
    """Return the number of classes of a dataset of the study, as its table prints it."""
    return spec.published_classes or len(set(spec.views.get("default", {}).values()) or set(spec.classes))


def f1_metric(cell: Cell) -> str:
    """Return the metric that stands in the F1 column: the one that the printed F1 compares with."""
    wanted = metric_for(cell.dataset.spec.id, "f1")
    return wanted if cell.metric(wanted) is not None else "macro_f1"


def training_mark(model: ModelSpec, dataset: DatasetSpec) -> Mark:
    """Return star where the dataset was in the model's training data, dagger where its modality was."""
    if dataset.id in model.trained_on:
        return "star"
    modality = dataset.modality.casefold()
    return "dagger" if modality and modality in map(str.casefold, model.modalities) else ""
