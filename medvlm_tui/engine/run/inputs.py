"""From the names a user typed to models with weights and datasets with images, or to what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import added_models, load_models
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.core.events import Event, Log, StepProgress
from medvlm_tui.core.specs import SYNTHETIC_GROUP, Dataset, DatasetSpec, EncoderKey, ModelSpec, Precision
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.datasets.layouts.phantom import CODE_VERSION
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.datasets.resolve import resolve_dataset
from medvlm_tui.engine.encoders.registry import encoder_key, volume_refusal
from medvlm_tui.engine.encoders.resolve.names import has_prefix, resolve_model, unresolved
from medvlm_tui.engine.encoders.resolve.saved_folders import as_stored
from medvlm_tui.engine.encoders.weights.location import locate
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.run.text_inputs import TextInput, fetch_tokenizer, find_text
from medvlm_tui.errors import Cancelled, DatasetError, MedvlmError, MissingInputError, UsageError
from medvlm_tui.stages.request import RunRequest

Say = Callable[[Event], None]
PrecisionOf = Callable[[ModelSpec, Weights, str], Precision]
"""Spec, weights and feature -> the precision that the model runs in."""


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A model that the user asked for."""

    spec: ModelSpec
    weights: Weights
    key: EncoderKey | None
    """None while the weights are missing."""
    problem: MedvlmError | None = None
    text: TextInput = field(default_factory=TextInput)
    """Its text tower, where a stage of the run reads texts."""


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that the user asked for."""

    spec: DatasetSpec
    dataset: Dataset | None
    problem: MedvlmError | None = None
    to_come: bool = False
    """The run makes its images: `dataset` has their names alone."""

    @property
    def can_be_made(self) -> bool:
        """A run that needs it makes it: the phantom without a folder of the user's."""
        return self.spec.synthetic and self.spec.root is None


def model_ids(names: tuple[str, ...], catalog: Mapping[str, ModelSpec]) -> list[str]:
    """Expand `all` and `group:NAME`, in their order, no repeats.

    `all` is the catalog but its synthetic models, and what the user added by prefix.
    """
    chosen: list[str] = []
    for name in names:
        if name == "all":
            chosen += [*(spec.id for spec in catalog.values() if spec.group != SYNTHETIC_GROUP), *added_models()]
        elif name.startswith("group:"):
            group = name.removeprefix("group:")
            members = [spec.id for spec in catalog.values() if spec.group == group]
            if not members:
                groups = ", ".join(sorted({spec.group for spec in catalog.values()}))
                raise UsageError(f"there is no group of models {group!r}", f"groups: {groups}")
            chosen += members
        else:
            chosen.append(name)
    return list(dict.fromkeys(chosen))


def dataset_ids(names: tuple[str, ...], request: RunRequest, catalog: Mapping[str, DatasetSpec]) -> list[str]:
    """Expand `all`: the catalog and everything that `--data` names."""
    chosen: list[str] = []
    for name in names:
        chosen += [*catalog, *request.data] if name == "all" else [name]
    return list(dict.fromkeys(chosen))


def find_models(
    request: RunRequest, digests: FileDigests, precision_of: PrecisionOf, fetch: Say | None
) -> list[ModelInput]:
    """Resolve every model of the request; weights that are not here are fetched when `fetch` says so."""
    catalog = load_models()
    if not request.models:
        raise UsageError("no model was chosen", "--models efficientnet_lite0, or `medvlm-tui models` for all of them")
    unknown = sorted(set(request.weights) - {*catalog, *request.models})
    if unknown:
        raise UsageError(f"--weights names {unknown[0]!r}, which is no model of this run", "see `medvlm-tui models`")

    def find(name: str) -> ModelInput:
        return _found(name, catalog, request, digests, precision_of)

    found = [find(name) for name in model_ids(request.models, catalog)]
    wanted = [model.spec for model in found if model.key is None and _may_be_fetched(model, request)]
    if fetch is None:
        return found
    again: dict[str, ModelInput] = {}
    if wanted:
        from medvlm_tui.engine.encoders.weights.downloads import download_missing

        problems = download_missing(wanted, fetch)
        again = {spec.id: find(spec.id) for spec in wanted}
        for name, problem in problems.items():
            again[name] = replace(again[name], problem=problem, key=None)
    return [_with_tokenizer(again.get(model.spec.id, model), find, fetch) for model in found]


def _with_tokenizer(model: ModelInput, find: Callable[[str], ModelInput], fetch: Say) -> ModelInput:
    """Return a model after its tokenizer was fetched, where that alone was missing."""
    if not model.text.tokenizer_lacks:
        return model
    if problem := fetch_tokenizer(model.spec, fetch):
        return replace(model, text=TextInput(missing=problem))
    return find(model.spec.id)


def _may_be_fetched(model: ModelInput, request: RunRequest) -> bool:
    local = request.offline or model.spec.id in request.weights
    fetchable = model.spec.source.startswith(("hub:", "torchvision:")) and model.weights.state in ("missing", "gated")
    return fetchable and not local and model.spec.volume is None


def _found(
    name: str,
    catalog: Mapping[str, ModelSpec],
    request: RunRequest,
    digests: FileDigests,
    precision_of: PrecisionOf,
) -> ModelInput:
    """Resolve one model; what is wrong with its folder or its files costs it alone, a name that is unknown the run."""
    try:
        spec = resolve_model(name, catalog)
    except MedvlmError as error:
        if isinstance(error, Cancelled) or not has_prefix(name):
            raise
        return ModelInput(unresolved(name), Weights("wrong", hint=error.hint), None, error)
    feature = request.feature or spec.default_feature
    if feature not in spec.features:
        raise UsageError(f"{spec.id} has no feature {feature!r}", f"its features: {', '.join(spec.features)}")
    try:
        return _model(spec, request, digests, precision_of)
    except Cancelled:
        raise
    except MedvlmError as error:
        return ModelInput(spec, Weights("wrong", hint=error.hint), None, error)


def _model(spec: ModelSpec, request: RunRequest, digests: FileDigests, precision_of: PrecisionOf) -> ModelInput:
    feature = request.feature or spec.default_feature
    if spec.volume is not None:
        # Every data set of a run is of images so far; what would be fetched could not be used.
        refused = volume_refusal(spec)
        return ModelInput(spec, Weights("missing", hint=refused.hint), None, refused)
    override = request.weights.get(spec.id, "")
    weights = locate(spec, override, digests, request.offline)
    if weights.state != "present":
        problem = MissingInputError(f"{spec.id}: its weights are {weights.state}", weights.hint)
        return ModelInput(spec, weights, None, problem)
    spec = as_stored(spec, weights)
    precision = precision_of(spec, weights, feature)
    text = find_text(spec, feature, request, digests)
    return ModelInput(spec, weights, encoder_key(spec, weights, feature, precision, request.window), text=text)


def find_datasets(
    request: RunRequest, workspace: Workspace, digests: FileDigests, make: Say | None
) -> list[DatasetInput]:
    """Resolve and read every dataset of the request; the phantom is made when `make` says so."""
    catalog = load_datasets()
    if not request.datasets:
        raise UsageError("no dataset was chosen", "--datasets brain_mr --data brain_mr=DIR, or `medvlm-tui datasets`")
    found = []
    for name in dataset_ids(request.datasets, request, catalog):
        try:
            spec = resolve_dataset(name, request.data, catalog)
        except MedvlmError as error:
            if name not in request.data:
                raise
            root = Path(request.data[name]).expanduser().absolute()
            found.append(DatasetInput(_unread(name, root), None, error))
            continue
        try:
            spec = _with_phantom(spec, request, workspace, make)
            found.append(DatasetInput(spec, _read(spec, request, digests)))
        except (MissingInputError, DatasetError) as error:
            found.append(DatasetInput(spec, None, error))
    return found


def foreseen(found: DatasetInput, request: RunRequest, workspace: Workspace) -> DatasetInput:
    """Return a dataset that the run itself will make as it will be, any other one as it is."""
    if found.dataset is not None or not found.can_be_made:
        return found
    from medvlm_tui.engine.datasets.layouts.phantom import phantom_to_come

    per_class, seed = request.phantom_per_class, request.seed
    made = phantom_to_come(found.spec, _phantom_root(request, workspace), per_class, seed, request.limit)
    return replace(found, dataset=made, problem=None, to_come=True)


def _phantom_root(request: RunRequest, workspace: Workspace) -> Path:
    return workspace.phantom / f"{request.phantom_per_class}-{request.seed}-v{CODE_VERSION}"


def _unread(name: str, root: Path) -> DatasetSpec:
    """Return the spec of a path that is not there, or is nothing that can be read."""
    return DatasetSpec(id=name, name=name, modality="unknown", reader="class_folders", root=root)


def _with_phantom(spec: DatasetSpec, request: RunRequest, workspace: Workspace, make: Say | None) -> DatasetSpec:
    """Return the phantom with its root: made by code below the workspace, unless the user named a place."""
    if spec.reader != "phantom" or spec.root is not None:
        return spec
    per_class, root = request.phantom_per_class, _phantom_root(request, workspace)
    if make is None and not root.exists():
        raise MissingInputError("the phantom is not made yet", "it is made when a run needs it")
    if make is not None:
        from medvlm_tui.engine.datasets.layouts.phantom import make_phantom

        total = len(spec.classes) * per_class
        make(Log("info", f"phantom: {total} SYNTHETIC images in {root}"))
        progress = partial(_say_drawn, make, total)
        root = make_phantom(root, per_class=per_class, seed=request.seed, drawn=progress)
    return replace(spec, root=root)


def _say_drawn(say: Say, total: int, done: int) -> None:
    if done % 3 == 0 or done == total:
        say(StepProgress("phantom", done, total))


def _read(spec: DatasetSpec, request: RunRequest, digests: FileDigests) -> Dataset:
    root = spec.root
    if root is None:
        raise MissingInputError(
            f"{spec.id}: no folder is known for it", f"--data {spec.id}=DIR\n{spec.how_to_get}".strip()
        )
    return open_dataset(
        spec,
        Path(root),
        view=request.label,
        part=request.part,
        limit=request.limit,
        digests=digests,
        strict=request.strict,
    )
