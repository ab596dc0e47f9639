"""`medvlm-tui encode`: features of a few images or volumes as an .npz file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from medvlm_tui.core.events import Event, Log, StepProgress
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.workspace.logs import log_to
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="model id of the catalog, or PREFIX:NAME")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", type=Path, help="image files; for merlin and ct_clip .nii.gz files"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="F.npz", help="output file: features (n, d) as float32, and names"
    )
    parser.add_argument(
        "--feature", default="", help="which feature of the model, see `medvlm-tui models ID` (the model's default)"
    )
    parser.add_argument(
        "--pixels", action="store_true", help="also write the model's input, as pixels_0, pixels_1, ..."
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:INDEX (auto)")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="number format of the encoder (auto: by model and device)",
    )


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Encode the files and write the result; a path given by `--weights PATH` or `--weights MODEL=PATH` is loaded."""
    from medvlm_tui.engine.new_images.encode import encode_files, save_encoded

    log_to(Workspace(configuration.workspace).logs / "commands.log")
    encoded = encode_files(
        options.model,
        options.images,
        weights=request.weights.get(options.model, ""),
        feature=options.feature,
        with_pixels=options.pixels,
        device=options.device,
        precision=options.precision,
        offline=request.offline,
        window=request.window,
        say=_say,
    )
    save_encoded(encoded, options.out)
    if encoded.warning:
        print(clean(encoded.warning), file=sys.stderr)
    rows, dim = encoded.features.shape
    print(f"{rows} x {dim} features in {clean(str(options.out))}; {encoded.report}", file=sys.stderr)
    return int(ExitCode.OK)


def _say(event: Event) -> None:
    if isinstance(event, Log):
        print(clean(event.message), file=sys.stderr)
    elif isinstance(event, StepProgress):
        end = "\n" if event.done >= event.total else "\r"
        print(f"{clean(event.step)}: {event.done:,} of {event.total:,} {event.unit}", end=end, file=sys.stderr)
