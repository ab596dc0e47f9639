"""medvlm-tui: which medical image encoder to trust, and what it looks at.

The names below are the public interface of the package (docs/python.md). Each is imported at its first use: `import
medvlm_tui` itself loads no torch and no other large library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from medvlm_tui import version

if TYPE_CHECKING:
    from medvlm_tui.api.loaded_model import LoadedModel, load_model
    from medvlm_tui.api.probing import ProbeResult, run_probe
    from medvlm_tui.api.stored_features import FeatureStore, StoredFeatures, open_store
    from medvlm_tui.errors import MedvlmError

__version__ = version.VERSION
__all__ = [
    "FeatureStore",
    "LoadedModel",
    "MedvlmError",
    "ProbeResult",
    "StoredFeatures",
    "__version__",
    "load_model",
    "open_store",
    "run_probe",
]

_PLACES = {
    "FeatureStore": "medvlm_tui.api.stored_features",
    "LoadedModel": "medvlm_tui.api.loaded_model",
    "MedvlmError": "medvlm_tui.errors",
    "ProbeResult": "medvlm_tui.api.probing",
    "StoredFeatures": "medvlm_tui.api.stored_features",
    "load_model": "medvlm_tui.api.loaded_model",
    "open_store": "medvlm_tui.api.stored_features",
    "run_probe": "medvlm_tui.api.probing",
}
"""Public name -> the module that defines it."""


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name not in _PLACES:
        raise AttributeError(f"module 'medvlm_tui' has no attribute {name!r}")
    found = getattr(import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names, those that are not imported yet too."""
    return sorted({*globals(), *__all__})
