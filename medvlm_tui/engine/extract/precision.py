"""Decide whether a model runs in bf16 or fp16 without changing its features.

Measured once for each model and kind of device, before the first plan whose keys hold the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from medvlm_tui.core.events import Event, ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.core.specs import EncoderKey, ModelSpec, Precision
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.encoders.encoder import Encoder, NotFiniteError
from medvlm_tui.engine.encoders.loaded import Encoders
from medvlm_tui.engine.encoders.registry import encoder_key
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.step import devices
from medvlm_tui.engine.step.device_memory import with_back_off
from medvlm_tui.engine.step.job import ModelJob, StepContext
from medvlm_tui.errors import Cancelled, MedvlmError
from medvlm_tui.stages.request import RunRequest

if TYPE_CHECKING:
    import torch

SUBJECT = "precision"
LEAST_COSINE = 0.9995
_IMAGES = 8

Measure = Callable[[ModelJob], Mapping[str, Any]]
"""Does a `precision` job in a worker and returns its summary."""


def chosen(
    request: RunRequest,
    machine: devices.Device,
    store: Store,
    model: tuple[ModelSpec, Weights, str],
    measure: Measure | None,
) -> Precision:
    """Return the precision for a model (spec, weights, feature): the device's where the features bear it, else fp32.

    Asked for by name, a precision is taken as it is. Without `measure` (a dry run, a survey) a model that was never
    measured is planned in fp32 on a CPU, and in the device's precision on a GPU, where nearly every model passes.
    """
    low = _low_precision(machine)
    if request.precision != "auto" or low == "fp32":
        return machine.precision
    key = encoder_key(*model, "fp32")
    known = store.measured.of(SUBJECT, key_of(key, machine))
    if known is None and measure is None:
        return "fp32" if machine.device == "cpu" else low
    if known is None and measure is not None:
        try:
            known = measure(_job(*model[:2], key, machine, low))
        except Cancelled:
            raise
        except MedvlmError:
            return "fp32"  # weights that do not fit, say: the extraction says so, and the other models run
    return low if known and known["precision"] == low else "fp32"


def _low_precision(machine: devices.Device) -> Precision:
    """Return the precision that would be faster than fp32 on a device; fp32 where none is."""
    if machine.device == "cpu":
        return "bf16" if devices.cpu_has_bf16() else "fp32"
    return machine.precision


def key_of(encoder: EncoderKey, machine: devices.Device) -> str:
    """Return the name of the encoder in fp32 and the device; on a GPU with the precision that was tried."""
    if machine.device == "cpu":
        return f"{encoder.digest}@{devices.cpu_name()}"
    return f"{encoder.digest}@{machine.name}:{_low_precision(machine)}"


def run(job: ModelJob, context: StepContext) -> Iterator[Event]:
    """Encode a few made images in both precisions; the summary holds `precision` and the least `cosine`.

    The cosine is 0 where features in the low precision are not finite.
    """
    device, low = str(job.step.params["device"]), cast(Precision, job.step.params["precision"])
    machine = devices.choose(device, low)
    wanted = _features(_loaded(job, context, machine.device, "fp32"), context.check)
    try:
        cosine = _least_cosine(wanted, _features(_loaded(job, context, machine.device, low), context.check))
    except NotFiniteError:
        cosine = 0.0
    verdict = {"precision": low if cosine >= LEAST_COSINE else "fp32", "cosine": cosine}
    context.store.measured.note(SUBJECT, key_of(job.encoder, machine), verdict)
    yield ResultReady(job.step.id, "precision", "", job.model.id, summary=verdict)


def _loaded(job: ModelJob, context: StepContext, device: str, precision: Precision) -> Encoder:
    """Return the job's encoder; from fp32 to another precision the network stays as it is loaded."""
    from medvlm_tui.engine.encoders.network import NetworkEncoder

    encoders = context.resources.of(Encoders)
    encoder = encoders.get(job.model, job.weights, job.encoder.feature, device, "fp32")
    if precision == "fp32":
        return encoder
    if isinstance(encoder, NetworkEncoder):
        return encoder.at(precision)
    return encoders.get(job.model, job.weights, job.encoder.feature, device, precision)


def _features(encoder: Encoder, check: Callable[[], None]) -> torch.Tensor:
    import torch

    check()
    pixels = [encoder.preprocess(image) for image in _made_images()]
    parts, _ = with_back_off(lambda some: encoder.encode(torch.stack(list(some))), pixels, len(pixels))
    return torch.cat(parts).double()


def _least_cosine(rows: torch.Tensor, others: torch.Tensor) -> float:
    import torch

    return float(torch.nn.functional.cosine_similarity(rows, others, dim=1).min())


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


def _job(spec: ModelSpec, weights: Weights, encoder: EncoderKey, machine: devices.Device, low: Precision) -> ModelJob:
    params = {"device": machine.device, "precision": low}
    return ModelJob(Step(f"precision:{spec.id}", "precision", spec.id, "", params), spec, weights, encoder)
