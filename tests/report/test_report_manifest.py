"""manifest.json: complete, readable again, and free of secrets and of the user's home."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.report.manifest import manifest_record, write_manifest
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from tests.made.report_store import filled

TOKEN = "hf_" + "AbCdEf0123456789" * 2


@pytest.fixture
def source(tmp_path: Path) -> ReportInput:
    return filled(tmp_path)


def written(source: ReportInput, folder: Path) -> tuple[dict[str, object], str]:
    (folder / "table.md").write_text("x")
    write_manifest(folder / "manifest.json", manifest_record(source, Gathered(source)), [folder / "table.md"])
    text = (folder / "manifest.json").read_text()
    return json.loads(text), text


def test_it_says_everything(source: ReportInput, tmp_path: Path) -> None:
    record, _ = written(source, tmp_path)
    assert set(record) == {
        "run_id", "versions", "device", "seeds", "settings", "plan", "models", "datasets", "results", "timings_s",
        "failures", "files",
    }  # fmt: skip
    assert record["files"] == {"table.md": of_file(tmp_path / "table.md")}
    assert record["failures"] == [{"step": "extract:uni:brain_mr", "error": "no weights", "hint": "ask for access"}]
    assert Plan.from_record(record["plan"]) == source.plan  # type: ignore[arg-type]
    results = record["results"]
    assert {kind: len(entries) for kind, entries in results.items()} == {  # type: ignore[attr-defined]
        "extract": 6, "probe": 6, "statistics": 6, "project": 6, "saliency": 6,
        "pairs": 2, "ranking": 1,
    }  # fmt: skip
    table = results["extract"]["table-biomedclip-brain_mr"]  # type: ignore[index]
    assert table["encoder"]["weights_digest"] == "w"
    assert len(table["sha256"]) == 64
    assert record["datasets"]["brain_mr"]["counts"] == {"=glioma": 20, "no_tumor": 20, "pituitary $x_1$": 20}  # type: ignore[index]


def test_no_token_and_no_home(source: ReportInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / "jane"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    error = f"GET https://jane:s3cret@hub/x with {TOKEN}, cached in {home}/.cache"
    blocked = Step("probe:x:y", "probe", blocked=error)
    hostile = replace(
        source,
        request=replace(source.request, weights={"uni": f"{home}/uni.bin"}, data={"brain_mr": f"{home}/brain"}),
        plan=replace(source.plan, steps=(*source.plan.steps, blocked), warnings=(error,)),
        failures=(("probe:x:y", error, f"Authorization: Bearer {TOKEN[3:]}"),),
    )
    record, text = written(hostile, tmp_path)
    assert TOKEN not in text
    assert TOKEN[3:] not in text
    assert "s3cret" not in text
    assert record["settings"]["weights"] == {"uni": "~/uni.bin"}  # type: ignore[index]
    assert record["settings"]["data"] == {"brain_mr": f"{home}/brain"}  # type: ignore[index]
    assert text.count(str(home)) == 1


def test_a_token_of_any_shape_is_known_from_the_environment(
    source: ReportInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "of-no-known-shape")
    _, text = written(replace(source, failures=(("extract:uni:brain_mr", "sent of-no-known-shape", ""),)), tmp_path)
    assert "of-no-known-shape" not in text
    assert "sent [secret]" in text
