"""`medvlm-tui encode`: features of a few images, volumes or texts as an .npz file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from medvlm_tui.core.events import Event, Log, StepProgress
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.workspace.logs import log_to
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import ExitCode, UsageError
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="model id of the catalog, or PREFIX:NAME")
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", type=Path, help="image files; for merlin and ct_clip .nii.gz files"
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
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, or GPUs by number: cuda:0,cuda:2 (auto)")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "fp32", "bf16", "fp16"),
        help="number format of the encoder (auto: by model and device)",
    )
    _add_texts(parser)


def _add_texts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        metavar="TEXT",
        help="a text to encode by the model's text tower (repeatable)",
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="texts to encode: a JSON list of strings, or one per line"
    )
    parser.add_argument(
        "--text-vectors",
        type=Path,
        metavar="F.npy",
        help="instead of texts: a language model's vectors (n, d), for llm2clip_l14_336",
    )
    parser.add_argument(
        "--tokenizer",
        default="",
        metavar="FOLDER",
        help="folder of the tokenizer's files (beside the weights, or the hub's cache)",
    )


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Encode the files and write the result; a path given by `--weights PATH` or `--weights MODEL=PATH` is loaded."""
    if options.text or options.texts or options.text_vectors:
        return _texts(options, request)
    if not options.images:
        raise UsageError("there is nothing to encode", "name image files, or --text TEXT, or --texts FILE")
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


def _texts(options: argparse.Namespace, request: RunRequest) -> int:
    """Encode texts, and the images beside them into the same space."""
    from medvlm_tui.engine.new_images.encode import Where
    from medvlm_tui.engine.new_images.encode_texts import encode_texts, encode_vectors, read_texts, save_texts

    if options.feature or options.pixels:
        raise UsageError(
            "--feature and --pixels are for images alone",
            "with texts the image feature is the one that lies beside them",
        )
    where = Where(
        request.weights.get(options.model, ""), options.tokenizer, options.device, options.precision, request.offline
    )
    if options.text_vectors:
        made = encode_vectors(options.model, options.text_vectors, options.images, where, _say)
    else:
        texts = [*options.text, *(read_texts(options.texts) if options.texts else [])]
        made = encode_texts(options.model, texts, options.images, where, _say)
    save_texts(made, options.out)
    if made.cut:
        print(
            f"{made.cut} of {len(made.texts)} texts are longer than the model's context, and were cut", file=sys.stderr
        )
    rows, dim = made.features.shape
    print(f"{rows} x {dim} text features in {clean(str(options.out))}; {clean(made.report)}", file=sys.stderr)
    return int(ExitCode.OK)


def _say(event: Event) -> None:
    if isinstance(event, Log):
        print(clean(event.message), file=sys.stderr)
    elif isinstance(event, StepProgress):
        end = "\n" if event.done >= event.total else "\r"
        print(f"{clean(event.step)}: {event.done:,} of {event.total:,} {event.unit}", end=end, file=sys.stderr)
