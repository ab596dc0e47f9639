"""One device's share of an extraction: the images of `job.dataset` into durable blocks."""

from __future__ import annotations

from collections.abc import Iterator

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.extract import batch_sizes
from medvlm_tui.engine.extract.blocks import Extraction, Progress, extract, largest_batch_of, stored_rows
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.job import CellJob, StepContext


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Work on `params["device"]`; the summary of ResultReady says what failed, by image digest.

    With `params["only_measure"]` the model is loaded and its batch size chosen, and no image is read.
    """
    if job.step.params.get("only_measure"):
        yield _batch_size(job, context)
        return
    stored = stored_rows(job, context)  # by this shard, when its process died and was started again
    images = job.dataset.samples
    todo = [sample for sample in images if sample.digest not in stored]
    machine = devices.choose(str(job.step.params["device"]), job.encoder.precision)
    work = Extraction(job, context, machine, todo, Progress(job.step.id, len(images), len(stored)))
    yield from extract(work)
    summary = {
        "failed": work.failed,
        "batch_size": work.batch_size,
        "workers": work.workers,
        "parameters": work.parameters,
        "tensors": work.tensors,
        "rate": work.rate,
        "images": len(todo),
    }
    yield ResultReady(job.step.id, "extract_shard", "", job.model.id, job.dataset.spec.id, summary)


def _batch_size(job: CellJob, context: StepContext) -> ResultReady:
    machine = devices.choose(str(job.step.params["device"]), job.encoder.precision)
    encoders = context.resources.of(Encoders)
    encoder = encoders.get(job.model, job.weights, job.encoder.feature, machine.device, machine.precision)
    largest = largest_batch_of(job, machine.device)
    summary = {"batch_size": batch_sizes.chosen(job, context.store, encoder, machine, largest)}
    return ResultReady(job.step.id, "extract_shard", "", job.model.id, job.dataset.spec.id, summary)
