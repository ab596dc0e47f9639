"""From a checkpoint to a network: the tower is found by a known key, renamed, and loaded strictly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from medvlm_tui.core.counts import counted
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.encoders.checkpoints import load_report
from medvlm_tui.engine.encoders.checkpoints.state_dicts import plain_names
from medvlm_tui.engine.encoders.checkpoints.tensor_files import TensorFile, open_tensor_file
from medvlm_tui.errors import WeightsError

Reader = Callable[[], torch.Tensor]
_SHOWN = 4
_INITIAL_STD = 0.02  # of the authors' own initial values in ViT, CLIP and SigLIP
HINT = "check that the file belongs to this model: `medvlm-tui models ID` names the page to get it from"
# Where two copies of a network lie in one state dict, the names that say which one is the average of the other.
_AVERAGED_PARTS = ("ema", "ema_model", "model_ema", "teacher", "averaged_model")
# Parts that trainers add beside a network, for a loss or another task; no feature passes through them.
_HEADS = (
    "head.", "heads.", "head_dist.", "fc.", "classifier.", "aux_classifier.", "AuxLogits.", "aux_head.", "projector.",
    "projection_head.", "predictor.", "prototypes.", "dino_head.", "ibot_head.", "criterion.", "loss.", "loss_fn.",
    "decoder.", "decoder_embed.", "decoder_pos_embed", "decoder_blocks.", "decoder_norm.", "decoder_pred.",
    "mask_token", "queue", "logit_scale", "logit_bias", "n_averaged",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tower:
    """Tensors of one part of a checkpoint, by the name they have inside that part; read when they are needed."""

    path: Path
    readers: Mapping[str, Reader]
    prefix: str = ""
    """Prefix of these names in the file, without what compiled and distributed training put there."""

    def renamed(self, rename: Callable[[str], str]) -> Tower:
        """Return the tower with other names."""
        return replace(self, readers={rename(name): reader for name, reader in self.readers.items()})

    def without(self, *prefixes: str) -> Tower:
        """Return the tower less the tensors whose names begin with one of `prefixes`."""
        kept = {name: reader for name, reader in self.readers.items() if not name.startswith(prefixes)}
        return replace(self, readers=kept)

    def without_heads(self, network: torch.nn.Module) -> Tower:
        """Return the tower less what trainers add for a loss or another task, and `network` does not have."""
        own = {name.partition(".")[0] for name in network.state_dict(keep_vars=True)}
        return self.without(*(head for head in _HEADS if head.partition(".")[0] not in own))

    def below(self, prefix: str) -> Tower:
        """Return the tensors whose names begin with `prefix`, named by what follows it.

        `module.`, `_orig_mod.` and their like are dropped there too: a part of a network may be wrapped by itself.
        """
        found = {name[len(prefix) :]: reader for name, reader in self.readers.items() if name.startswith(prefix)}
        plain = {name: found[held] for name, held in plain_names(found).items()}
        return replace(self, readers=plain, prefix=self.prefix + prefix)

    def around(self, names: Collection[str]) -> Tower:
        """Return the part in which a network of these names lies: trainers put it below `model.`, `backbone.`, ...

        The tower itself where the names are in it plainly, or nowhere. Raises WeightsError where two parts fit alike.
        """
        wanted = set(names)
        counts = Counter(prefix for name in self.readers for prefix, rest in _splits(name) if rest in wanted)
        most = max(counts.values(), default=0)
        if counts[""] == most:
            return self
        best = sorted(prefix for prefix, count in counts.items() if count == most)
        return self.below(only_one(best, self.path, "networks of this kind"))


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield every way to cut a name in two at a dot."""
    yield "", name
    for place, letter in enumerate(name):
        if letter == ".":
            yield name[: place + 1], name[place + 1 :]


def only_one(prefixes: list[str], path: Path, what: str) -> str:
    """Return the only prefix, or the one of averaged weights among two; raises WeightsError that names all of them."""
    if len(prefixes) == 1:
        return prefixes[0]
    averaged = [prefix for prefix in prefixes if set(prefix.split(".")) & set(_AVERAGED_PARTS)]
    if len(averaged) == 1:
        others = ", ".join(clean(prefix) for prefix in prefixes if prefix != averaged[0])
        load_report.current().say(
            f"the averaged weights ({clean(averaged[0])}*) were taken, {others}* beside them were not"
        )
        return averaged[0]
    raise WeightsError(
        f"{path} has {len(prefixes)} {what}: below {_some(prefixes)}", "save the one that is meant by itself"
    )


def read_tower(path: Path, tail: str = "", inside: str = "") -> Tower:
    """Return the part of a checkpoint whose names end, for one tensor, in `tail`.

    What stands before the tail is the part's prefix (`visual.`, `module.visual.trunk.`, ...) and is dropped.
    `inside` must occur in the prefix where several towers share a tail. An empty tail takes the whole file.
    What compiled and distributed training put before names is dropped everywhere.
    Raises WeightsError when the tail is absent or ambiguous.
    """
    file = open_tensor_file(path)
    names = list(file.names())
    load_report.current().held.update(names)
    load_report.current().say(file.note)
    whole = Tower(path, {plain: _reader(file, name) for plain, name in plain_names(names).items()})
    return whole.below(_prefix(whole, tail, inside)) if tail else whole


def _reader(file: TensorFile, name: str) -> Reader:
    def read() -> torch.Tensor:
        report = load_report.current()
        report.used.add(name)
        return file.outline(name) if report.draft or report.untrained else file.read(name)

    return read


def _prefix(whole: Tower, tail: str, inside: str) -> str:
    found = sorted(
        name[: -len(tail)]
        for name in whole.readers
        if name.endswith(tail) and inside in name and (name == tail or name[: -len(tail)].endswith("."))
    )
    if not found:
        where = f" in a name with {inside!r}" if inside else ""
        raise WeightsError(
            f"{whole.path} does not fit: no tensor is named ...{tail}{where}, which this model has; {held(whole)}",
            HINT,
        )
    return only_one(found, whole.path, f"tensors named ...{inside}{tail}, by which this model is known")


def held(tower: Tower) -> str:
    """Return what a checkpoint holds, in words for an error message."""
    tops = sorted({name.partition(".")[0] for name in tower.readers})
    return f"it holds {counted(len(tower.readers), 'tensor')}, below {_some(tops)}" if tops else "it holds no tensors"


def load_strictly(module: torch.nn.Module, tower: Tower) -> int:
    """Copy the tower's tensors into `module`, one at a time, and return how many there were.

    Every persistent parameter and buffer must be there with its shape, and nothing else. Two buffers may differ,
    which no feature depends on: a stored `position_ids`, which older releases of transformers wrote, is passed
    over, and a batch norm's `num_batches_tracked`, which older ones of torch did not write, may be absent.
    Raises WeightsError.
    """
    targets = dict(module.state_dict(keep_vars=True))
    given = {name: r for name, r in tower.readers.items() if name in targets or not name.endswith("position_ids")}
    absent = {name for name in targets if name.endswith("num_batches_tracked")} - set(given)
    load_report.current().absent.extend(sorted(absent))
    targets = {name: target for name, target in targets.items() if name not in absent}
    _compare(set(targets), set(given), tower)
    with torch.no_grad():
        for name, target in targets.items():
            tensor = given[name]()
            _compare_tensor(f"{tower.prefix}{name}", tensor, target, tower.path)
            if load_report.current().untrained:
                _keep(target)
            else:
                target.copy_(tensor)
    return len(targets)


def _keep(target: torch.Tensor) -> None:
    """Leave a tensor as its library has drawn it; a matrix that was only made, and not drawn, is drawn here."""
    load_report.current().kept += target.numel()
    if isinstance(target, torch.nn.Parameter) and target.dim() > 1 and bool((target == target.flatten()[0]).all()):
        target.normal_(std=_INITIAL_STD)


def _compare(wanted: set[str], given: set[str], tower: Tower) -> None:
    problems = []
    if missing := sorted(wanted - given):
        many = "tensor is" if len(missing) == 1 else "tensors are"
        problems.append(f"{len(missing)} {many} missing ({_some(missing, tower.prefix)})")
    if extra := sorted(given - wanted):
        problems.append(f"{len(extra)} not part of the network ({_some(extra, tower.prefix)})")
    if not problems:
        return
    matching = f", {len(wanted & given)} fit"
    raise WeightsError(f"{tower.path} does not fit: {', '.join(problems)}{matching}", HINT)


def _compare_tensor(name: str, tensor: torch.Tensor, target: torch.Tensor, path: Path) -> None:
    if tensor.shape != target.shape:
        raise WeightsError(
            f"{path} does not fit: {clean(name)} is {list(tensor.shape)}, the network has {list(target.shape)}", HINT
        )
    number = tensor.is_floating_point() or not (target.is_floating_point() or tensor.is_complex())
    if not number or tensor.is_quantized or tensor.layout != torch.strided:
        raise WeightsError(
            f"{path}: {clean(name)} is of type {str(tensor.dtype).removeprefix('torch.')}, which is no floating-point "
            "number; quantised weights are not read",
            "take the weights in bfloat16 or float32",
        )


def _some(names: Iterable[str], prefix: str = "") -> str:
    listed = list(names)
    shown = ", ".join(clean(prefix + name)[:120] for name in listed[:_SHOWN])
    return shown + (", ..." if len(listed) > _SHOWN else "")


class _ZerosForRandomValues(TorchFunctionMode):
    """Fills new parameters with zeros where a library draws random numbers: the checkpoint replaces every one.

    Zeros, and not whatever the memory held, because libraries draw again until the values lie within bounds.
    """

    _RANDOM = frozenset({"normal_", "uniform_", "trunc_normal_", "erfinv_", "xavier_uniform_", "kaiming_uniform_"})

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") not in self._RANDOM:
            return func(*args, **kwargs)
        tensor: torch.Tensor = args[0] if args else kwargs["tensor"]
        with torch.no_grad():
            return tensor.zero_()


@contextmanager
def building() -> Iterator[None]:
    """Build a network without spending seconds on random initial values; load it strictly afterwards.

    Where the network is to keep its initial values, they are drawn.
    """
    if load_report.current().untrained:
        yield
        return
    with _ZerosForRandomValues():
        yield
