"""Remove tokens and passwords from every text that reaches a file or a screen, whatever a library puts into it."""

from __future__ import annotations

import os
import re
import resource

INSTEAD = "[secret]"
_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN")
# Tokens of the shapes that Hugging Face and GitHub give them, bearer tokens, and credentials in an address, from
# wherever they came (the token file, another program's settings).
_SHAPE = re.compile(
    r"\b(?:hf|api|gh[opsu]|github_pat)_[A-Za-z0-9_]{16,}|(?<=Bearer )[\w.~+/=-]+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
# Shorter values are no tokens, and replacing them would tear words apart.
_SHORTEST = 8


def redact(text: str) -> str:
    """Return `text` without tokens and without the name and password in an address (a proxy's)."""
    for name in _VARIABLES:
        value = os.environ.get(name, "").strip()
        if len(value) >= _SHORTEST:
            text = text.replace(value, INSTEAD)
    return _SHAPE.sub(INSTEAD, text)


def leave_no_core() -> None:
    """Disable core files for this process and its children, because a core file contains the environment."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
