"""`medvlm-tui --serve`: the screens in a browser of this machine."""

from __future__ import annotations

from collections.abc import Sequence

from medvlm_tui.errors import ExitCode, MissingInputError, UsageError


def without_serving(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of the screens themselves: those without `--serve` and `--port N`."""
    kept, rest = [], iter(arguments)
    for one in rest:
        if one == "--port":
            next(rest, None)
        elif one != "--serve" and not one.startswith("--port="):
            kept.append(one)
    return kept


def run(arguments: Sequence[str], port: int) -> int:
    """Serve the screens until Ctrl-C; raises MissingInputError without textual-serve, UsageError for a taken port."""
    try:
        from medvlm_tui.tui.browser.server import serve
    except ModuleNotFoundError as error:
        raise MissingInputError(
            f"--serve needs the package textual-serve ({error.name} is not installed)",
            "pip install 'medvlm-tui[serve]'",
        ) from error
    try:
        serve(without_serving(arguments), port, _say)
    except OSError as error:
        raise UsageError(f"port {port} cannot be used: {error.strerror}", "choose another with --port N") from error
    return int(ExitCode.OK)


def _say(line: str) -> None:
    print(line, flush=True)
