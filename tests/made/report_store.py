"""A small store as a run leaves it: three models on two datasets (one of them SYNTHETIC), results made from a seed."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, FeatureTable, ModelSpec, PreprocessSpec, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.report.results.run_results import ReportInput
from medvlm_tui.stages.records.comparison import IntervalsRecord, McNemarRecord, PairRecord, PairsRecord
from medvlm_tui.stages.records.probe import MetricRecord, ProbeRecord, TunedRecord
from medvlm_tui.stages.records.projection import MapRecord
from medvlm_tui.stages.records.saliency import ExplainedImage, SaliencyRecord
from medvlm_tui.stages.request import RunRequest
from tests.made.comparisons import difference, pairs_record, rankings_record

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "ece")
FOLDS = 5


def model(model_id: str, name: str, group: str, published: str = "", modalities: tuple[str, ...] = ()) -> ModelSpec:
    preprocess = PreprocessSpec(size_px=32, resize_px=32)
    return ModelSpec(
        model_id, name, group, "timm", "net", "package:x", preprocess, {"pooled": 8},
        published=published, modalities=modalities,
    )  # fmt: skip


MODELS = (
    model("biomedclip", "BiomedCLIP", "medical", "biomedclip", ("MR", "CT")),
    model("vgg16", "VGG_16 & co", "general", "vgg16"),
    model("local:net", "=cmd|' /C calc'!A0 \\input{x} [/]", "general"),
)


def dataset(spec: DatasetSpec, per_class: int, warnings: tuple[str, ...] = ()) -> Dataset:
    samples = tuple(
        Sample(f"{name}/{name}_{i:02d}.png", Path("/nowhere") / f"{i}.png", name, digest=f"{name}{i}")
        for name in spec.classes
        for i in range(per_class)
    )
    return Dataset(spec, Path("/nowhere"), "", samples, spec.classes, warnings)


DATASETS = (
    dataset(
        DatasetSpec(
            "brain_mr", "Brain MR", "MR", "brain_mr", ("=glioma", "no_tumor", "pituitary $x_1$"), published_n=2870
        ),
        20,
        ("brain_mr: 60 images found, the catalog says 2,870",),
    ),
    dataset(DatasetSpec("phantom", "Phantom", "ultrasound", "phantom", ("none", "smooth"), synthetic=True), 30),
)


def filled(folder: Path) -> ReportInput:
    """Return a report's input whose store has every kind of result, and one failed step."""
    store = Store(folder / "store")
    steps: list[Step] = []
    for dataset_ in DATASETS:
        for number, model_ in enumerate(MODELS):
            steps += _pair(store, model_, dataset_, np.random.default_rng([number, len(dataset_.classes)]))
    steps += _comparisons(store)
    steps.append(Step("extract:uni:brain_mr", "extract", "uni", "brain_mr", blocked="no weights\nask for access"))
    return ReportInput(
        run_id="run-1",
        plan=Plan("run-1", tuple(steps), ("brain_mr: 60 images found, the catalog says 2,870",)),
        request=RunRequest(models=("biomedclip",), datasets=("brain_mr",), data={"brain_mr": "/data/brain"}),
        models={m.id: m for m in MODELS},
        datasets={d.spec.id: d for d in DATASETS},
        store=store,
        failures=(("extract:uni:brain_mr", "no weights", "ask for access"),),
        timings={"probe:biomedclip:brain_mr:paper": 1.5},
        versions={"medvlm-tui": "0.1.0", "python": "3.11"},
        device="cpu",
    )


def _comparisons(store: Store) -> list[Step]:
    """Three pairs of models a dataset, of which the first is not told apart, and ranks over the two datasets."""
    names = [m.id for m in MODELS]
    steps = []
    for number, shown in enumerate(DATASETS):
        pairs = [
            _compared(a, b, p + number / 64)
            for (a, b), p in zip(combinations(names, 2), (0.25, 0.015625, 0.03125), strict=True)
        ]
        record = pairs_record(*pairs, too_few=bool(number))
        store.put_result(f"pairs-{shown.spec.id}", {}, replace(record, groups=PairsRecord.example().groups))
        steps.append(Step(f"pairs:*:{shown.spec.id}:paper", "pairs", "", shown.spec.id, {}, f"pairs-{shown.spec.id}"))
    ranks = rankings_record(tuple(names), tuple(shown.spec.id for shown in DATASETS), (1.25, 1.75, 3.0))
    store.put_result("ranking", {}, ranks)
    return [*steps, Step("ranking:*:*:paper", "ranking", key="ranking")]


def _compared(a: str, b: str, p: float) -> PairRecord:
    """Return a pair whose accuracies are told apart by an exact test with this p-value, other scores by a drawn one."""
    drawn = difference(p, "drawn")
    return PairRecord(
        a=a,
        b=b,
        mcnemar=McNemarRecord(only_first=3, only_second=1, exact=p / 2, mid_p=p / 4, holm=p),
        differences={"accuracy": difference(p), "balanced_accuracy": drawn, "macro_f1": drawn},
    )


def _pair(store: Store, model_: ModelSpec, dataset_: Dataset, rng: np.random.Generator) -> list[Step]:
    pair = f"{model_.id}:{dataset_.spec.id}"
    n = len(dataset_.samples)
    encoder = EncoderKey(model_.id, "w", model_.preprocess.digest, "pooled", "fp32", "1")
    table = FeatureTable(
        encoder, dataset_.digest, tuple(s.id for s in dataset_.samples), tuple(s.label for s in dataset_.samples),
        ("",) * n, rng.normal(size=(n, 8)).astype(np.float32), dataset_.classes, {"bad.png": "truncated"},
        {"device": "cpu", "images_per_second": 312.5, "parameters": 86_000_000, "seconds": n / 312.5},
    )  # fmt: skip
    store.seal(f"table-{model_.id}-{dataset_.spec.id}".replace(":", "-"), table)
    key = f"{model_.id}-{dataset_.spec.id}".replace(":", "-")
    _probe(store, f"probe-{key}", table, rng)
    low_high = dict.fromkeys(METRICS[:-1], (0.5, 0.9375))
    store.put_result(f"statistics-{key}", {}, replace(IntervalsRecord.example(), intervals=low_high))
    _project(store, f"project-{key}", table, rng)
    _saliency(store, f"saliency-{key}", table, rng)
    ids = (model_.id, dataset_.spec.id)
    umap = {"n_neighbors": 15, "min_dist": 0.1}
    return [
        Step(f"extract:{pair}", "extract", *ids, {}, f"table-{key}"),
        Step(f"probe:{pair}:paper", "probe", *ids, {"protocol": "paper"}, f"probe-{key}"),
        Step(f"statistics:{pair}:paper", "statistics", *ids, {"protocol": "paper"}, f"statistics-{key}"),
        Step(f"project:{pair}:15:0.1", "project", *ids, umap, f"project-{key}"),
        Step(f"saliency:{pair}", "saliency", *ids, {}, f"saliency-{key}"),
    ]


def _probe(store: Store, key: str, table: FeatureTable, rng: np.random.Generator) -> None:
    classes = table.classes
    n, k = len(table.ids), len(classes)
    codes = np.array([classes.index(name) for name in table.labels])
    hold_out = np.arange(0, n, 5)
    fold = (np.arange(n) // 5 % FOLDS).astype(np.int8)
    fold[hold_out] = -1
    scores = rng.normal(size=(FOLDS + 2, n, k)) + 1.6 * np.eye(k)[codes]
    if k == 2:
        scores[..., 0] = -scores[..., 1]
    scores = np.round(scores, 6)
    validation, predicted = scores[-1].copy(), scores[-1].argmax(axis=1).astype(np.int16)
    validation[hold_out], predicted[hold_out] = np.nan, -1
    test = scores[:FOLDS, hold_out]
    right = (test.argmax(axis=2) == codes[hold_out]).mean(axis=1)
    names = (*METRICS, "f1_positive") if k == 2 else METRICS
    metrics = {name: _metric(right if name == "accuracy" else right - 0.015625) for name in names}
    store.put_result(
        key,
        {
            "labels": codes.astype(np.int16), "hold_out": hold_out, "fold": fold, "scores_test": test,
            "predicted_test": test.argmax(axis=2).astype(np.int16), "scores_validation": validation,
            "predicted_validation": predicted, "final_scores": scores[FOLDS, hold_out],
            "final_predicted": scores[FOLDS, hold_out].argmax(axis=1).astype(np.int16),
        },
        replace(
            ProbeRecord.example(),
            classes=classes,
            saturated=k == 2,
            separated=k == 2,
            tuned=TunedRecord(t=0.001, validation_macro_f1=0.875) if k == 2 else None,
            metrics=metrics,
            final_metrics={"accuracy": 0.6875, "ece": None},
            n_train=n - len(hold_out),
            n_test=len(hold_out),
            positive=classes[-1] if k == 2 else "",
        ),
    )  # fmt: skip


def _metric(values: np.ndarray) -> MetricRecord:
    return MetricRecord(
        mean=float(values.mean()),
        std=float(values.std()),
        folds=tuple(values.tolist()),
        validation=tuple((values - 0.03125).tolist()),
    )


def _project(store: Store, key: str, table: FeatureTable, rng: np.random.Generator) -> None:
    rows = np.arange(len(table.ids))
    codes = np.array([table.classes.index(name) for name in table.labels])
    xy = (rng.normal(size=(len(rows), 2)) + 5 * np.array([np.cos(2 * codes), np.sin(2 * codes)]).T).round(4)
    store.put_result(
        key,
        {"xy": xy.astype(np.float32), "rows": rows},
        replace(
            MapRecord.example(),
            n=len(rows),
            scores={"trustworthiness": 0.953125, "knn_purity": 0.90625, "silhouette": None},
        ),
    )  # fmt: skip


def _saliency(store: Store, key: str, table: FeatureTable, rng: np.random.Generator) -> None:
    y, x = np.mgrid[0:32, 0:32]
    blob = np.exp(-((x - 20) ** 2 + (y - 12) ** 2) / 40).astype(np.float32)
    image = np.repeat(
        (60 + 120 * blob + rng.normal(0, 8, size=(32, 32))).clip(0, 255).astype(np.uint8)[..., None], 3, 2
    )
    item = ExplainedImage(
        image=table.ids[0],
        label=table.labels[0],
        predicted=table.classes[1],
        explained=table.classes[1],
        score=0.75,
    )
    store.put_result(
        key,
        {"images": image[None], "maps": blob[None]},
        replace(SaliencyRecord.example(), items=(item,), quality={}),
    )  # fmt: skip
