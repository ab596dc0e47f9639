"""Does the map lie in the lesion, on every BUSI image with one: `python benchmarks/busi_lesions.py FOLDER --busi DIR`.

Only held-out images are explained, so hold-outs of 40 % are drawn, seed after seed, until each image with a lesion has
been held out; it is explained once, under the first such seed, by the classifier of that seed (efficientnet_lite0,
1,024 reduced masks, the predicted class). Everything is an ordinary run below FOLDER: a stopped study goes on where it
was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runs import run

from medvlm_tui.core.store.store import StoredResult
from medvlm_tui.core.typed_lists import join_list
from medvlm_tui.engine.saliency.quality import quality_table
from medvlm_tui.stages.request import RunRequest

LESION_CLASSES = ("benign", "malignant")
MOST_SEEDS = 40
REQUEST = RunRequest(
    ("efficientnet_lite0",), ("breast_us",), stages=("extract", "probe"), device="cpu",
    options={"hold_out": 0.4, "rise_masks": 1024, "rise_estimator": "reduced"},
)  # fmt: skip


def lesions(probe: StoredResult, rows: Sequence[int]) -> set[str]:
    """Return those of a probe's images that have a lesion."""
    classes, labels = probe.record["classes"], probe.arrays["labels"]
    return {probe.record["ids"][row] for row in rows if classes[labels[row]] in LESION_CLASSES}


def explained(folder: Path, base: RunRequest) -> Iterator[Mapping[str, Any]]:
    """Yield every image's item of the saliency record, with the seed that held it out."""
    done: set[str] = set()
    for seed in range(MOST_SEEDS):
        request = replace(base, seed=seed)
        probe = run(folder, request)["probe"]
        everything = lesions(probe, range(len(probe.record["ids"])))
        now = lesions(probe, probe.arrays["hold_out"]) - done
        done |= now
        if now:
            stages = (*request.stages, "saliency")
            chosen = request.changed({"stages": stages, "rise_images": join_list(sorted(now))})
            yield from ({**item, "seed": seed} for item in run(folder, chosen)["saliency"].record["items"])
        if done == everything:
            return


def main() -> None:
    """Explain all images; print one line of JSON an image, and the means: all, each class, right ones, wrong ones."""
    options = argparse.ArgumentParser()
    options.add_argument("folder", type=Path)
    options.add_argument("--busi", required=True, help="BUSI's folder")
    chosen = options.parse_args()
    items = []
    for item in explained(chosen.folder.absolute(), replace(REQUEST, data={"breast_us": chosen.busi})):
        items.append(item)
        names = ("seed", "image", "label", "predicted", "relative_error")
        print(json.dumps({**{name: item[name] for name in names}, **item["quality"]}), flush=True)
    parts = {
        "all": items,
        **{name: [i for i in items if i["label"] == name] for name in LESION_CLASSES},
        "right": [i for i in items if i["label"] == i["predicted"]],
        "wrong": [i for i in items if i["label"] != i["predicted"]],
    }
    print(json.dumps({name: quality_table(part) for name, part in parts.items() if part}))


if __name__ == "__main__":
    main()
