"""One device's share of RISE: ranges of masks scored into the store."""

from __future__ import annotations

from collections.abc import Iterator

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.engine.saliency.explained_images import prepare
from medvlm_tui.engine.saliency.masking import score_chunk
from medvlm_tui.engine.saliency.step import ranges, stored_scores
from medvlm_tui.engine.step.inputs import params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.stages.params.saliency import SaliencyParams


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Score the ranges that `params["chunks"]` names; a ResultReady tells of each one."""
    params = params_of(SaliencyParams, job.step.params)
    images = prepare(job, context, params)
    stored, counts = stored_scores(job, context, params, images), dict(ranges(params.masks))
    q, k = images.scores.shape
    for chunk in map(int, job.step.params["chunks"]):
        for _ in score_chunk(images.masking, chunk, (q, counts[chunk], k), stored, context.check):
            context.check()
        yield ResultReady(job.step.id, job.step.kind, "", job.step.model, job.step.dataset, {"chunk": chunk})
