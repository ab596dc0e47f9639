"""The text towers of a run's models, and the classes of its datasets in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medvlm_tui.catalog.prompts import prompt_sets
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.events import Event, Log
from medvlm_tui.core.prompts import PromptSet
from medvlm_tui.core.specs import Dataset, EncoderKey, ModelSpec, Precision
from medvlm_tui.engine.encoders.text.loading import locate_text, no_text, text_key
from medvlm_tui.engine.encoders.text.parts import TextParts
from medvlm_tui.engine.encoders.text.tokenizer_files import repository, wanted
from medvlm_tui.errors import MissingInputError
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest

TEXT_STAGES = frozenset({"zero_shot", "alignment", "bias"})
Say = Callable[[Event], None]
_VECTORS = (
    "its texts are vectors of a language model, which a run does not make\nuse `medvlm-tui encode --text-vectors`"
)


@dataclass(frozen=True, slots=True)
class TextInput:
    """A model's text tower as a run found it."""

    parts: TextParts | None = None
    key: EncoderKey | None = None
    missing: str = ""
    """Why there are no vectors of texts, with the hint after a line break; empty where there are."""
    tokenizer_lacks: bool = False
    """The tokenizer alone is missing, and the hub has it."""


def reads_texts(request: RunRequest) -> bool:
    """Return whether a run needs text towers: for a stage of language, or for maps of prompts."""
    explains = "saliency" in request.stages and bool(request.of(SaliencyParams).prompts)
    return explains or bool(TEXT_STAGES & set(request.stages))


def find_text(spec: ModelSpec, feature: str, request: RunRequest, digests: FileDigests) -> TextInput:
    """Return a model's text tower; nothing is looked for unless a stage of the run reads texts."""
    if not reads_texts(request):
        return TextInput()
    if spec.text is None:
        return TextInput(missing=f"{no_text(spec)}\nchoose a model with one")
    if spec.text.tokenizer.kind == "vectors":
        return TextInput(missing=f"{spec.id}: {_VECTORS}")
    if feature not in spec.text.joins:
        known = ", ".join(spec.text.joins)
        return TextInput(missing=f"the feature {feature} of {spec.id} does not lead to its texts\n--feature {known}")
    override, folder = request.weights.get(spec.id, ""), request.tokenizers.get(spec.id, "")
    parts = locate_text(spec, override, folder, digests, request.offline)
    if parts.missing:
        fetchable = not (request.offline or folder) and bool(repository(spec.text))
        lacks = parts.weights.state == "present" and not parts.tokenizer.present and fetchable
        return TextInput(missing=parts.missing, tokenizer_lacks=lacks)
    # A few hundred texts need no speed: fp32, unless another precision is asked for by name.
    precision: Precision = "fp32" if request.precision == "auto" else request.precision
    return TextInput(parts, text_key(parts, precision))


def fetch_tokenizer(spec: ModelSpec, say: Say) -> str:
    """Download a model's tokenizer from the hub, said first; returns why it could not be had, empty where it could."""
    from medvlm_tui.engine.encoders.weights.download import fetch_named

    assert spec.text is not None
    place = repository(spec.text)
    say(Log("info", f"tokenizer of {spec.id} to download: {', '.join(wanted(spec.text))} of {place}"))
    try:
        fetch_named(spec, place, wanted(spec.text))
    except MissingInputError as error:
        return f"{error.message}\n{error.hint}"
    return ""


def words_of(
    spec: ModelSpec, dataset: Dataset, request: RunRequest, found: TextInput
) -> tuple[tuple[PromptSet, ...], str]:
    """Return the classes of a dataset in words for a model, and why there are none; one of them is empty."""
    if found.missing or found.key is None:
        return (), found.missing
    sets, reason = prompt_sets(spec, dataset.spec.id, dataset.classes, request.prompts)
    return sets, f"{reason}\nchoose a model that reads free text" if reason else ""
