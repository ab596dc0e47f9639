"""The few numbers of a result that a line or a cell shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medvlm_tui.core.store.store import Store


def summary(store: Store, kind: str, key: str) -> dict[str, Any]:
    """Return the summary of a stored result; empty when there is none."""
    if kind == "extract":
        record = store.tables.record(key)
        return {} if record is None else extraction(record)
    result = store.result(key)
    return {} if result is None else of_record(kind, result.record)


def probe_scores(store: Store, key: str) -> dict[str, Any]:
    """Return every mean and spread of a stored probe, with its t, for a table of scores."""
    result = store.result(key)
    if result is None:
        return {"key": key}
    record = result.record
    shown = of_record("probe", record)
    means = {name: (values["mean"], values["std"]) for name, values in record["metrics"].items()}
    return {
        "key": key,
        **{name: shown.get(name) for name in ("accuracy", "macro_f1", "std", "t", "saturated")},
        "metrics": {name: [mean, std] for name, (mean, std) in means.items() if mean is not None},
        "tuned_t": (record.get("tuned") or {}).get("t"),
        "n": record["n_train"] + record["n_test"],
    }


def intervals(store: Store, key: str) -> dict[str, Any]:
    """Return metric -> [low, high] of a stored `statistics` result; empty when there is none."""
    result = store.result(key) if key else None
    return {} if result is None else dict(result.record["intervals"])


def extraction(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Rows, failures and dimension of a sealed table."""
    rows, dim = manifest["shape"]
    return {"rows": rows, "failed": len(manifest["failed"]), "dim": dim}


def of_record(kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is worth a line of a probe, projection, saliency, bias, statistics, pairs or ranking record."""
    if kind == "probe":
        metrics = record["metrics"]
        shown = {name: metrics[name]["mean"] for name in ("accuracy", "macro_f1") if name in metrics}
        return {**shown, "std": metrics["accuracy"]["std"], "t": record["t"], "saturated": record["saturated"]}
    if kind == "project":
        return dict(record["scores"])
    if kind == "grid":
        return {"proposed": record["proposed"], "maps": len(record["cells"])}
    if kind == "separability":
        return {name: record["measures"].get(name) for name in ("silhouette", "knn_purity")}
    if kind == "similarity":
        return {"pairs": len(record["pairs"])}
    if kind == "saliency":
        return {"images": len(record["items"]), "masks": record["masks"]}
    if kind == "bias":
        values = {(m["name"], m["condition"]): m["value"] for m in record["measures"]}
        return {name: values[name, "text"] for name in ("shift", "flip_rate")}
    if kind == "bias_groups":
        return {"models": len(record["models"]), "tests": len(record["groups"])}
    if kind == "check":
        report = record["report"]
        found = {name: len(report[name]) for name in ("unreadable", "exact", "near", "similar", "group_leaks")}
        return {"images": report["images"], "matches": report["matches"], **found}
    if kind == "statistics":
        return {"accuracy": record["intervals"].get("accuracy")}
    if kind == "pairs":
        tests = [pair["differences"]["accuracy"] for pair in record["pairs"]]
        apart = sum(test["holm"] < record["alpha"] for test in tests)
        return {"pairs": len(record["pairs"]), "told_apart": apart}
    if kind == "ranking":
        ranks = record["rankings"]["accuracy"]["ranks"]
        return {} if ranks is None else {"chi2": ranks["chi2"], "told_apart": len(ranks["separable"])}
    return {}
