"""models.csv and datasets.csv: the study's Tables 1 and 2 for what a run used, and how the data differ from it."""

from __future__ import annotations

from medvlm_tui.report.formats.table import Table, numbers, texts
from medvlm_tui.report.results.run_results import Gathered

MODELS = (
    *texts("model", "name", "group", "backbone", "text_encoder", "pretraining_data", "modalities", "trained_on"),
    *texts("feature"), *numbers("d", "input_px"), *texts("licence", "gated", "source", "revision"),
)  # fmt: skip
DATASETS = (
    *texts("dataset", "name", "modality", "label_view"), *numbers("classes", "images", "published_n"),
    *texts("licence", "synthetic", "warnings"),
)  # fmt: skip


def models_table(gathered: Gathered) -> Table:
    """Return a row for each model with a score."""
    found = {(cell.model.id, cell.feature): cell.model for cell in gathered.cells}
    rows = tuple(
        (
            m.id, m.name, m.group, m.backbone, m.text_encoder, m.pretraining_data, "; ".join(m.modalities),
            "; ".join(m.trained_on), feature, m.features.get(feature), m.preprocess.size_px, m.licence, m.gated,
            m.source, m.revision,
        )
        for (_, feature), m in found.items()
    )  # fmt: skip
    return Table("models", MODELS, rows, "Models")


def datasets_table(gathered: Gathered) -> Table:
    """Return a row for each dataset with a score."""
    found = {cell.dataset.spec.id: cell.dataset for cell in gathered.cells}
    rows = tuple(
        (
            d.spec.id, d.spec.name, d.spec.modality, d.view, len(d.classes), len(d.samples), d.spec.published_n or None,
            d.spec.licence, d.spec.synthetic, "; ".join(d.warnings),
        )
        for d in found.values()
    )  # fmt: skip
    return Table("datasets", DATASETS, rows, "Datasets")
