"""The command line: parse it, then import only what the command needs. `--help` loads no torch and no textual."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

from medvlm_tui import streams
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.secrets import redact
from medvlm_tui.core.system_errors import in_words
from medvlm_tui.core.workspace import data_folders
from medvlm_tui.errors import ExitCode, MedvlmError, UsageError
from medvlm_tui.settings import sources as settings
from medvlm_tui.settings.flags import add_flag, add_sections, values_of
from medvlm_tui.settings.options import OPTIONS
from medvlm_tui.version import VERSION

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
    "reproduce": (
        "medvlm_tui.commands.reproduce",
        "compute one published score again, and show both with the interval of their difference",
    ),
    "completion": ("medvlm_tui.commands.completion", "print the script that completes commands and options in a shell"),
    "audit": ("medvlm_tui.commands.published", "test the study's published tables for significance"),
}
_READ_IMAGES = ("check", "encode", "reproduce")
_SHARED = ("data", "weights", "offline")
"""Options of a run that every command takes."""
_OF_IMAGES = (*_SHARED, "window")
"""Those of a command that reads images."""
_BATCH = (
    "Run a study without the screens. Defaults stand in parentheses. Commas separate the items of a list; "
    """an item that contains a comma is written in double quotes, as in CSV: '"a,b.png",c.png'."""
)
_EPILOG = "Without a command the screens open. For runs without the screens see medvlm-tui --batch --help."


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
    run_file = settings.read_run_file(options.run_file) if options.run_file else {}
    flags = values_of(options)
    request = settings.request(configuration, run_file, flags)
    from medvlm_tui.batch.run import BatchOptions, run_batch

    display = BatchOptions(json=options.json, dry_run=options.dry_run)
    workspace = configuration.workspace
    if request.demo and options.workspace is None:
        workspace = _demo_workspace(request.out)
    if not options.dry_run:
        data_folders.remember(workspace, flags.get("data", {}))
    return run_batch(workspace, request, display)


def _demo_workspace(out: str) -> Any:
    from pathlib import Path

    return Path(out or "medvlm-demo").absolute() / "workspace"


def _command(arguments: list[str]) -> int:
    options = command_parser(arguments).parse_args(arguments)
    if options.serve and not options.command and not streams.is_served():
        from medvlm_tui.commands.serve import run

        return run(arguments, options.port)
    if options.command == "encode" and options.weights:
        # One model is named already, so `--weights PATH` is enough.
        named = f"{options.model}="
        options.weights = [named + path.removeprefix(named) for path in options.weights]
    configuration = settings.load(options.workspace)
    flags = values_of(options, _OF_IMAGES)
    request = settings.request(configuration, {}, flags)
    if options.command:
        return int(import_module(COMMANDS[options.command][0]).run(options, request, configuration))
    streams.refuse_without_terminal()
    data_folders.remember(configuration.workspace, flags.get("data", {}))
    from medvlm_tui.tui.start import run_tui

    return run_tui(configuration, request, mouse=not options.no_mouse, origins=settings.origins(configuration, flags))


def command_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of everything but `--batch`, with the options of the command that `arguments` name."""
    parser = _Parser(
        prog="medvlm-tui",
        description="Compare image encoders on medical images: accuracy, UMAP, saliency, bias by burned-in text.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"medvlm-tui {VERSION}")
    parser.add_argument(
        "--no-mouse", action="store_true", help="do not use the mouse, so that the terminal can select text"
    )
    parser.add_argument("--serve", action="store_true", help="show the screens in a browser of this machine")
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="port of --serve on 127.0.0.1 (default: a free one)"
    )
    _add_shared(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, what) in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        if name in arguments:
            import_module(module).add_arguments(command)
        _add_shared(command, argparse.SUPPRESS, _OF_IMAGES if name in _READ_IMAGES else _SHARED)
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
    add_sections(parser, OPTIONS)
    add("--json", action="store_true", help="print events as JSON lines on stdout")
    add("--dry-run", action="store_true", help="show the plan, its cost and what is missing, and run nothing")
    _add_workspace(parser)
    return parser


def _add_shared(parser: argparse.ArgumentParser, absent: Any = None, names: Sequence[str] = _SHARED) -> None:
    """Add what every command takes."""
    _add_workspace(parser, absent)
    for name in names:
        add_flag(parser, OPTIONS[name], absent)


def _add_workspace(parser: argparse.ArgumentParser, absent: Any = None) -> None:
    parser.add_argument(
        "--workspace",
        metavar="DIR",
        default=absent,
        help="folder of store, runs and exports (MEDVLM_WORKSPACE, else the user's data folder)",
    )


def _path(text: str) -> Any:
    from pathlib import Path

    return Path(text)


if __name__ == "__main__":
    sys.exit(main())
