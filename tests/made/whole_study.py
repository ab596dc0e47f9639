"""The whole study filled in: every model and dataset of the catalog with made scores, for looking at and for tests."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.core import events
from tests.made.recorded import KEYS, RecordedClient, fill_store, survey_of


def survey() -> events.Survey:
    """Every cell done, with a score of its own."""
    rng = np.random.default_rng(0)
    models = tuple(
        {"id": m.id, "name": m.name, "group": m.group, "dim": 512, "licence": "MIT", "state": "ready"}
        for m in load_models().values()
    )
    datasets = tuple(
        {"id": d.id, "name": d.name, "modality": d.modality, "images": d.published_n, "published_n": d.published_n,
         "classes": ["a", "b"], "state": "ready"}
        for d in load_datasets().values()
    )  # fmt: skip
    quality = rng.normal(0, 0.03, len(models))
    cells = []
    for number, model in enumerate(models):
        for dataset in datasets:
            mean = float(np.clip(0.85 + quality[number] + rng.normal(0, 0.03), 0.3, 0.99))
            probes = {
                protocol: {
                    "key": KEYS["probe"], "accuracy": mean - less, "std": 0.011, "t": 1.0, "saturated": False, "n": 60,
                    "metrics": {"accuracy": [mean - less, 0.011], "macro_f1": [mean - less - 0.02, 0.013],
                                "ece": [1 - mean, 0.01]},
                    "intervals": {"accuracy": [mean - 0.03, mean + 0.03]},
                }
                for protocol, less in (("paper", 0.0), ("grouped", 0.04))
            }  # fmt: skip
            cells.append({
                "model": model["id"], "dataset": dataset["id"], "state": "done", "accuracy": mean, "std": 0.011,
                "table": KEYS["extract"], "probe": KEYS["probe"], "project": KEYS["project"],
                "saliency": KEYS["saliency"], "probes": probes,
            })  # fmt: skip
    return survey_of(models, datasets, cells)


if __name__ == "__main__":
    from medvlm_tui.tui.app import MedvlmApp

    folder = Path(sys.argv[1])
    if not (folder / "store").exists():
        fill_store(folder)
    MedvlmApp(folder, client=RecordedClient(shown=survey())).run()
