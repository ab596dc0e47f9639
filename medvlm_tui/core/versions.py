"""Which releases computed a result: recorded with it, no part of its key."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from medvlm_tui.version import VERSION


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of this program, of Python, and of the named distributions (`absent` when missing)."""
    return {
        "medvlm-tui": VERSION,
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
