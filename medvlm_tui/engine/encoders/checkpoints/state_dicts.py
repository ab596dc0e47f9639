"""Place of a state dict inside what a trainer has saved, and prefixes that wrappers put before its names. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.encoders.checkpoints.stand_ins import Inert

# Weights averaged over training. timm's loader takes the first two before the raw weights beside them; so do we, under
# other trainers' names too.
AVERAGED = (
    "state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema_model_state_dict",
    "model_state_dict_ema", "ema", "averaged_model",
)  # fmt: skip
# Where trainers keep the weights themselves.
_USUAL = (
    "state_dict", "model", "module", "model_state_dict", "net", "network", "net_state_dict", "network_state_dict",
    "model_state", "network_weights", "weights", "params", "encoder", "backbone", "checkpoint",
)  # fmt: skip
# Self-distillation: the teacher is the student's average, and what its authors evaluate.
_TEACHER, _STUDENT = "teacher", "student"
_NOT_WEIGHTS = re.compile(
    r"optim|sched|scaler|rng|callback|loop|hparam|hyper|config|args|history|metric|loss|(^|_)amp($|_)", re.IGNORECASE
)
# torch.compile, FSDP, activation checkpointing and Fabric put these anywhere in a name; nothing else is called so.
_WRAPPERS = re.compile(
    r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_fpw_module|_forward_module)\."
)
_DISTRIBUTED = re.compile(r"^(?:module\.)+")
_DEPTH = 6
_SHOWN = 8


class NoStateDictError(ValueError):
    """The loaded object holds no table of tensors, or several with nothing to choose between them."""


@dataclass(frozen=True, slots=True)
class StateDict:
    """The tensors of a checkpoint by name."""

    tensors: Mapping[str, Any]
    taken: tuple[str, ...] = ()
    """Keys of the outer tables that lead to them."""
    beside: tuple[str, ...] = ()
    """Keys of the raw weights that lie beside averaged ones, which were taken."""

    @property
    def note(self) -> str:
        """Return a sentence for the user on the choice; empty where there was none."""
        if not self.beside:
            return ""
        averaged = next(key for key in self.taken if key in (*AVERAGED, _TEACHER))
        return (
            f"the averaged weights ({averaged}) were taken, as timm does; {', '.join(self.beside)} beside them were not"
        )


def plain_name(name: str) -> str:
    """Return a tensor's name without what compiled and distributed training have put into it, however often."""
    return _DISTRIBUTED.sub("", _WRAPPERS.sub("", name))


def is_compiled(name: str) -> bool:
    """Return whether a name holds one of the prefixes that only a wrapper writes."""
    return _WRAPPERS.search(name) is not None


def plain_names(names: Collection[str]) -> dict[str, str]:
    """Return plain name -> name; a name keeps its prefixes where two would become the same."""
    held = set(names)
    found: dict[str, str] = {}
    for name in names:
        plain = plain_name(name)
        found[name if plain != name and (plain in held or plain in found) else plain] = name
    return found


def state_dict_in(loaded: Any, is_tensor: Callable[[Any], bool]) -> StateDict:
    """Return the state dict inside a checkpoint's outer tables; raises NoStateDictError that names what is there.

    Averaged weights come first, then the names that trainers use; else the one table that holds tensors.
    """
    taken: list[str] = []
    beside: list[str] = []
    whole = loaded
    while isinstance(loaded, Mapping) and len(taken) <= _DEPTH:
        key = _inner(loaded, is_tensor)
        if key is None:
            break
        if key in (*AVERAGED, _TEACHER):
            raw = _USUAL if key in AVERAGED else (_STUDENT,)
            beside += [name for name in raw if _holds(loaded.get(name), is_tensor)]
        taken.append(str(key))
        loaded = loaded[key]
    tensors = _tensors(loaded, is_tensor)
    if not tensors:
        raise NoStateDictError(f"holds no state dict; {_contents(whole)}")
    return StateDict(tensors, tuple(taken), tuple(beside))


def _inner(table: Mapping[Any, Any], is_tensor: Callable[[Any], bool]) -> Any:
    """Return the key of the table that leads on to the weights, None where they are in this one."""
    for name in (*AVERAGED, *_USUAL, _TEACHER, _STUDENT):
        if _holds(table.get(name), is_tensor):
            return name
    inner = [key for key, value in table.items() if not _NOT_WEIGHTS.search(str(key)) and _holds(value, is_tensor)]
    own = _tensors(table, is_tensor)
    if own and (len(inner) != 1 or any("." in name for name in own) or len(own) >= _most(table[inner[0]], is_tensor)):
        return None  # a state dict; the few tensors beside another are a trainer's own: a random state, a best score
    if len(inner) > 1:
        raise NoStateDictError(f"holds several state dicts ({_some(inner)}), and which one is meant is not known")
    return inner[0] if inner else None


def _tensors(table: Any, is_tensor: Callable[[Any], bool]) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        return {}
    return {str(key): value for key, value in table.items() if is_tensor(value)}


def _holds(table: Any, is_tensor: Callable[[Any], bool]) -> bool:
    """Return whether a table holds tensors, itself or in tables below."""
    return _most(table, is_tensor) > 0


def _most(table: Any, is_tensor: Callable[[Any], bool], seen: set[int] | None = None, depth: int = 0) -> int:
    """Return how many tensors lie in the fullest of a table and those below; none is searched again where met again."""
    seen = set() if seen is None else seen
    if not isinstance(table, Mapping) or depth > _DEPTH or id(table) in seen:
        return 0
    seen.add(id(table))
    own = sum(is_tensor(value) for value in table.values())
    return max([own, *(_most(value, is_tensor, seen, depth + 1) for value in table.values())])


def _contents(loaded: Any) -> str:
    if isinstance(loaded, Inert):
        return (
            f"it is a whole network, an object of class {clean(type(loaded).__name__)}, which only its own code reads"
        )
    if not isinstance(loaded, Mapping):
        return f"it holds {'a list' if isinstance(loaded, list | tuple) else f'one {type(loaded).__name__}'}"
    return f"it holds {_some(list(loaded))}" if loaded else "it is empty"


def _some(keys: Collection[Any]) -> str:
    shown = [clean(str(key))[:60] for key in list(keys)[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(keys) > _SHOWN else "")
