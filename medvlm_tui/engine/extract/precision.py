"""Whether a model's features bear bf16 on this CPU: measured once, before the first plan whose keys hold the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import Dataset, DatasetSpec, EncoderKey, ModelSpec, Precision
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.registry import encoder_key, load_encoder
from medvlm_tui.engine.encoders.weights.location import Weights
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.job import Job, StepContext
from medvlm_tui.errors import Cancelled, MedvlmError
from medvlm_tui.stages.request import RunRequest

SUBJECT = "precision"
LEAST_COSINE = 0.9995
_IMAGES = 8

Measure = Callable[[Job], Mapping[str, Any]]
"""Does a `precision` job in a worker and returns its summary."""


def chosen(
    request: RunRequest,
    machine: devices.Device,
    store: Store,
    model: tuple[ModelSpec, Weights, str],
    measure: Measure | None,
) -> Precision:
    """Return the precision for a model (spec, weights, feature): the device's, or on a CPU with bf16 the verdict.

    Without `measure` (a dry run, a survey) a model that was never measured is planned in fp32.
    """
    if request.precision != "auto" or machine.device != "cpu" or not devices.cpu_has_bf16():
        return machine.precision
    key = encoder_key(*model, "fp32")
    known = store.measured.of(SUBJECT, key_of(key))
    if known is None and measure is not None:
        try:
            known = measure(_job(model, key))
        except Cancelled:
            raise
        except MedvlmError:
            return "fp32"  # weights that do not fit, say: the extraction says so, and the other models run
    return "bf16" if known and known["precision"] == "bf16" else "fp32"


def key_of(encoder: EncoderKey) -> str:
    """Name the encoder in fp32 and the CPU."""
    return f"{encoder.digest}@{devices.cpu_name()}"


def run(job: Job, context: StepContext) -> Iterator[Event]:
    """Encode a few made images in both precisions; the summary holds `precision` and the least `cosine`."""
    import torch

    rows = []
    for precision in ("fp32", "bf16"):
        context.check()
        named: Precision = "bf16" if precision == "bf16" else "fp32"
        encoder = load_encoder(job.model, job.weights, job.encoder.feature, "cpu", named)
        pixels = torch.stack([encoder.preprocess(image) for image in _made_images()])
        rows.append(encoder.encode(pixels))
    cosine = float(torch.nn.functional.cosine_similarity(rows[0].double(), rows[1].double(), dim=1).min())
    verdict = {"precision": "bf16" if cosine >= LEAST_COSINE else "fp32", "cosine": cosine}
    context.store.measured.note(SUBJECT, key_of(job.encoder), verdict)
    yield ResultReady(job.step.id, "precision", "", job.model.id, summary=verdict)


def _made_images() -> list[Any]:
    """Return grey and coloured blobs with noise at several scales: what a network sees of a photograph or a scan."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    made = []
    for number in range(_IMAGES):
        cells = 4 << (number % 4)
        colours = draw.integers(0, 256, (cells, cells, 3 if number % 2 else 1), dtype=np.uint8)
        blobs = Image.fromarray(np.broadcast_to(colours, (cells, cells, 3)).copy()).resize((384, 384))
        noisy = np.asarray(blobs, np.float64) + draw.normal(0, 8, (384, 384, 1))
        made.append(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))
    return made


def _job(model: tuple[ModelSpec, Weights, str], encoder: EncoderKey) -> Job:
    spec, weights, _ = model
    nothing = Dataset(DatasetSpec("", "", "", ""), Path(), "", (), ())
    return Job(Step(f"precision:{spec.id}", "precision", spec.id), RunRequest(), nothing, spec, weights, encoder)
