"""`medvlm-tui reproduce`: one published cell computed again, beside what was printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from medvlm_tui.catalog.published import PAPER, POSTER
from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import ExitCode
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest

if TYPE_CHECKING:
    from medvlm_tui.report.scores.reproduction import Beside, Reproduction

_SOURCES = {"paper": PAPER, "poster": POSTER}
"""Name of a protocol -> where its scores were printed."""
_STAGES = ("extract", "probe", "statistics")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="model id of the catalog")
    parser.add_argument("dataset", metavar="DATASET", help="dataset id of the catalog")
    parser.add_argument(
        "--protocol", default="paper", choices=tuple(_SOURCES), help="the protocol, and so whose printed score (paper)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:INDEX (auto)")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")
    parser.epilog = (
        "Exit codes: 0 every printed score lies within the interval of the difference; 1 one of them does not, has no "
        "interval, or a step failed; 2 the study printed no such score; 3 the weights or the images are not here."
    )


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Compute the cell, print both scores, and return the exit code; raises MedvlmError where nothing could start."""
    from medvlm_tui.batch.run import run_and_read
    from medvlm_tui.catalog.datasets import load_datasets
    from medvlm_tui.catalog.models import load_models
    from medvlm_tui.report.scores.reproduction import refuse_unpublished, reproduction

    source = _SOURCES[options.protocol]
    models, datasets = load_models(), load_datasets()
    if options.model in models and options.dataset in datasets:  # else the run names what is unknown
        refuse_unpublished(models[options.model], datasets[options.dataset], source)
    wanted = RunRequest(  # what else the settings file sets is not the study's
        data=request.data,
        weights=request.weights,
        offline=request.offline,
        window=request.window,
        workers=request.workers,
        models=(options.model,),
        datasets=(options.dataset,),
        stages=_STAGES,
        protocols=(options.protocol,),
        device=options.device,
    )
    cells, code = run_and_read(configuration.workspace, wanted)
    if not cells:
        return code or int(ExitCode.STEPS_FAILED)
    found = reproduction(cells[0], source)
    if options.json:
        print(json.dumps({**asdict(found), "reproduced": found.reproduced}, indent=2, ensure_ascii=True))
    else:
        print("\n".join(clean(line) for line in lines(found)))
    return code or int(ExitCode.OK if found.reproduced else ExitCode.STEPS_FAILED)


def lines(found: Reproduction) -> Iterator[str]:
    """Yield both scores, the difference and what may be different, as text."""
    yield f"{found.model} on {found.dataset}, protocol {found.protocol}; published: {found.source}"
    for each in found.scores:
        yield f"  {each.metric}: {_ours(each)}, published {_percent(each.published, each.published_std)} %"
        yield f"    difference {_difference(each)}"
    verdict = "yes" if found.reproduced else "no"
    yield f"reproduced within the intervals of the differences: {verdict}"
    yield "what is or may be different:"
    yield from (f"  - {sentence}" for sentence in found.may_differ)


def _ours(each: Beside) -> str:
    span = "" if each.low is None or each.high is None else f" [{100 * each.low:.1f}, {100 * each.high:.1f}]"
    return f"ours {_percent(each.ours, each.ours_std)}{span} %"


def _percent(mean: float, std: float | None) -> str:
    return f"{100 * mean:.1f}" + ("" if std is None else f" ± {100 * std:.1f}")


def _difference(each: Beside) -> str:
    if each.difference_low is None or each.difference_high is None:
        return f"{100 * each.difference:+.1f} points, without an interval: too few held-out images"
    span = f"[{100 * each.difference_low:+.1f}, {100 * each.difference_high:+.1f}]"
    word = "zero is in the interval" if each.within else "zero is outside the interval"
    return f"{100 * each.difference:+.1f} {span} points: {word}"
