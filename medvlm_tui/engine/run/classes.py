"""Check that a dataset has the classes that a probe needs: known before anything is encoded."""

from __future__ import annotations

from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.specs import Dataset
from medvlm_tui.engine.datasets.folders.parts import list_hint
from medvlm_tui.engine.datasets.folders.tree import LIST_SUFFIXES
from medvlm_tui.errors import DatasetError

_SHOWN_WARNINGS = 3


def too_few_classes(dataset: Dataset) -> DatasetError | None:
    """Return why no classifier can be trained on a dataset and what to do, None where one can."""
    if len(dataset.classes) > 1:
        return None
    name = clean(dataset.spec.id)
    what = f"only one class ({clean(dataset.classes[0])})" if dataset.classes else "no labels"
    hints = [_lists_in(dataset), *(clean(warning) for warning in dataset.warnings[:_SHOWN_WARNINGS])]
    hints += [f"a probe needs two classes: give {name} labels, or leave it out: --stages extract,project"]
    return DatasetError(f"{name} has {what}: there is nothing to tell apart", "\n".join(filter(None, hints)))


def _lists_in(dataset: Dataset) -> str:
    """Return what to do where the folder of a dataset holds a list of its images."""
    if not dataset.root.is_dir():
        return ""
    folders = [dataset.root, *sorted(path for path in dataset.root.iterdir() if path.is_dir())]
    lists = [path for folder in folders for path in sorted(folder.iterdir()) if path.suffix.lower() in LIST_SUFFIXES]
    return list_hint(dataset.spec.id, lists)
