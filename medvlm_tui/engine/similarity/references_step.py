"""References of similarities: a model beside its network with random weights, and beside mirrored images."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from medvlm_tui.core.events import Event, Log, ResultReady
from medvlm_tui.core.specs import EncoderKey, FeatureTable, Precision
from medvlm_tui.core.store.keys import table_key
from medvlm_tui.core.versions import versions
from medvlm_tui.engine.encoders.encoder import Encoder
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.encoders.references import MirroredEncoder, load_untrained, mirrored_key, untrained_key
from medvlm_tui.engine.extract.step import extract_reference
from medvlm_tui.engine.similarity.step import Pair, Space, common_ids, rows_of
from medvlm_tui.engine.step.devices import choose
from medvlm_tui.engine.step.inputs import AGAIN, Labelled, feature_table, params_of
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import Cancelled, MedvlmError
from medvlm_tui.measures.draws import stratified_subsample
from medvlm_tui.stages.extract import EXTRACT
from medvlm_tui.stages.params.similarity import ReferenceParams
from medvlm_tui.stages.records.similarity import ReferenceRecord, ReferencesRecord
from medvlm_tui.stages.references import REFERENCES

Load = Callable[[str, Precision], Encoder]


@dataclass(frozen=True, slots=True)
class _Reference:
    """An encoder that the model's features are compared with."""

    name: str
    key: EncoderKey
    load: Load


def run(job: CellJob, context: StepContext) -> Iterator[Event]:
    """Compare a model with each of its references, on the images that similarity takes.

    The references' features are sealed as tables of their own. A reference that cannot be made is named with the
    reason, and the others are there. Raises MedvlmError when the model's own features cannot be used.
    """
    begun = time.monotonic()
    params = params_of(ReferenceParams, job.step.params)
    own = feature_table(job, context)
    part = _part(job, own, params)
    found: list[ReferenceRecord] = []
    missing: dict[str, str] = {}
    for reference in _references(job, context, params.seed):
        try:
            table = yield from _features(part, reference, context)
            found.append(ReferenceRecord(reference=reference.name, **_compared(job, own, table, params, context)))
        except Cancelled:
            raise
        except MedvlmError as error:
            missing[reference.name] = error.message
            yield Log("warning", f"{job.model.id}: no reference ({reference.name}): {error.message}", job.step.id)
    if not found:
        raise MedvlmError(f"{job.model.id} has no reference: {next(iter(missing.values()))}", "see the messages above")
    record = ReferencesRecord(
        references=tuple(found),
        missing=missing,
        seed=params.seed,
        versions=versions("numpy", "scipy", "torch", "timm", "transformers", "open_clip_torch"),
        seconds=time.monotonic() - begun,
    )
    context.store.put_result(job.step.key, {}, record)
    shown = REFERENCES.summary(record)
    yield ResultReady(job.step.id, job.step.kind, job.step.key, job.step.model, job.step.dataset, shown)


def _references(job: CellJob, context: StepContext, seed: int) -> tuple[_Reference, ...]:
    encoders = context.resources.of(Encoders)

    def mirrored(device: str, precision: Precision) -> Encoder:
        return MirroredEncoder(encoders.get(job.model, job.weights, job.encoder.feature, device, precision))

    def untrained(device: str, precision: Precision) -> Encoder:
        encoders.close()  # before the next one is built, so that two never share the memory
        return load_untrained(job.model, job.weights, job.encoder.feature, device, precision, seed)

    return (
        _Reference("mirrored images", mirrored_key(job.encoder), mirrored),
        _Reference("random weights", untrained_key(job.encoder, seed), untrained),
    )


def _part(job: CellJob, own: FeatureTable, params: ReferenceParams) -> CellJob:
    """Return the job on the images alone that similarity takes."""
    codes = Labelled.of(own, job.dataset.classes).codes
    rows = stratified_subsample(codes, params.max_points, params.seed)
    chosen = {own.ids[row] for row in rows.tolist()}
    samples = tuple(sample for sample in job.dataset.samples if sample.id in chosen)
    return replace(job, dataset=replace(job.dataset, samples=samples))


def _features(part: CellJob, reference: _Reference, context: StepContext) -> Generator[Event, None, FeatureTable]:
    """Seal the reference's features unless they are, and return their table."""
    key = table_key(EXTRACT.version, reference.key, part.dataset.digest)
    if context.store.tables.read(key) is None:
        job = replace(part, encoder=reference.key, step=replace(part.step, key=key))
        yield from extract_reference(job, context, reference.load)
    table = context.store.tables.read(key)
    if table is None:
        raise MedvlmError(f"the features of {reference.key.model} are missing or damaged", AGAIN)
    return table


def _compared(
    job: CellJob, own: FeatureTable, table: FeatureTable, params: ReferenceParams, context: StepContext
) -> dict[str, Any]:
    ids, device = common_ids([table, own]), choose(job.request.device).device
    first, second = (Space.of(rows_of(each, ids), params.neighbours, context.check, device) for each in (own, table))
    pair = Pair.of(first, second)
    values = {name: measure.value() for name, measure in pair.measures.items()}
    return {**pair.described(values, params.seed, context.check), "n": len(own.ids)}
