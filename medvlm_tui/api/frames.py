"""pandas, imported where a data frame is asked for: it is no dependency of the program."""

from __future__ import annotations

from types import ModuleType

from medvlm_tui.errors import MissingInputError


def pandas() -> ModuleType:
    """Return the module pandas; raises MissingInputError where it is not installed."""
    try:
        import pandas
    except ImportError as error:
        raise MissingInputError(
            "a data frame needs pandas, which is not installed", "pip install pandas, or use the numpy arrays"
        ) from error
    return pandas  # type: ignore[no-any-return]
