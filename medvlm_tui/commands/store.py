"""`medvlm-tui store`: what the feature store holds, whether it is whole, and how features travel."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medvlm_tui.commands.store_exchange import export_table, find_manifests, import_table
from medvlm_tui.core.safe_text import clean
from medvlm_tui.core.store.contents import Item, contents
from medvlm_tui.core.store.prune import Filter, choose, remove
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.store.verify import forget, scrub, verify
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.errors import CorruptEntryError, ExitCode, MissingInputError, StoreError, UsageError
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest

_UNITS_S: Mapping[str, int] = {"h": 3600, "d": 86400, "w": 7 * 86400}
_SHOWN = 20
_DAMAGED = "run the same study again: what is damaged is computed anew; `store verify --forget` makes it absent now"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of the command, each with its options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, what: str) -> Any:
        made = actions.add_parser(name, help=what, description=what.capitalize() + ".")
        made.add_argument("--json", action="store_true", help="print JSON on stdout")
        made.add_argument(
            "--workspace",
            metavar="DIR",
            default=argparse.SUPPRESS,
            help="workspace of the store (MEDVLM_WORKSPACE, else the user's data folder)",
        )
        return made

    action("stats", "show sizes by kind, model and dataset")
    check = action("verify", "read every stored byte and list what is damaged")
    check.add_argument("--forget", action="store_true", help="remove damaged entries, so that they are computed again")
    action("scrub", "remove incomplete files of processes that were killed")
    prune = action("prune", "remove what is no longer needed, or what the options choose")
    prune.add_argument(
        "--older-than", type=_age, metavar="AGE", help="only what is older than this, for example 12h, 30d or 8w"
    )
    prune.add_argument(
        "--yes", action="store_true", help="remove it; without --yes the command only shows what it would remove"
    )
    export = action("export", "write sealed feature tables to files")
    export.add_argument("--out", type=Path, default=Path("features"), metavar="DIR", help="output folder (features)")
    export.add_argument(
        "--format", choices=("npz", "parquet", "safetensors"), default="safetensors", help="file format (safetensors)"
    )
    for chooser in (prune, export):
        chooser.add_argument("--model", action="append", default=[], metavar="ID", help="only this model (repeatable)")
        chooser.add_argument(
            "--dataset", action="append", default=[], metavar="ID", help="only this dataset (repeatable)"
        )
    taken = action("import", "import feature tables that another machine exported")
    taken.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="exported .json files, or the folder that contains them"
    )


def run(options: argparse.Namespace, request: RunRequest, configuration: Settings) -> int:
    """Do the chosen action on the workspace's store and return the exit code; raises MedvlmError."""
    place = Workspace(configuration.workspace)
    reads_only = options.action in ("stats", "export") or (options.action == "verify" and not options.forget)
    if options.action == "import":
        place.make()
    elif not place.store.exists():
        raise MissingInputError(f"there is no store at {place.store}", "run a study first, or name its --workspace")
    with Store(place.store, read_only=reads_only) as store:
        if store.notice:
            print(clean(store.notice), file=sys.stderr)
        return _ACTIONS[options.action](store, place.root / "runs", options)


def _stats(store: Store, runs: Path, options: argparse.Namespace) -> int:
    items = list(contents(store, runs))
    sums = {
        "kind": _sums(items, lambda item: item.label),
        "model": _sums(items, lambda item: item.origin.model),
        "dataset": _sums(items, lambda item: item.origin.dataset),
    }
    total = {"entries": len(items), "bytes": sum(item.size_bytes for item in items)}
    if options.json:
        print(
            json.dumps({"directory": str(store.directory), "journal": store.kind, "total": total, "by": sums}, indent=2)
        )
        return ExitCode.OK
    print(f"{clean(str(store.directory))}: {total['entries']} entries, {_size(total['bytes'])}, journal: {store.kind}")
    for title, rows in sums.items():
        print(f"\n{title:<28}{'entries':>9}{'size':>12}")
        for row in rows:
            print(f"{clean(row['name']):<28}{row['entries']:>9}{_size(row['bytes']):>12}")
    return ExitCode.OK


def _verify(store: Store, runs: Path, options: argparse.Namespace) -> int:
    damages = list(verify(store))
    forgotten = forget(store, damages) if options.forget else 0
    if options.json:
        rows = [{"where": damage.where, "reason": damage.reason, "key": damage.key} for damage in damages]
        print(json.dumps({"damaged": rows, "forgotten": forgotten}, indent=2))
    else:
        for damage in damages:
            print(f"{clean(damage.where)}: {clean(damage.reason)}")
    if not damages:
        print("every stored byte is as it was written", file=sys.stderr)
        return ExitCode.OK
    told = f"; {forgotten} are forgotten and will be computed again" if options.forget else f"\n  {_DAMAGED}"
    print(f"{len(damages)} damaged{told}", file=sys.stderr)
    return ExitCode.STORE_REFUSED


def _scrub(store: Store, runs: Path, options: argparse.Namespace) -> int:
    done = scrub(store)
    if options.json:
        print(json.dumps({"removed": len(done.removed), "bytes": done.freed_bytes, "adopted": done.adopted}))
    else:
        kept = f"; {done.adopted} whole values were indexed again" if done.adopted else ""
        print(f"removed {len(done.removed)} leftover files, {_size(done.freed_bytes)}{kept}")
    return ExitCode.OK


def _prune(store: Store, runs: Path, options: argparse.Namespace) -> int:
    chosen = choose(list(contents(store, runs)), _filter(options))
    freed = remove(store, chosen) if options.yes else sum(item.size_bytes for item in chosen)
    if options.json:
        print(json.dumps({"removed": options.yes, "keys": [item.key for item in chosen], "bytes": freed}, indent=2))
        return ExitCode.OK
    for item in chosen[:_SHOWN]:
        names = " ".join(filter(None, (item.origin.model, item.origin.dataset)))
        print(f"{item.label:<12}{_size(item.size_bytes):>10}  {clean(names)}  {clean(item.key)}")
    if len(chosen) > _SHOWN:
        print(f"... and {len(chosen) - _SHOWN} more")
    told = "removed" if options.yes else "would be removed (repeat with --yes)"
    print(f"{len(chosen)} entries, {_size(freed)} {told}")
    return ExitCode.OK


def _export(store: Store, runs: Path, options: argparse.Namespace) -> int:
    chosen = _filter(options)
    tables = [item for item in contents(store, runs) if item.kind == "table"]
    wanted = [item for item in tables if chosen.takes(item, 0.0)]
    if not wanted:
        known = sorted({f"{item.origin.model} on {item.origin.dataset or 'an unknown dataset'}" for item in tables})
        raise MissingInputError(
            "no sealed table is of this model and dataset",
            f"the store has: {', '.join(known) or 'none; run a study first'}",
        )
    made = [path for item in wanted for path in export_table(store, item, options.out, options.format)]
    _print_list(options.json, "files", [str(path) for path in made])
    return ExitCode.OK


def _import(store: Store, runs: Path, options: argparse.Namespace) -> int:
    keys: list[str] = []
    refused: list[CorruptEntryError] = []
    for manifest in find_manifests(options.paths):
        try:
            keys.append(import_table(store, manifest))
        except CorruptEntryError as error:
            refused.append(error)
    _print_list(options.json, "keys", keys)
    if refused:
        raise StoreError("\n".join(error.message for error in refused), refused[0].hint)
    if not keys:
        raise UsageError("there is nothing to import", "name exported .json files, or the folder they lie in")
    return ExitCode.OK


_ACTIONS: Mapping[str, Callable[[Store, Path, argparse.Namespace], int]] = {
    "stats": _stats,
    "verify": _verify,
    "scrub": _scrub,
    "prune": _prune,
    "export": _export,
    "import": _import,
}


def _filter(options: argparse.Namespace) -> Filter:
    return Filter(tuple(options.model), tuple(options.dataset), getattr(options, "older_than", None))


def _sums(items: Iterable[Item], name_of: Callable[[Item], str]) -> list[dict[str, Any]]:
    entries: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for item in items:
        name = name_of(item) or "(unknown)"
        entries[name] += 1
        sizes[name] += item.size_bytes
    return [{"name": name, "entries": entries[name], "bytes": size} for name, size in sizes.most_common()]


def _print_list(as_json: bool, title: str, lines: Sequence[str]) -> None:
    if as_json:
        print(json.dumps({title: list(lines)}, indent=2))
    for line in () if as_json else lines:
        print(clean(line))


def _size(size_bytes: int) -> str:
    value, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def _age(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: say 12h, 30d or 8w")
    return float(found.group(1)) * _UNITS_S[found.group(2)]
