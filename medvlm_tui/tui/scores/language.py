"""The texts of a cell: zero-shot by each set of prompts, single prompts, alignment with the images."""

from __future__ import annotations

from rich.text import Text

from medvlm_tui.core.safe_text import clean
from medvlm_tui.stages.records.language import (
    AlignmentRecord,
    MeasureRecord,
    PromptRecord,
    PromptSetRecord,
    ScoreRecord,
    ZeroShotRecord,
)
from medvlm_tui.tui.states import GREY

_NAME, _MOST_PROMPT = 12, 60
_HEADLINE = "balanced_accuracy"


def zero_shot_blocks(record: ZeroShotRecord | None) -> list[list[Text]]:
    """Return the scores of every set of prompts beside chance and the probe, and the best and the worst template."""
    if record is None:
        return []
    head = f"zero-shot, {record.n_test:,} held-out images, balanced accuracy %"
    lines = [Text(head, style="bold"), Text(f"{'prompts':<{_NAME}}       95 %        chance   accuracy", style=GREY)]
    lines += [_set(each) for each in record.sets]
    for versus in record.headline.versus:
        p_value = f"p {versus.holm:.2g}, adjusted"
        said = f"accuracy less the probe's ({clean(versus.protocol)})"
        bounds = f"[{100 * versus.low:+.1f}, {100 * versus.high:+.1f}]"
        lines.append(Text.assemble((f"{said} ", GREY), f"{100 * versus.value:+.1f} {bounds}", (f"  {p_value}", GREY)))
    flips = f"{100 * record.flips_between_sets:.0f} % of the images change their answer between two sets"
    return [[*lines, Text(flips, style=GREY)], *_templates(record)]


def _set(each: PromptSetRecord) -> Text:
    shown, accuracy = each.hold_out.get(_HEADLINE), each.hold_out.get("accuracy")
    name = clean(each.name)[: _NAME - 1]
    own = "  *" if each.fallback else ""
    return Text.assemble(
        (f"{name:<{_NAME}}", GREY), (f"{_percent(shown):>5} ", "bold"), f"{_interval(shown):<13}",
        f"{100 * each.by_chance:>6.1f}   {_percent(accuracy):>6}", (own and f"{own} classes by their names", GREY),
    )  # fmt: skip


def _templates(record: ZeroShotRecord) -> list[list[Text]]:
    ranked = sorted(record.headline.prompts, key=lambda one: -one.scores.get(_HEADLINE, 0.0))
    if len(ranked) < 2:
        return []
    lines = [Text(f"{len(ranked)} templates alone, balanced accuracy %", style="bold")]
    return [lines + [_template(word, one) for word, one in (("best", ranked[0]), ("worst", ranked[-1]))]]


def _template(word: str, one: PromptRecord) -> Text:
    shown = clean(one.prompt)
    shown = shown if len(shown) <= _MOST_PROMPT else f"{shown[: _MOST_PROMPT - 1]}…"
    return Text.assemble((f"{word:<6}", GREY), (f"{100 * one.scores.get(_HEADLINE, 0.0):5.1f}  ", "bold"), shown)


def alignment_blocks(record: AlignmentRecord | None) -> list[list[Text]]:
    """Return every measure of texts and images together with its interval and its value by chance."""
    if record is None:
        return []
    widest = max((len(_measure(one)) for one in record.measures), default=0)
    head = f"texts and images, {record.used:,} images, prompts: {clean(record.set_name)}"
    lines = [Text(head, style="bold"), Text(f"{'':<{widest}}   value   95 %               chance", style=GREY)]
    return [lines + [_aligned(one, widest) for one in record.measures]]


def _aligned(one: MeasureRecord, widest: int) -> Text:
    value = "undefined" if one.value is None else f"{one.value:.3f}"
    bounds = "" if one.low is None or one.high is None else f"[{one.low:.3f}, {one.high:.3f}]"
    chance = "" if one.chance is None else f"{one.chance:.3f}"
    p_value = "" if one.p_value is None else f"  p {one.p_value:.2g}"
    return Text.assemble(
        (f"{_measure(one):<{widest}}", GREY), (f"  {value:>7}", "bold"), f"  {bounds:<17} ", f"{chance:>6}",
        (p_value, GREY),
    )  # fmt: skip


def _measure(one: MeasureRecord) -> str:
    name = clean(one.name).replace("_", " ")
    return f"{name} {clean(one.condition)}".strip()


def _percent(score: ScoreRecord | None) -> str:
    return "–" if score is None or score.value is None else f"{100 * score.value:.1f}"


def _interval(score: ScoreRecord | None) -> str:
    if score is None or score.low is None or score.high is None:
        return ""
    return f"[{100 * score.low:.1f}, {100 * score.high:.1f}]"
