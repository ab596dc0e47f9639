"""`medvlm-tui place`: where new images lie on a map that the workspace has."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from medvlm_tui.core.counts import counted
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="model of the map")
    parser.add_argument("dataset", metavar="DATASET", help="dataset of the map")
    parser.add_argument("images", nargs="+", metavar="IMAGE", type=Path, help="files of the new images")
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="F.csv",
        help="output file: coordinates and nearest image of each new image",
    )
    parser.add_argument(
        "--label", default="", metavar="VIEW", help="label view of the run that made the map (the study's labels)"
    )
    parser.add_argument("--part", default="", metavar="PART", help="dataset part of that run (the part of the study)")
    parser.add_argument("--limit", default=0, type=int, metavar="N", help="images per class of that run (0: all)")
    parser.add_argument("--feature", default="", help="feature of that run (the model's default)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, or GPUs by number: cuda:0,cuda:2 (auto)")


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Encode the files, place them on the proposed map, and write a line each."""
    from medvlm_tui.engine.new_images.place import COLUMNS, place_files
    from medvlm_tui.report.formats.csv_file import write_csv
    from medvlm_tui.report.formats.table import Table, texts

    asked = replace(
        request, models=(options.model,), datasets=(options.dataset,), label=options.label, part=options.part,
        limit=options.limit, feature=options.feature, device=options.device,
    )  # fmt: skip
    placed = place_files(asked, options.images, Workspace(configuration.workspace))
    write_csv(options.out, Table("place", texts(*COLUMNS), placed.rows))
    shown = f"n_neighbors {placed.shown.record.n_neighbors}, min_dist {placed.shown.record.min_dist:g}"
    print(f"{counted(len(placed.rows), 'image')} on the map with {shown} in {clean(str(options.out))}", file=sys.stderr)
    return int(ExitCode.OK)
