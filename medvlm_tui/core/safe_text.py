"""Outside text made safe to show: file names, class names, tags, messages of libraries."""

from __future__ import annotations

import hashlib
import re

# Everything a terminal, a bidi algorithm or an encoder could act upon instead of showing it: C0 and DEL, C1,
# zero-width and bidirectional controls, line and paragraph separators, byte-order mark, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
_SLUG_UNSAFE = re.compile(r"[^a-z0-9._-]")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def clean(text: str) -> str:
    """Return `text` with every control, bidi, zero-width and surrogate character written out visibly."""
    return _UNSAFE.sub(_visible, text)


def slug(identifier: str) -> str:
    """Return a file-name part for an id: characters outside `a-z 0-9 . _ -` become `-`, and a short digest
    of the id is appended when that changed anything, so that two ids never share a file."""
    plain = _SLUG_UNSAFE.sub("-", identifier)
    if plain == identifier and not identifier.startswith((".", "-")) and 0 < len(identifier) <= 120:
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain.lstrip('.')[:100]}-{digest}"
