"""Tensors out of torch files that also hold objects of other packages. Nothing foreign is imported or run.

CXR-CLIP's and VisionUnite's files keep their training configuration beside the weights. `torch.load` is given
this module in place of `pickle`: a short list of torch's own names is real, every other name becomes a class
that takes whatever it is given and does nothing.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from pickle import UnpicklingError
from typing import IO, Any

import torch

from medvlm_tui.engine.encoders.checkpoints.restricted_pickle import RestrictedUnpickler
from medvlm_tui.engine.encoders.checkpoints.stand_ins import Inert, refuse_hostile

__all__ = ["Unpickler", "UnpicklingError", "load"]


_STORAGES = (
    "FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage", "LongStorage", "IntStorage", "ShortStorage",
    "CharStorage", "ByteStorage", "BoolStorage",
)  # fmt: skip
_MAKERS = {
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): torch._utils._rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}
_REAL: dict[tuple[str, str], Any] = {
    **_MAKERS,
    ("collections", "OrderedDict"): OrderedDict,
    **{("torch", name): getattr(torch, name) for name in _STORAGES},
    ("torch.storage", "UntypedStorage"): torch.UntypedStorage,
}


class Unpickler(RestrictedUnpickler):
    """An unpickler whose only real names are those that make plain tensors."""

    makers = tuple(_MAKERS.values())

    def find_class(self, module: str, name: str) -> Any:
        """Return the real object of an allowed name, and an inert class for every other.

        Raises UnpicklingError for names whose only use in a checkpoint is to run code.
        """
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        refuse_hostile(module, name)
        real = _REAL.get((module, name))
        if real is not None:
            return real
        if module == "torch" and isinstance(value := getattr(torch, name, None), torch.dtype):
            return value
        return type(name, (Inert,), {})


def load(file: IO[bytes], **options: Any) -> Any:
    """Unpickle with the class above: torch reads the head of its older files through this name."""
    return Unpickler(file, **options).load()
