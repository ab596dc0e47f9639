"""Steps that read the results of several others, and how they shrink when some of those failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.keys import step_key
from medvlm_tui.stages import stage_of
from medvlm_tui.stages.stage import Stage


def gathered_key(stage: Stage[Any], params: Mapping[str, Any]) -> str:
    """Return the key of a gathering step: its parameters name every result that it reads."""
    return step_key(stage.kind, stage.version, params)


def tables_of(step: Step) -> tuple[str, ...]:
    """Return the keys of the feature tables behind a step that compares models; none for any other step."""
    listed = step.params.get(stage_of(step.kind).gathers, ())
    return tuple(each["table"] for each in listed if isinstance(each, Mapping))


def without(step: Step, missed: Collection[str]) -> Step:
    """Return a gathering step on those of its reads that have a result, under the key of these.

    The step itself where nothing is missed, where it does not gather, or where too few results are left (it is then
    skipped like any other step that lacks its input).
    """
    stage = stage_of(step.kind)
    if not stage.gathers or not set(step.needs) & set(missed):
        return step
    listed = step.params[stage.gathers]
    # With several hold-outs `needs` names the probes of all entries once for each seed.
    lost = {place % len(listed) for place, need in enumerate(step.needs) if need in missed}
    kept = [entry for place, entry in enumerate(listed) if place not in lost]
    if len(kept) < stage.fewest:
        return step
    params = {**step.params, stage.gathers: kept}
    needs = tuple(need for place, need in enumerate(step.needs) if place % len(listed) not in lost)
    return replace(step, params=params, needs=needs, key=gathered_key(stage, params))
