"""From a checkpoint to a network: the tower is found by a known key, renamed, and loaded strictly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.encoders.checkpoints import load_report
from medvlm_tui.engine.encoders.checkpoints.tensor_files import TensorFile, open_tensor_file
from medvlm_tui.errors import WeightsError

Reader = Callable[[], torch.Tensor]
_SHOWN = 4
_HINT = "check that the file belongs to this model: `medvlm-tui models ID` names the page to get it from"


@dataclass(frozen=True, slots=True)
class Tower:
    """Tensors of one part of a checkpoint, by the name they have inside that part; read when they are needed."""

    path: Path
    readers: Mapping[str, Reader]

    def renamed(self, rename: Callable[[str], str]) -> Tower:
        """Return the tower with other names."""
        return Tower(self.path, {rename(name): reader for name, reader in self.readers.items()})

    def without(self, *prefixes: str) -> Tower:
        """Return the tower less the tensors whose names begin with one of `prefixes`."""
        kept = {name: reader for name, reader in self.readers.items() if not name.startswith(prefixes)}
        return Tower(self.path, kept)

    def below(self, prefix: str) -> Tower:
        """Return the tensors whose names begin with `prefix`, named by what follows it."""
        cut = len(prefix)
        return Tower(self.path, {name[cut:]: r for name, r in self.readers.items() if name.startswith(prefix)})


def read_tower(path: Path, tail: str = "", inside: str = "") -> Tower:
    """Return the part of a checkpoint whose names end, for one tensor, in `tail`.

    What stands before the tail is the part's prefix (`visual.`, `module.visual.trunk.`, ...) and is dropped.
    `inside` must occur in the prefix where several towers share a tail. An empty tail takes the whole file.
    Raises WeightsError when the tail is absent or ambiguous.
    """
    file = open_tensor_file(path)
    load_report.current().held.update(file.names())
    prefix = _prefix(file, tail, inside) if tail else ""
    readers = {name[len(prefix) :]: _reader(file, name) for name in file.names() if name.startswith(prefix)}
    return Tower(path, readers)


def _reader(file: TensorFile, name: str) -> Reader:
    def read() -> torch.Tensor:
        load_report.current().used.add(name)
        return file.read(name)

    return read


def _prefix(file: TensorFile, tail: str, inside: str) -> str:
    found = sorted(
        name[: -len(tail)]
        for name in file.names()
        if name.endswith(tail) and inside in name and (name == tail or name[: -len(tail)].endswith("."))
    )
    if len(found) != 1:
        what = "no tensor" if not found else f"{len(found)} tensors"
        raise WeightsError(f"{file.path} has {what} named ...{inside}{tail}, by which this model is known", _HINT)
    return found[0]


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
    _compare(set(targets), set(given), tower.path)
    with torch.no_grad():
        for name, target in targets.items():
            tensor = given[name]()
            if tensor.shape != target.shape:
                raise WeightsError(
                    f"{tower.path}: {clean(name)} is {list(tensor.shape)}, the network has {list(target.shape)}", _HINT
                )
            target.copy_(tensor)
    return len(targets)


def _compare(wanted: set[str], given: set[str], path: Path) -> None:
    problems = []
    if missing := sorted(wanted - given):
        problems.append(f"{len(missing)} tensors are missing ({_some(missing)})")
    if extra := sorted(given - wanted):
        problems.append(f"{len(extra)} are not part of the network ({_some(extra)})")
    if problems:
        raise WeightsError(f"{path} does not fit: {', '.join(problems)}", _HINT)


def _some(names: list[str]) -> str:
    return ", ".join(clean(name) for name in names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


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
    """Build a network without spending seconds on random initial values; load it strictly afterwards."""
    with _ZerosForRandomValues():
        yield
