"""The store's door for records: frozen dataclasses on this side, JSON objects on the disk.

What each analysis stores is declared in `stages/records`. A stored object that does not fit its class is damaged or was
stored by another release: it is refused here, once, so that no reader has to doubt what it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar

import msgspec

from medvlm_tui.errors import CorruptEntryError

R = TypeVar("R")


def to_object(record: Any) -> dict[str, Any]:
    """Return the JSON object of a record; raises TypeError when it would not be read back as the same class."""
    if isinstance(record, Mapping):
        return dict(record)
    assert is_dataclass(record)
    assert not isinstance(record, type)
    try:
        made: dict[str, Any] = msgspec.to_builtins(record, enc_hook=_plain)
        _converted(made, type(record))
    except (msgspec.ValidationError, TypeError) as error:
        raise TypeError(f"{type(record).__name__} does not hold what it declares: {error}") from error
    return made


def _plain(value: Any) -> Any:
    """Return a number of numpy as Python's; raises TypeError for anything else that JSON has no form for."""
    item = getattr(value, "item", None)  # numpy itself is not imported: the screens start without it
    if callable(item):
        return item()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def from_object(found: Mapping[str, Any], record: type[R]) -> R:
    """Return the record of a stored JSON object; names that the class lacks are passed over. Raises CorruptEntryError.

    A field may be absent only where its class gives it a default.
    """
    try:
        return _converted(found, record)
    except msgspec.ValidationError as error:
        raise CorruptEntryError(
            f"a stored result is damaged or of another release: it is no {record.__name__} ({error})",
            "run the same command again",
        ) from error


def _converted(found: Mapping[str, Any], record: type[R]) -> R:
    return msgspec.convert(found, record, str_keys=True)
