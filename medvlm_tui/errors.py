"""The one exception tree and the one table of exit codes."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the program; their meanings are part of the interface."""

    OK = 0
    STEPS_FAILED = 1
    USAGE = 2
    MISSING_INPUT = 3
    STORE_REFUSED = 4
    INTERRUPTED = 130


class MedvlmError(Exception):
    """A known problem: what is wrong with which thing, and what to do about it.

    Shown as two lines, never as a traceback. `exit_code` is what the program returns when the error
    stops everything; an error that costs one step only is reported as a failed step instead.
    """

    exit_code = ExitCode.STEPS_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type[MedvlmError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UsageError(MedvlmError):
    """A wrong option, id, or settings file."""

    exit_code = ExitCode.USAGE


class MissingInputError(MedvlmError):
    """A dataset root or a model's weights are not where they were looked for."""

    exit_code = ExitCode.MISSING_INPUT


class DatasetError(MedvlmError):
    """A dataset was found, but its files or labels cannot be used."""

    exit_code = ExitCode.MISSING_INPUT


class StoreError(MedvlmError):
    """The store or the disk refused: foreign directory, corrupt entry, no space."""

    exit_code = ExitCode.STORE_REFUSED


class CorruptEntryError(StoreError):
    """A stored value does not have the bytes that were written; it is computed again, never returned."""


class ImageError(MedvlmError):
    """One image cannot be read; it costs itself."""


class WeightsError(MedvlmError):
    """A checkpoint was found, but it is not what the model needs."""


class Cancelled(MedvlmError):  # noqa: N818 - not an error: what the user asked for
    """The user asked to stop; what was computed is kept."""

    exit_code = ExitCode.INTERRUPTED
