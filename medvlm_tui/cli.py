"""The command line. Parses, then imports only what the command needs: `--help` loads no torch and no textual."""

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
from medvlm_tui.stages.request import (
    DEFAULT_STAGES,
    ESTIMATORS,
    FILLS,
    OVERLAYS,
    POSITIONS,
    PROTOCOLS,
)

# Command -> (its module, what it is for). A module is imported when its command is given.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "models": ("medvlm_tui.commands.catalog", "the encoders of the catalog, and whether their weights are here"),
    "datasets": ("medvlm_tui.commands.catalog", "the datasets of the catalog, and whether they were found"),
    "check": ("medvlm_tui.commands.check", "counts, unreadable files, duplicates and leakage of a dataset"),
    "doctor": ("medvlm_tui.commands.doctor", "what this machine has, and how to fix what it lacks"),
    "encode": ("medvlm_tui.commands.encode", "features of a few images, as an .npz file"),
    "place": ("medvlm_tui.commands.place", "where new images lie on a stored map, as CSV"),
    "store": ("medvlm_tui.commands.store", "the feature store: sizes, checks, export, import"),
    "attach": ("medvlm_tui.commands.attach", "the run under way, or the last one; leaving does not stop it"),
    "cancel": ("medvlm_tui.commands.cancel", "stop the run under way; what it computed is kept"),
    "audit": ("medvlm_tui.commands.published", "the statistics of the study's published tables"),
}
_READ_IMAGES = ("check", "encode")
_BATCH = (
    "Run a study without a screen. Commas separate the items of a list; "
    """one that holds a comma stands in double quotes, as in CSV: '"a,b.png",c.png'."""
)
_EPILOG = "Without a command: the screens, on the default workspace. Without a screen: medvlm-tui --batch --help."
_PROTOCOLS_HELP = (
    "repeatable (paper): linear SVM of the paper, of the poster, over a wider grid, with groups on one side; "
    "nearest neighbours; a few images a class"
)


class _Parser(argparse.ArgumentParser):
    """argparse, with this program's way of reporting a wrong line."""

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
    """Run the command and say what went wrong; no error leaves this function."""
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
    """Write an error that nobody expected to the workspace's log; return it as the sentence that is shown."""
    from medvlm_tui.core.workspace.logs import note_defect
    from medvlm_tui.core.workspace.workspace import Workspace

    place = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    place.add_argument("--workspace")
    message = f"this should not happen: {redact(f'{type(error).__name__}: {error}')}"
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
    """The parser of everything but `--batch`; it knows the options of the command that `arguments` name."""
    parser = _Parser(
        prog="medvlm-tui", description="Which encoder to trust on medical images, and what it looks at.", epilog=_EPILOG
    )
    parser.add_argument("--version", action="version", version=f"medvlm-tui {__version__}")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
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
    """The parser of `--batch`."""
    parser = _Parser(prog="medvlm-tui --batch", description=_BATCH)
    parser.add_argument("--batch", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("run_file", nargs="?", metavar="RUN.toml", type=_path, help="options as a file; flags win")
    parser.add_argument("--models", type=_names, metavar="A,B", help="ids, `all`, or `group:medical`")
    parser.add_argument("--datasets", type=_names, metavar="X,Y", help="ids or `all`")
    parser.add_argument("--demo", action="store_true", default=None, help="the built-in phantom, every stage")
    parser.add_argument(
        "--stages", type=_names, metavar="LIST", help=f"of {','.join(STAGE_NAMES)} ({','.join(DEFAULT_STAGES)})"
    )
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, dest="protocols", help=_PROTOCOLS_HELP)
    parser.add_argument("--folds", type=int, help="cross-validation folds (5)")
    parser.add_argument("--hold-out", type=float, help="share held out for the test (0.2)")
    parser.add_argument("--seed", type=int, help="of splits, UMAP, masks and exchanges (0)")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="hold-outs of every probe: SEED and the N - 1 after it (1)"
    )
    parser.add_argument("--label", metavar="VIEW", help="a label view of the dataset")
    parser.add_argument("--part", metavar="PART", help="a published part instead of the study's")
    parser.add_argument("--feature", help="a feature of the model instead of its default")
    _add_projection(parser)
    _add_window(parser)
    _add_saliency(parser)
    _add_bias(parser)
    parser.add_argument("--device", help="auto, cpu or cuda[:i]")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"))
    parser.add_argument("--batch-size", type=_batch_size, metavar="auto|N")
    parser.add_argument("--workers", type=int, metavar="N", help="decoding processes (0: chosen)")
    parser.add_argument("--limit", type=int, metavar="N", help="images per class, for a quick look")
    parser.add_argument("--phantom-per-class", type=int, metavar="N", help="size of the phantom (120)")
    parser.add_argument("--out", metavar="DIR", help="where the files go (WORKSPACE/exports/RUN_ID)")
    parser.add_argument("--strict", action="store_true", default=None, help="a differing dataset is an error")
    parser.add_argument("--json", action="store_true", help="events as JSON lines on stdout")
    parser.add_argument("--dry-run", action="store_true", help="the plan, its cost and what is missing; runs nothing")
    _add_shared(parser)
    return parser


def _add_saliency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rise-masks", type=int, metavar="N", help="masks per image (4096)")
    parser.add_argument("--rise-cells", type=int, metavar="N", help="cells of a mask per side (7)")
    parser.add_argument("--rise-images", metavar="N|IDS", help="hold-out images a class, or their ids (1)")
    parser.add_argument("--rise-estimator", choices=ESTIMATORS, help="the paper's, or one that needs fewer masks")
    parser.add_argument(
        "--rise-explain",
        type=_names,
        metavar="LIST",
        help="classes to explain in each image, * for all (the predicted)",
    )
    parser.add_argument("--rise-fill", choices=FILLS, help="what a masked pixel becomes, in the lab too (mean)")
    parser.add_argument(
        "--rise-stop-error",
        type=float,
        metavar="SHARE",
        help="stop at this standard error over the map's spread (0: never)",
    )


def _add_bias(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--bias-words", type=_names, metavar="LIST", help="words drawn into images, told apart in pairs"
    )
    parser.add_argument("--bias-position", choices=POSITIONS, help="where they stand (bottom_left)")
    parser.add_argument("--bias-size", type=float, metavar="SHARE", help="font size over the short side (0.08)")
    parser.add_argument("--bias-contrast", type=float, metavar="SHARE", help="1 is white ink, 0 invisible (1)")
    parser.add_argument(
        "--bias-controls", type=_names, metavar="LIST", help=f"of {','.join(OVERLAYS[1:])}: the ink of a word (all)"
    )
    parser.add_argument("--bias-train", type=int, metavar="N", help="images a class the lab trains on (40)")
    parser.add_argument("--bias-test", type=int, metavar="N", help="hold-out images a class the lab draws into (20)")
    parser.add_argument("--bias-masks", type=int, metavar="N", help="masks of each map of the lab, 0: no maps (256)")
    parser.add_argument("--bias-images", type=int, metavar="N", help="maps of the lab a class (2)")
    parser.add_argument(
        "--bias-removed", type=int, metavar="N", help="of these, images a class explained without the word too (2)"
    )


def _add_projection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--umap-neighbors", type=_ints, metavar="LIST", help="n_neighbors (15); `grid`: the poster's ten"
    )
    parser.add_argument("--umap-min-dist", type=_floats, metavar="LIST", help="min_dist (0.1); `grid`: its five")
    parser.add_argument("--umap-max-points", type=int, metavar="N", help="larger sets are subsampled (5000)")
    parser.add_argument("--tags", metavar="CSV", help="path,tag,value: groups for figures and separability")


def _add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--window", metavar="WINDOW", help=f"of images of more than 8 bits: {WINDOW_HELP} (file)")


def _add_shared(parser: argparse.ArgumentParser, default: Any = None) -> None:
    parser.add_argument(
        "--workspace", metavar="DIR", default=default, help="store, runs and exports (MEDVLM_WORKSPACE)"
    )
    parser.add_argument("--data", action="append", metavar="NAME=PATH", default=default, help="where a dataset lies")
    parser.add_argument("--weights", action="append", metavar="MODEL=PATH", default=default, help="a local checkpoint")
    parser.add_argument("--offline", action="store_true", default=default, help="never ask the network")


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
        raise UsageError(f"--{option} {text}: expected NAME=PATH", f"for example --{option} brain_mr=/data/brain_mri")
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
