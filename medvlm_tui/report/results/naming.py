"""Names of models and datasets in tables and figures, and of their files on disk."""

from __future__ import annotations

from medvlm_tui.core.digests import of_bytes
from medvlm_tui.core.safe_text import clean, slug
from medvlm_tui.core.specs import Dataset, ModelSpec

SYNTHETIC = "SYNTHETIC"
STUDY_VIEWS = ("", "default")
"""Names of the label view that the study has; it is not named in titles."""
# File systems allow 255 bytes; a suffix and the temporary name of an atomic write need some of them.
_STEM_LIMIT = 200


def dataset_title(dataset: Dataset) -> str:
    """Return the dataset's name with its label view; data made by code says so."""
    name = dataset.spec.name or dataset.spec.id
    name += of_view(dataset.view)
    if dataset.spec.synthetic and SYNTHETIC not in name:
        name = f"{name} ({SYNTHETIC})"
    return clean(name)


def of_view(view: str) -> str:
    """Return what stands behind the name of a dataset with another label view than the study's."""
    return "" if view in STUDY_VIEWS else f", view {view}"


def model_title(model: ModelSpec) -> str:
    """Return the model's name as tables print it."""
    return clean(model.name or model.id)


def file_stem(*ids: str) -> str:
    """Return the ids' slugs joined by _, cut with a digest where that is too long for a file name."""
    stem = "_".join(map(slug, ids))
    return stem if len(stem) <= _STEM_LIMIT else f"{stem[: _STEM_LIMIT - 9]}-{of_bytes(stem.encode())[:8]}"
