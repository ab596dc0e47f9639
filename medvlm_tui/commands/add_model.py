"""`medvlm-tui models --add NAME`: a model by prefix, tried on one image and kept in the user's models.toml."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from medvlm_tui.catalog.models import added_models, load_models, user_file
from medvlm_tui.core.safe_text import clean
from medvlm_tui.engine.datasets.phantom.drawing import draw
from medvlm_tui.engine.datasets.phantom.files import write_grey
from medvlm_tui.engine.encoders.resolve.names import PREFIXES, has_prefix
from medvlm_tui.errors import UsageError
from medvlm_tui.settings.settings_file import write_value
from medvlm_tui.stages.request import RunRequest


def add_model(name: str, request: RunRequest) -> str:
    """Encode one image with a model, and keep its name; return what is said of it.

    Raises UsageError for a name without a prefix, and what encoding raises for a model that does not work.
    """
    name = request.changed({"models": (name,)}).with_absolute_paths().models[0]
    if name in load_models():
        raise UsageError(f"{name} is in the catalog already", "choose it by its id")
    if not has_prefix(name):
        raise UsageError(f"{name!r} names no model to add", f"begin with one of {', '.join(PREFIXES)}")
    dimension = _tried(name, request)
    names = added_models()
    if name not in names:
        write_value(user_file(), ("added",), (*names, name))
    return f"{clean(name)} gives {dimension} features an image; kept in {user_file()}"


def _tried(name: str, request: RunRequest) -> int:
    # torch is imported by no other part of the command.
    from medvlm_tui.engine.new_images.encode import encode_files

    drawn = draw("smooth", ("LEFT", "RIGHT"), (256, 256), np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "phantom.png"
        write_grey(image, drawn.pixels)
        encoded = encode_files(
            name, [image], weights=request.weights.get(name, ""), device=request.device, offline=request.offline
        )
    return int(encoded.features.shape[1])
