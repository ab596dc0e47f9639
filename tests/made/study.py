"""A study's worth of cells: three models on two data sets, under two protocols, compared with each other."""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.core import events
from medvlm_tui.core.store.store import Store
from medvlm_tui.stages.records.comparison import IntervalsRecord
from tests.made.comparisons import pair, pairs_record, rankings_record
from tests.made.recorded import KEYS, fill_store, survey_of

MODELS = (
    ("medsiglip", "MedSigLIP", "medical"),
    ("clip_b16", "CLIP (B/16)", "general"),
    ("mine", "Mine [/]", "general"),
)
DATASETS = (("brain_mr", "Brain MR", 2870, 600), ("breast_us", "BreastUS", 780, 780))
# Under `paper`; `grouped` is lower by 0.04.
SCORES = {
    ("medsiglip", "brain_mr"): 0.95, ("clip_b16", "brain_mr"): 0.94, ("mine", "brain_mr"): 0.70,
    ("medsiglip", "breast_us"): 0.80, ("clip_b16", "breast_us"): 0.85, ("mine", "breast_us"): 0.60,
}  # fmt: skip


def reading(key: str, mean: float, n: int) -> dict[str, object]:
    metrics = {"accuracy": [mean, 0.011], "macro_f1": [mean - 0.01, 0.013], "ece": [1 - mean, 0.01]}
    return {
        "key": key, "accuracy": mean, "std": 0.011, "macro_f1": mean - 0.01, "t": 1.0, "saturated": True, "n": n,
        "tuned_t": 0.001, "metrics": metrics,
    }  # fmt: skip


def survey() -> events.Survey:
    models = tuple(
        {"id": i, "name": name, "group": group, "dim": 8, "licence": "MIT", "state": "ready"}
        for i, name, group in MODELS
    )
    datasets = tuple(
        {
            "id": i,
            "name": name,
            "modality": "MR",
            "images": n,
            "published_n": m,
            "classes": ["a", "b"],
            "state": "ready",
        }
        for i, name, m, n in DATASETS
    )
    cells = []
    for (model, dataset), mean in SCORES.items():
        n = 600 if dataset == "brain_mr" else 780
        paper = {**reading(KEYS["probe"], mean, n), "statistics": "intervals", "intervals": {"accuracy": [0.5, 0.75]}}
        probes = {"paper": paper, "grouped": reading(KEYS["probe"], mean - 0.04, n)}
        cells.append({
            "model": model, "dataset": dataset, "state": "done", "table": KEYS["extract"], "probe": KEYS["probe"],
            "accuracy": mean, "std": 0.011, "macro_f1": mean - 0.01, "t": 1.0, "saturated": True, "probes": probes,
            "pairs": [f"pairs-{dataset}"], "rankings": ["ranking"],
        })  # fmt: skip
    return survey_of(models, datasets, cells)


def fill(workspace: Path) -> None:
    """Store the probe behind every cell, and the comparisons: CLIP is not told apart from MedSigLIP on Brain MR."""
    fill_store(workspace)
    with Store(workspace / "store") as store:
        store.put_result("intervals", {}, IntervalsRecord(intervals={"accuracy": (0.5, 0.75)}, n=12))
        for dataset, p in (("brain_mr", 0.4), ("breast_us", 0.01)):
            pairs = [
                pair(a, b, {"accuracy": holm, "macro_f1": 0.001})
                for a, b, holm in (
                    ("medsiglip", "clip_b16", p),
                    ("medsiglip", "mine", 0.001),
                    ("clip_b16", "mine", 0.001),
                )
            ]
            store.put_result(f"pairs-{dataset}", {}, pairs_record(*pairs))
        names, datasets = tuple(model for model, *_ in MODELS), tuple(dataset for dataset, *_ in DATASETS)
        store.put_result("ranking", {}, rankings_record(names, datasets, (1.5, 1.5, 3.0)))
