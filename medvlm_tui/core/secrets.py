"""The hub's token reaches no file and no screen, whatever a library puts into its messages."""

from __future__ import annotations

import os
import re
import resource

INSTEAD = "[secret]"
_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN")
# A token of the hub's own shape, from wherever it came (the token file, another program's settings).
_SHAPE = re.compile(r"\bhf_[A-Za-z0-9]{16,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
# Shorter values are no tokens, and replacing them would tear words apart.
_SHORTEST = 8


def redact(text: str) -> str:
    """Return `text` without tokens, and without a password in an address (a proxy's)."""
    for name in _VARIABLES:
        value = os.environ.get(name, "").strip()
        if len(value) >= _SHORTEST:
            text = text.replace(value, INSTEAD)
    return _SHAPE.sub(INSTEAD, text)


def leave_no_core() -> None:
    """Let this process and its children leave no core file: it would hold the environment."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
