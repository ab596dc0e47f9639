"""Look of the screens: the theme, and whether they are drawn in ASCII; from the settings file and the locale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvlm_tui.errors import UsageError

CHARACTERS = ("auto", "unicode", "ascii")


@dataclass(frozen=True, slots=True)
class Appearance:
    """The look of the screens by the settings file."""

    theme: str = ""
    """Name of a theme; empty for the default one."""
    characters: str = "auto"
    """`ascii`, `unicode`, or `auto`: as the locale says."""

    def in_ascii(self, environment: Mapping[str, str]) -> bool:
        """Return whether to draw with ASCII alone; the terminal is not asked, since an answer may never come."""
        return self.characters == "ascii" or (self.characters == "auto" and not has_utf8(environment))


def has_utf8(environment: Mapping[str, str]) -> bool:
    """Return whether the locale of an environment has UTF-8: LC_ALL before LC_CTYPE before LANG, as POSIX has it.

    A browser that textual-serve connects always has.
    """
    if "web_driver" in environment.get("TEXTUAL_DRIVER", ""):
        return True
    locale = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "")
    codeset = locale.partition(".")[2].partition("@")[0]
    return codeset.lower().replace("-", "") == "utf8"


def taken_from(table: dict[str, Any], path: Path) -> Appearance:
    """Take what concerns the screens out of a settings file's table; raises UsageError for another value."""
    theme, characters = table.pop("theme", ""), table.pop("characters", "auto")
    if not isinstance(theme, str):
        raise UsageError(f"{path}: theme = {theme!r} is no name of a theme", 'write for example theme = "medvlm-light"')
    if characters not in CHARACTERS:
        raise UsageError(
            f"{path}: characters = {characters!r} is none of {', '.join(CHARACTERS)}",
            'write characters = "ascii" for frames and bars that every terminal has',
        )
    return Appearance(theme, characters)
