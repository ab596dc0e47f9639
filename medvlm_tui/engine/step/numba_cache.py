"""Place where numba keeps the code that it compiles for umap-learn: beside the packages, or in the workspace."""

from __future__ import annotations

import logging
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

from medvlm_tui.core.ownership import refuse_shared
from medvlm_tui.errors import StoreError

VARIABLE = "NUMBA_CACHE_DIR"


def place_numba_cache(workspace: Path) -> None:
    """Name a folder of the workspace where the packages cannot be written (a container's image, a cluster's module).

    Without any place umap-learn cannot be imported. Called before it is; a variable that is set already stays.
    """
    if os.environ.get(VARIABLE) or _beside_packages():
        return
    folder = workspace / "compiled"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # numba unpickles what lies there: nobody else may write it.
        refuse_shared(folder, "folder", "remove it")
    except (OSError, StoreError) as error:
        logging.getLogger(__name__).warning("numba has no place for its cache: %s", error)
    else:
        os.environ[VARIABLE] = str(folder)


def _beside_packages() -> bool:
    """Return whether numba can write beside umap-learn, which is what it tries first."""
    spec = find_spec("umap")
    if spec is None or spec.origin is None:
        return True
    cache = Path(spec.origin).parent / "__pycache__"
    try:
        cache.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return True
    except OSError:
        return False
