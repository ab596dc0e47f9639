"""Configuration files that others have written: JSON whose fields are checked one by one. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import WeightsError

_MAX_BYTES = 16_000_000
_MAX_WHOLE = 65_536
_AGAIN = "save or download it again"


class Fields:
    """A table of a configuration file; every question names what is wrong with which field of which file."""

    def __init__(self, file: str, table: Mapping[str, Any], place: str = "") -> None:
        self.file, self.values, self._place = file, table, place

    def has(self, name: str) -> bool:
        """Return whether a field is there and not null."""
        return self.values.get(name) is not None

    def wrong(self, name: str, wanted: str) -> WeightsError:
        """Return the error for a field that does not hold what belongs there."""
        shown = clean(json.dumps(self.values.get(name), default=str))[:80]
        return WeightsError(f"{self.file}: {self._place}{name} is {shown}, and {wanted} belongs there", _AGAIN)

    def below(self, name: str) -> Fields:
        """Return the table of a field, an empty one where it is not there; raises WeightsError."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise self.wrong(name, "a table")
        return Fields(self.file, value or {}, f"{self._place}{name}.")

    def whole(self, name: str, default: int | None = None, most: int = _MAX_WHOLE) -> int:
        """Return a whole number from 1 to `most`; raises WeightsError, also where there is none and no default."""
        value = self.values.get(name)
        value = default if value is None else value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not 1 <= value <= most:
            raise self.wrong(name, f"a whole number from 1 to {most:,}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a finite number between two bounds; raises WeightsError."""
        value = self.values.get(name)
        value = default if value is None else value
        if not is_number(value) or not least <= value <= most:
            raise self.wrong(name, f"a number from {least:g} to {most:g}")
        return float(value)

    def truth(self, name: str, default: bool) -> bool:
        """Return true or false; raises WeightsError."""
        value = self.values.get(name)
        value = default if value is None else value
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def text(self, name: str, default: str, choices: Collection[str] = ()) -> str:
        """Return a text, one of `choices` where there are any; raises WeightsError."""
        value = self.values.get(name)
        value = default if value is None else value
        if not isinstance(value, str) or (choices and value not in choices):
            raise self.wrong(name, f"one of {', '.join(choices)}" if choices else "a text")
        return value

    def triple(self, name: str, default: tuple[float, float, float], zero: bool = True) -> tuple[float, float, float]:
        """Return three finite numbers, one given for each channel or for all; raises WeightsError."""
        value = self.values.get(name)
        value = default if value is None else value
        listed = list(value) if isinstance(value, list | tuple) else [value]
        numbers = listed * 3 if len(listed) == 1 else listed
        if len(numbers) != 3 or not all(is_number(number) and (zero or number != 0) for number in numbers):
            raise self.wrong(name, "a number for each of the three channels" + ("" if zero else ", none of them zero"))
        red, green, blue = (float(number) for number in numbers)
        return red, green, blue


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number of a size that a 32-bit float holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30 and math.isfinite(value)


def read_fields(path: Path) -> Fields | None:
    """Return the table of a JSON file, None where there is no such file; raises WeightsError."""
    if not path.is_file():
        if path.is_symlink():
            raise WeightsError(f"{path} is a link to a file that is not here", "copy what it leads to as well")
        return None
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise WeightsError(f"{path} is no configuration: it is larger than {_MAX_BYTES:,} bytes", _AGAIN)
        table = json.loads(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}", "check the file and its rights") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise WeightsError(f"{path} is no JSON: {_reason(error, path)}", _AGAIN) from error
    if not isinstance(table, Mapping):
        raise WeightsError(f"{path} is no configuration: it is not a JSON object", _AGAIN)
    return Fields(str(path), table)


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, RecursionError):
        return "its brackets lie in each other without end"
    head = path.read_bytes()[:16]
    if head.startswith(b"../../blobs/"):
        return "it is the text of a link; copy the cache with its links (cp -a, rsync -a)"
    return clean(str(error))[:100] or type(error).__name__
