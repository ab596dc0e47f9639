"""The selected and the marked models and datasets; shared by all screens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from medvlm_tui.stages import as_demo, with_every_stage
from medvlm_tui.stages.request import RunRequest

PHANTOM = ("efficientnet_lite0", "phantom")


@dataclass(slots=True)
class Selection:
    """One current cell and any number of marked models and datasets."""

    model: str = ""
    dataset: str = ""
    models: set[str] = field(default_factory=set)
    datasets: set[str] = field(default_factory=set)
    image: str = ""
    """Id of the image that was last chosen on a map."""

    def toggle_model(self, model: str) -> None:
        """Mark a model, or unmark it."""
        self.models ^= {model}

    def toggle_dataset(self, dataset: str) -> None:
        """Mark a dataset, or unmark it."""
        self.datasets ^= {dataset}

    def toggle_cell(self, model: str, dataset: str) -> None:
        """Mark both sides of a cell, or unmark both when both are marked."""
        if model in self.models and dataset in self.datasets:
            self.models.discard(model)
            self.datasets.discard(dataset)
            return
        self.models.add(model)
        self.datasets.add(dataset)

    def includes_mark(self, model: str, dataset: str) -> bool:
        """Return whether a run of what is marked has this cell."""
        return bool(self.models or self.datasets) and model in self.run_models() and dataset in self.run_datasets()

    def run_models(self) -> set[str]:
        """Return the marked models, the current one when none is."""
        return self.models or ({self.model} if self.model else set())

    def run_datasets(self) -> set[str]:
        """Return the marked datasets, the current one when none is."""
        return self.datasets or ({self.dataset} if self.dataset else set())


def run_request(base: RunRequest, models: tuple[str, ...], datasets: tuple[str, ...]) -> RunRequest:
    """Return a first look at these models on these datasets: every stage, with `base`'s options; of the phantom alone
    what `--demo` computes."""
    whole = as_demo(base) if set(datasets) == {PHANTOM[1]} else with_every_stage(base)
    return replace(whole, models=models, datasets=datasets)
