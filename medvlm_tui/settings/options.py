"""Every option of a run, from the fields that declare them: those of `RunRequest`, then those of each stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from medvlm_tui.core.typed_lists import join_list
from medvlm_tui.errors import UsageError
from medvlm_tui.stages import STAGE_NAMES, STAGES
from medvlm_tui.stages.option import Declared, declared_in
from medvlm_tui.stages.request import OWN, RunRequest


def _declared() -> dict[str, Declared]:
    """Return the options of a run by name, in the order of the help."""
    found = {each.name: each for each in (*declared_in(RunRequest), *_of_stages())}
    of_stages = found["stages"]
    return {**found, "stages": replace(of_stages, option=replace(of_stages.option, choices=STAGE_NAMES))}


def _of_stages() -> Iterator[Declared]:
    for stage in STAGES:
        if stage.options is not None:
            yield from declared_in(stage.options, stage.title, other_results=True)


OPTIONS: Mapping[str, Declared] = _declared()


def value_of(request: RunRequest, name: str) -> Any:
    """Return the value of an option in a request."""
    return getattr(request, name) if name in OWN else request.options.get(name, OPTIONS[name].default)


def all_values(request: RunRequest) -> dict[str, Any]:
    """Return the value of every option of a request, by name."""
    return {name: value_of(request, name) for name in OPTIONS}


def read_request(record: Mapping[str, Any]) -> RunRequest:
    """Rebuild a request from JSON that another process wrote; raises UsageError for options that do not exist."""
    request = RunRequest.from_record(record)
    refuse_unknown(request)
    return request


def refuse_unknown(request: RunRequest) -> None:
    """Raise UsageError for an option that does not exist."""
    unknown = sorted(request.options.keys() - OPTIONS.keys())
    if unknown:
        raise UsageError(f"there is no option {unknown[0]!r}", f"the options are {', '.join(sorted(OPTIONS))}")


def in_words(value: Any) -> str:
    """Return a value as it is written after its flag; empty for an empty one and for a table."""
    if isinstance(value, tuple):
        return join_list(f"{item:g}" if isinstance(item, float) else item for item in value) if value else ""
    if isinstance(value, bool | dict):
        return "yes" if value is True else ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def typed_words(each: Declared, value: Any) -> str:
    """Return a value as a person may type it: the option's own word for it where it has one."""
    return next((word for word, meant in each.option.words.items() if meant == value), in_words(value))


def help_of(each: Declared) -> str:
    """Return what an option means, with its default in parentheses."""
    listed = each.kind is tuple and each.option.choices and not each.option.repeated
    choices = f", of {','.join(each.option.choices)}" if listed else ""
    words = in_words(each.default) if each.option.default_words is None else each.option.default_words
    return f"{each.option.help}{choices}" + (f" ({words})" if words else "")
