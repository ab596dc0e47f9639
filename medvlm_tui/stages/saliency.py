"""Saliency: RISE maps of encoder, scaler and linear SVM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from medvlm_tui.measures.map_noise import NOISY_ABOVE
from medvlm_tui.stages.language import no_free_text
from medvlm_tui.stages.params.saliency import PROMPT, SaliencyParams
from medvlm_tui.stages.probe import on_linear_probe
from medvlm_tui.stages.records.saliency import SaliencyRecord
from medvlm_tui.stages.stage import Draft, Scope, Stage, View


def _drafts(view: View) -> Iterator[Draft]:
    params = view.request.of(SaliencyParams)
    asked = asdict(params)
    if params.prompts:
        if reason := no_free_text(view.cell):
            what = reason.partition("\n")[0]
            yield Draft({}, blocked=f"{what}: it has no map of a prompt\nleave {PROMPT} out of --rise-explain for it")
            return
        asked["text"] = view.cell.text.digest if view.cell.text else ""
    yield on_linear_probe(view.cell, asked)


def _summary(record: SaliencyRecord) -> Mapping[str, Any]:
    return {"images": len(record.items), "masks": record.masks}


# Few masks say something under the reduced estimator alone, which needs about a fifth of the plain one's for the same
# error; it stops once every map is more than noise.
_FIRST_LOOK = {
    "rise_masks": 1024,
    "rise_estimator": "reduced",
    "rise_fill": "blur",
    "rise_stop_error": NOISY_ABOVE,
}
# Under the paper's fill, the mean, maps do not show a word that decides (docs/bias.md).
_DEMO = {"rise_masks": 256, "rise_estimator": "reduced", "rise_fill": "blur", "rise_images": "4"}


SALIENCY = Stage(
    kind="saliency",
    version=2,
    title="saliency",
    scope=Scope.CELL,
    record=SaliencyRecord,
    work="medvlm_tui.engine.saliency.step",
    drafts=_drafts,
    summary=_summary,
    needs=("extract", "probe"),
    needs_classes=True,
    options=SaliencyParams,
    first_look=_FIRST_LOOK,
    demo=_DEMO,
    outputs="medvlm_tui.report.saliency.files",
    screen="saliency",
)
