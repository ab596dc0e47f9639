"""Sampling error of both estimators on real scores: `python benchmarks/saliency_error.py FOLDER --brain DIR [--fill]`.

How many masks of the reduced estimator give the error of the plain one at 4,096, against an independent reference of
16,384 masks in pairs, on three phantoms and three Brain MR images (efficientnet_lite0, scaler and SVM as a run fits
them). Some 130,000 forward passes: scores are stored range by range below FOLDER, a stopped run goes on where it was,
and --seconds stops it in time. The reference grows for all images in turn, 4,096 masks, 8,192, 16,384: what is known of
each is printed as a line of JSON. The last is masks_for_equal_error of benchmarks/saliency.py.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from runs import do

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.planner import lay_out
from medvlm_tui.engine.saliency.explained_images import prepare
from medvlm_tui.engine.saliency.masking import score_chunk
from medvlm_tui.engine.saliency.masks import CHUNK, MaskStream
from medvlm_tui.engine.saliency.rise import Estimator, estimate
from medvlm_tui.engine.saliency.step import stored_scores
from medvlm_tui.engine.step.freed_memory import keep_freed_memory
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.stages.params.saliency import FILLS, Fill, SaliencyParams
from medvlm_tui.stages.request import RunRequest

MODEL, DATASETS, IMAGES = "efficientnet_lite0", ("phantom", "brain_mr"), 3
PLAIN = SaliencyParams(masks=4096, seed=0)
REDUCED = SaliencyParams(masks=2048, seed=0, estimator="reduced")
REFERENCE = SaliencyParams(masks=16384, seed=9, estimator="reduced")
COUNTS = (128, 192, 256, 384, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048)


@dataclass(frozen=True, slots=True)
class Series:
    """The scores (N, k) of one image under one stream's masks, as far as they are stored."""

    stream: MaskStream
    scores: np.ndarray
    explained: int

    def centred(self, masks: int, estimator: Estimator) -> np.ndarray:
        """Return the map of the first masks, without its mean: a constant is no part of the comparison."""
        found = estimate(self.stream, self.scores[:masks, [self.explained]], estimator).maps[0]
        return found - found.mean()


def request_of(brain: str) -> RunRequest:
    """The run whose classifiers are explained."""
    stages = ("extract", "probe", "saliency")
    return RunRequest((MODEL,), DATASETS, {"brain_mr": brain}, stages=stages, phantom_per_class=60, device="cpu")


def jobs(folder: Path, request: RunRequest) -> Iterator[tuple[CellJob, StepContext]]:
    """Yield the saliency job of each dataset, after its features and probe were made."""
    if not (folder / "ready").exists():
        do(folder, replace(request, stages=("extract", "probe")))
        (folder / "ready").touch()
    workspace = Workspace(folder)
    with Store(workspace.store) as store:
        prepared = lay_out(request, workspace, store, "")
        for job in prepared.jobs.values():
            if isinstance(job, CellJob) and job.step.kind == "saliency":
                yield job, StepContext(store, lambda: False)


def drawn_images(job: CellJob, context: StepContext) -> tuple[str, ...]:
    """Return the images to explain, drawn with one seed: each series of masks has a seed of its own."""
    return tuple(sample.id for sample in prepare(job, context, PLAIN).samples[:IMAGES])


def series(job: CellJob, context: StepContext, params: SaliencyParams, until: float) -> list[Series]:
    """Score what is missing until the clock says `until`; return what there is of each image."""
    images = prepare(job, context, params)
    stored = stored_scores(job, context, params, images)
    parts, shape = [], (IMAGES, CHUNK, len(images.classes))
    for chunk in range(params.masks // CHUNK):
        if time.monotonic() >= until and any(stored.get(i, chunk, shape[1:]) is None for i in range(IMAGES)):
            break
        begun = time.monotonic()
        for part in score_chunk(images.masking, chunk, shape, stored, context.check):
            scored = part
        parts.append(scored.scores)
        if scored.fresh:
            rate = scored.fresh / (time.monotonic() - begun)
            print(f"{job.step.dataset} {params.estimator} seed {params.seed} range {chunk}: {rate:.1f}/s", flush=True)
    scores = np.concatenate(parts, axis=1) if parts else np.empty((IMAGES, 0, len(images.classes)))
    return [Series(images.masking.stream, scores[i], images.maps_of[i][0]) for i in range(IMAGES)]


def errors(plain: Series, reduced: Series, reference: Series) -> dict[int, float]:
    """Return masks -> root mean square error of the reduced map over that of the plain one at 4,096."""
    wanted = reference.centred(len(reference.scores), "reduced")

    def error(found: np.ndarray) -> float:
        return float(np.sqrt(((found - wanted) ** 2).mean()))

    base = error(plain.centred(PLAIN.masks, "plain"))
    known = [n for n in COUNTS if n <= len(reduced.scores)]
    return {n: error(reduced.centred(n, "reduced")) / base for n in known}


def equal_error(
    folder: Path, brain: str, until: float = float("inf"), asked: int = REFERENCE.masks, fill: Fill = "mean"
) -> dict[str, object]:
    """Return the share of masks, the errors behind it, and how many masks the reference has, of those asked for."""
    table, reference_masks = [], []
    parameters = {
        "plain": replace(PLAIN, fill=fill),
        "reduced": replace(REDUCED, fill=fill),
        "reference": replace(REFERENCE, fill=fill, masks=asked),
    }
    for job, context in jobs(folder, request_of(brain)):
        images = drawn_images(job, context)
        sets = [series(job, context, replace(params, images=images), until) for params in parameters.values()]
        for plain, reduced, independent in zip(*sets, strict=True):
            reference_masks.append(len(independent.scores))
            if len(plain.scores) == PLAIN.masks and len(independent.scores) >= PLAIN.masks:
                table.append(errors(plain, reduced, independent))
    counts = [n for n in COUNTS if table and all(n in row for row in table)]
    mean = {n: float(np.mean([row[n] for row in table])) for n in counts}
    reached = next((n for n in counts if mean[n] <= 1), None)
    return {
        "share": None if reached is None else reached / PLAIN.masks,
        "images": len(table),
        "reference_masks": min(reference_masks, default=0),
        "error_over_plain_mean": mean,
        "error_over_plain": table,
        "parameters": {name: asdict(params) for name, params in parameters.items()},
    }


def main() -> None:
    """Go on for --seconds and print what is known as JSON."""
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=Path)
    options.add_argument("--brain", required=True, help="Brain MR's folder")
    options.add_argument("--fill", choices=FILLS, default="mean", help="what a masked pixel becomes")
    options.add_argument("--seconds", type=float, default=float("inf"))
    chosen = options.parse_args()
    keep_freed_memory()
    until = time.monotonic() + chosen.seconds
    for asked in (PLAIN.masks, 2 * PLAIN.masks, REFERENCE.masks):
        known = equal_error(chosen.folder.absolute(), chosen.brain, until, asked, chosen.fill)
        print(json.dumps(known), flush=True)


if __name__ == "__main__":
    main()
