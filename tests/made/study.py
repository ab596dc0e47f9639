"""A study's worth of cells: three models on two data sets, under two protocols, compared with each other."""

from __future__ import annotations

from pathlib import Path

from medvlm_tui.core import events
from medvlm_tui.core.store.store import Store
from tests.made.recorded import KEYS, RecordedClient, fill_store

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
    return events.Survey(models, datasets, tuple(cells), "cpu", 0)


def fill(workspace: Path) -> None:
    """Store the probe behind every cell, and the comparisons: CLIP is not told apart from MedSigLIP on Brain MR."""
    fill_store(workspace)
    with Store(workspace / "store") as store:
        made = {"final_intervals": {}, "confidence": 0.95, "n": 12, "groups": None}
        store.put_result("intervals", {}, {"intervals": {"accuracy": [0.5, 0.75]}, **made})
        for dataset, p in (("brain_mr", 0.4), ("breast_us", 0.01)):
            pairs = [
                {
                    "a": a,
                    "b": b,
                    "mcnemar": {"holm": 1 - holm},
                    "differences": {
                        "accuracy": {"holm": holm, "smallest_seen": 0.05},
                        "macro_f1": {"holm": 0.001, "smallest_seen": 0.05},
                    },
                }
                for a, b, holm in (
                    ("medsiglip", "clip_b16", p),
                    ("medsiglip", "mine", 0.001),
                    ("clip_b16", "mine", 0.001),
                )
            ]
            record = {"protocol": "paper", "alpha": 0.05, "n": 12, "too_few": False, "pairs": pairs}
            store.put_result(f"pairs-{dataset}", {}, record)
        names = [model for model, _, _ in MODELS]
        ranks = {
            "models": names, "mean_ranks": [1.5, 1.5, 3.0], "datasets": 2, "chi2": 3.0, "p_value": 0.22, "alpha": 0.05,
            "iman_davenport": 3.0, "method": "exact",
            "critical_difference": 2.34, "separable": [], "cliques": [names], "pairs": [{}, {}, {}],
        }  # fmt: skip
        whole = {"models": names, "datasets": ["brain_mr", "breast_us"], "left_out": [], "reason": "", "ranks": ranks}
        few = {**whole, "reason": "2 models cannot be ranked", "ranks": None}
        record = {
            "protocol": "paper",
            "rankings": {"accuracy": whole, "f1": few},
            "groups": [],
            "alpha": 0.05,
            "seed": 0,
        }
        store.put_result("ranking", {}, record)


class StudyClient(RecordedClient):
    """Answers every survey with the study."""

    async def send(self, command):  # type: ignore[no-untyped-def]
        if command["cmd"] == "survey":
            self.say(survey())
        else:
            await super().send(command)
