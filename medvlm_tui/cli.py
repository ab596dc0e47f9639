"""The command line: parse it, then import only what the command needs. `--help` loads no torch and no textual."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from medvlm_tui import __version__, streams
from medvlm_tui.core.intensity_windows import WINDOW_HELP
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.system_errors import in_words
from medvlm_tui.core.typed_lists import split_list
from medvlm_tui.errors import ExitCode, MedvlmError, UsageError
from medvlm_tui.settings import sources as settings
from medvlm_tui.stages import STAGE_NAMES
from medvlm_tui.stages.request import DEFAULT_STAGES, ESTIMATORS, FILLS, OVERLAYS, POSITIONS, PROTOCOLS

# Command -> (its module, what it is for). A module is imported when its command is given.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "models": (
        "medvlm_tui.commands.catalog",
        "list the encoders of the catalog, and whether their weights are on this machine",
    ),
    "datasets": (
        "medvlm_tui.commands.catalog",
        "list the datasets of the catalog, and whether they were found on this machine",
    ),
    "check": ("medvlm_tui.commands.check", "check a dataset: counts, unreadable files, duplicates, leakage"),
    "doctor": ("medvlm_tui.commands.doctor", "show what this machine has, what it lacks, and how to fix that"),
    "encode": ("medvlm_tui.commands.encode", "compute the features of a few images, as an .npz file"),
    "place": ("medvlm_tui.commands.place", "find the place of new images on a stored UMAP, as CSV"),
    "store": ("medvlm_tui.commands.store", "feature store: sizes, checks, export, import"),
    "attach": ("medvlm_tui.commands.attach", "follow the current run, or show the last one; leaving does not stop it"),
    "cancel": ("medvlm_tui.commands.cancel", "stop the current run; what it computed is kept"),
    "compare": ("medvlm_tui.commands.compare", "show what differs between two runs, and whether beyond noise"),
    "audit": ("medvlm_tui.commands.published", "test the study's published tables for significance"),
}
_READ_IMAGES = ("check", "encode")
_BATCH = (
    "Run a study without the screens. Defaults stand in parentheses. Commas separate the items of a list; "
    """an item that contains a comma is written in double quotes, as in CSV: '"a,b.png",c.png'."""
)
_EPILOG = "Without a command the screens open. For runs without the screens see medvlm-tui --batch --help."
_PROTOCOLS_HELP = (
    "classification protocol; can be given several times (paper). Linear SVM of the paper (paper), of the poster "
    "(poster), with a wider grid of t (tuned), with every group on one side of the split (grouped); "
    "k nearest neighbours (knn); few training images per class (few_shot)"
)


class _Parser(argparse.ArgumentParser):
    """An argparse parser that reports a wrong command line as UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, f"see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    streams.prepare()
    code = _guarded(arguments)
    streams.drop_unwritten()
    return code


def _guarded(arguments: list[str]) -> int:
    """Run the command, print what went wrong, and return the exit code; no error leaves this function."""
    try:
        return _run(arguments)
    except MedvlmError as error:
        return _say(error)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and error.filename == streams.STDOUT:
            return int(ExitCode.OK)  # the reader of our output has gone (`| head`): nothing is left to say
        return _say(in_words(error) or unexpected(error, arguments))


def _run(arguments: list[str]) -> int:
    try:
        code = _batch(arguments) if "--batch" in arguments else _command(arguments)
    except SystemExit:
        streams.finish()  # `--help` was printed
        raise
    streams.finish()
    return code


def _say(error: MedvlmError) -> int:
    """Print a known problem on stderr and return its exit code."""
    print(f"medvlm-tui: {clean(error.message)}", file=sys.stderr)
    if error.hint:
        print("  " + "\n  ".join(clean(line) for line in error.hint.splitlines()), file=sys.stderr)
    return int(error.exit_code)


def unexpected(error: Exception, arguments: Sequence[str]) -> MedvlmError:
    """Write an unexpected error to the workspace's log and return it as a message with the path of the log."""
    from medvlm_tui.core.workspace.logs import note_defect
    from medvlm_tui.core.workspace.workspace import Workspace

    place = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    place.add_argument("--workspace")
    message = f"unexpected error: {redact(f'{type(error).__name__}: {error}')}"
    try:
        workspace = Workspace(settings.load(place.parse_known_args(list(arguments))[0].workspace).workspace)
        workspace.make()
        log = workspace.logs / "commands.log"
        note_defect(log, error)
    except (OSError, MedvlmError, argparse.ArgumentError) as refused:
        return MedvlmError(message, f"the log cannot be written: {refused}")
    return MedvlmError(message, f"the traceback is in {log}")


def _batch(arguments: list[str]) -> int:
    options = batch_parser().parse_args(arguments)
    configuration = settings.load(options.workspace)
    run_file = settings.checked(settings.read_toml(options.run_file), options.run_file) if options.run_file else {}
    request = settings.request(configuration, run_file, request_flags(options))
    from medvlm_tui.batch.run import BatchOptions, run_batch

    display = BatchOptions(json=options.json, dry_run=options.dry_run)
    workspace = configuration.workspace
    if request.demo and options.workspace is None:
        workspace = _demo_workspace(request.out)
    return run_batch(workspace, request, display)


def _demo_workspace(out: str) -> Any:
    from pathlib import Path

    return Path(out or "medvlm-demo").absolute() / "workspace"


def _command(arguments: list[str]) -> int:
    options = command_parser(arguments).parse_args(arguments)
    if options.command == "encode" and options.weights:
        # One model is named already, so `--weights PATH` is enough.
        named = f"{options.model}="
        options.weights = [named + path.removeprefix(named) for path in options.weights]
    configuration = settings.load(options.workspace)
    request = settings.request(configuration, {}, shared_flags(options))
    if options.command:
        return int(import_module(COMMANDS[options.command][0]).run(options, request, configuration))
    streams.refuse_without_terminal()
    from medvlm_tui.tui.app import run_tui

    return run_tui(configuration.workspace, request, mouse=not options.no_mouse)


def command_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of everything but `--batch`, with the options of the command that `arguments` name."""
    parser = _Parser(
        prog="medvlm-tui",
        description="Compare image encoders on medical images: accuracy, UMAP, saliency, bias by burned-in text.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"medvlm-tui {__version__}")
    parser.add_argument(
        "--no-mouse", action="store_true", help="do not use the mouse, so that the terminal can select text"
    )
    _add_shared(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        if name in arguments:
            import_module(module).add_arguments(command)
        if name in _READ_IMAGES:
            _add_window(command)
        _add_shared(command, default=argparse.SUPPRESS)
    return parser


def batch_parser() -> argparse.ArgumentParser:
    """Return the parser of `--batch`."""
    parser = _Parser(prog="medvlm-tui --batch", description=_BATCH)
    add = parser.add_argument
    add("--batch", action="store_true", help=argparse.SUPPRESS)
    add(
        "run_file",
        nargs="?",
        metavar="RUN.toml",
        type=_path,
        help="file with options; the command line takes precedence",
    )
    add("--models", type=_names, metavar="A,B", help="model ids, `all`, or a group such as `group:medical`")
    add("--datasets", type=_names, metavar="X,Y", help="dataset ids, or `all`")
    add("--demo", action="store_true", default=None, help="run every stage on the built-in phantom")
    stages = f"stages to run, of {','.join(STAGE_NAMES)} ({','.join(DEFAULT_STAGES)})"
    add("--stages", type=_names, metavar="LIST", help=stages)
    add("--protocol", action="append", choices=PROTOCOLS, dest="protocols", help=_PROTOCOLS_HELP)
    add("--folds", type=int, help="number of cross-validation folds (5)")
    add("--hold-out", type=float, help="share of the images held out for the test, 0 to 1 (0.2)")
    add("--seed", type=int, help="random seed of splits, UMAP, masks and exchange tests (0)")
    add("--seeds", type=int, metavar="N", help="number of hold-outs per probe, with the seeds SEED, SEED + 1, ... (1)")
    add("--label", metavar="VIEW", help="label view of the dataset (the study's labels)")
    add("--part", metavar="PART", help="published part of the dataset (the part of the study)")
    add("--feature", help="which feature of the model, see `medvlm-tui models ID` (the model's default)")
    _add_projection(parser)
    _add_window(parser)
    _add_saliency(parser)
    _add_bias(parser)
    _add_machine(parser)
    add("--limit", type=int, metavar="N", help="use at most N images per class, for a quick look (0: all)")
    add("--phantom-per-class", type=int, metavar="N", help="images per class of the phantom (120)")
    add("--out", metavar="DIR", help="folder for tables and figures (WORKSPACE/exports/RUN_ID)")
    add("--strict", action="store_true", default=None, help="treat a dataset that differs from the catalog as an error")
    add("--json", action="store_true", help="print events as JSON lines on stdout")
    add("--dry-run", action="store_true", help="show the plan, its cost and what is missing, and run nothing")
    _add_shared(parser)
    return parser


def _add_machine(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    precisions = ("auto", "fp32", "bf16", "fp16")
    add("--device", help="auto, cpu, cuda or cuda:INDEX (auto)")
    add("--precision", choices=precisions, help="number format of the encoder (auto: by model and device)")
    add("--batch-size", type=_batch_size, metavar="auto|N", help="images per forward pass (auto)")
    add("--workers", type=int, metavar="N", help="number of image decoding processes (0: as many as fit this machine)")


def _add_saliency(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--rise-masks", type=int, metavar="N", help="random masks per image (4096)")
    add("--rise-cells", type=int, metavar="N", help="mask grid size (7 = 7 x 7 cells)")
    add("--rise-images", metavar="N|IDS", help="explained hold-out images per class, or a list of image ids (1)")
    add(
        "--rise-estimator",
        choices=ESTIMATORS,
        help="plain: as in the paper; reduced: lower variance, needs fewer masks (plain)",
    )
    add(
        "--rise-explain",
        type=_names,
        metavar="LIST",
        help="classes to explain for each image, * for all (the predicted class)",
    )
    add(
        "--rise-fill",
        choices=FILLS,
        help="value of masked pixels, also in the bias lab: the preprocessing mean, black, or the blurred image (mean)",
    )
    add(
        "--rise-stop-error",
        type=float,
        metavar="SHARE",
        help="stop when the standard error of every map is below SHARE of its standard deviation (0: use all masks)",
    )


def _add_bias(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--bias-words",
        type=_names,
        metavar="LIST",
        help="words drawn into the images, at least two (BREAST,AXILLA,LEFT,RIGHT)",
    )
    add("--bias-position", choices=POSITIONS, help="position of the words in the image (bottom_left)")
    add("--bias-size", type=float, metavar="SHARE", help="font size as a share of the image's short side (0.08)")
    add("--bias-contrast", type=float, metavar="SHARE", help="contrast of the words: 1 is white, 0 is invisible (1)")
    add(
        "--bias-controls",
        type=_names,
        metavar="LIST",
        help=f"control overlays with as much ink as a word, of {','.join(OVERLAYS[1:])} (all)",
    )
    add("--bias-train", type=int, metavar="N", help="training images per class of the bias lab (40)")
    add("--bias-test", type=int, metavar="N", help="hold-out images per class of the bias lab (20)")
    add("--bias-masks", type=int, metavar="N", help="masks per saliency map of the bias lab, 0 for no maps (256)")
    add("--bias-images", type=int, metavar="N", help="explained images per class of the bias lab (2)")
    add(
        "--bias-removed",
        type=int,
        metavar="N",
        help="how many of these images per class are explained again without the word (2)",
    )


def _add_projection(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--umap-neighbors",
        type=_ints,
        metavar="LIST",
        help="values of n_neighbors, or `grid` for the ten values of the poster (15)",
    )
    add(
        "--umap-min-dist",
        type=_floats,
        metavar="LIST",
        help="values of min_dist, or `grid` for the five values of the poster (0.1)",
    )
    add(
        "--umap-max-points",
        type=int,
        metavar="N",
        help="most images per UMAP; larger datasets are subsampled, stratified by class (5000)",
    )
    add(
        "--tags",
        metavar="CSV",
        help="CSV with the columns path,tag,value: further groups of images, for figures and separability",
    )


def _add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--window", metavar="WINDOW", help=f"intensity window for images of more than 8 bits: {WINDOW_HELP} (file)"
    )


def _add_shared(parser: argparse.ArgumentParser, default: Any = None) -> None:
    add = parser.add_argument
    add(
        "--workspace",
        metavar="DIR",
        default=default,
        help="folder of store, runs and exports (MEDVLM_WORKSPACE, else the user's data folder)",
    )
    add(
        "--data",
        action="append",
        metavar="NAME=PATH",
        default=default,
        help="folder or file of a dataset; can be given several times",
    )
    add(
        "--weights",
        action="append",
        metavar="MODEL=PATH",
        default=default,
        help="local checkpoint of a model; can be given several times",
    )
    add("--offline", action="store_true", default=default, help="do not use the network")


def request_flags(options: argparse.Namespace) -> dict[str, Any]:
    """Return the RunRequest fields that a `--batch` line gives."""
    local = {"json", "dry_run", "batch", "run_file", "workspace"}
    return _checked({key: value for key, value in vars(options).items() if key not in local})


def shared_flags(options: argparse.Namespace) -> dict[str, Any]:
    """Return the RunRequest fields that commands take."""
    return _checked({key: getattr(options, key, None) for key in ("data", "weights", "offline", "window")})


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    flags = {key: value for key, value in given.items() if value is not None}
    for table in ("data", "weights"):
        if table in flags:
            flags[table] = dict(_assignment(item, table) for item in flags[table])
    return settings.checked(flags, "command line")


def _assignment(text: str, option: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(
            f"--{option} {text}: expected NAME=PATH", f"write for example --{option} brain_mr=/data/brain_mri"
        )
    return name, path


def _names(text: str) -> list[str]:
    return list(split_list(text))


def _ints(text: str) -> list[int] | str:
    return text if text == "grid" else [int(part) for part in _names(text)]


def _floats(text: str) -> list[float] | str:
    return text if text == "grid" else [float(part) for part in _names(text)]


def _batch_size(text: str) -> int:
    return 0 if text == "auto" else int(text)


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(text)


if __name__ == "__main__":
    sys.exit(main())
