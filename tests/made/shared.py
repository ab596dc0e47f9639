"""Where reference data lies that is no part of the project; tests that need it skip where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SHARED = ROOT / ".." / "shared"
DATA = Path(os.environ.get("MEDVLM_TEST_DATA") or _SHARED / "data")
CONFORMANCE = Path(os.environ.get("MEDVLM_CONFORMANCE") or _SHARED / "conformance")
