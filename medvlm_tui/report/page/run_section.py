"""The last section of the page: what was asked for, with what it was computed, what failed, and the whole manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from medvlm_tui.core.counts import counted
from medvlm_tui.report.formats.table import Table, numbers, texts
from medvlm_tui.report.page.blocks import RUN, Block, Caution, Fold, Listing, Section

MOST_MANIFEST_BYTES = 400_000
"""Of the manifest on the page; a longer one stands there without the plan."""


def run_section(manifest: Mapping[str, Any]) -> Section:
    """Return the section; `manifest` is the record that manifest.json holds."""
    return Section("run", "The run", RUN, tuple(_blocks(manifest)))


def _blocks(manifest: Mapping[str, Any]) -> Iterator[Block]:
    failures = [(one["step"], one["error"], one["hint"]) for one in manifest["failures"]]
    if failures:
        yield Caution(f"{counted(len(failures), 'step')} failed; this page lacks the results.")
        yield Table("failures", texts("step", "error", "what to do"), failures, "Failed steps")
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    facts = (("run", manifest["run_id"]), ("device", manifest["device"]), ("versions", versions))
    yield Table("facts", texts("what", "value"), facts, "Run")
    settings = [(name, _plain(value)) for name, value in sorted(manifest["settings"].items())]
    yield Fold("Settings", (Table("settings", texts("setting", "value"), settings, "Settings"),))
    seconds = sorted(manifest["timings_s"].items(), key=lambda item: -item[1])
    if seconds:
        table = Table("timings", (*texts("step"), *numbers("seconds")), seconds, "Time of each step")
        yield Fold("Time", (table,))
    yield Fold("Manifest (manifest.json has the digests of all files too)", (Listing(_listing(manifest)),))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _listing(manifest: Mapping[str, Any]) -> str:
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=True, default=str)
    if len(text) <= MOST_MANIFEST_BYTES:
        return text
    shorter = {name: value for name, value in manifest.items() if name not in ("plan", "results", "timings_s")}
    return json.dumps(shorter, indent=1, sort_keys=True, ensure_ascii=True, default=str)[:MOST_MANIFEST_BYTES]
