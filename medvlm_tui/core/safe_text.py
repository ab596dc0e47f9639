"""Outside text made safe to show: file names, class names, tags, messages of libraries."""

from __future__ import annotations

import hashlib
import re

from medvlm_tui.errors import MedvlmError

# Everything a terminal, a bidi algorithm or an encoder could act upon instead of showing it: C0 and DEL, C1,
# line and paragraph separators, lone surrogates, interlinear annotation, and everything that Unicode calls default
# ignorable (DerivedCoreProperties.txt): soft hyphen, fillers, zero-width and bidirectional controls, variation
# selectors, tags. Two names that differ in those alone would look the same.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SLUG_UNSAFE = re.compile(r"[^a-z0-9._-]")


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(text: str) -> str:
    """Return `text` with every control, invisible and surrogate character written out."""
    return _UNSAFE.sub(_visible, text)


def clean_lines(text: str) -> str:
    """Return `text` made safe line by line, for a place that shows several lines: a hint keeps its line breaks."""
    return "\n".join(clean(line) for line in text.splitlines())


def error_text(error: MedvlmError) -> str:
    """Return what went wrong and below it what to do, made safe."""
    return clean_lines(f"{error.message}\n{error.hint}")


def slug(identifier: str) -> str:
    """Return a file-name part for an id: characters outside `a-z 0-9 . _ -` become `-`, and a short digest
    of the id is appended when that changed anything, so that two ids never share a file."""
    plain = _SLUG_UNSAFE.sub("-", identifier)
    if plain == identifier and not identifier.startswith((".", "-")) and 0 < len(identifier) <= 120:
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain.lstrip('.')[:100]}-{digest}"
