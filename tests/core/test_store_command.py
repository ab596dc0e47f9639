"""`medvlm-tui store`: what it prints, what it changes, how it ends. Every test runs for both kinds of journal."""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from medvlm_tui.commands import store as store_command
from medvlm_tui.core.digests import of_record
from medvlm_tui.core.specs import EncoderKey
from medvlm_tui.core.store import packing
from medvlm_tui.core.store.store import Store
from medvlm_tui.errors import ExitCode, MedvlmError, MissingInputError, StoreError
from medvlm_tui.settings.sources import Settings
from medvlm_tui.stages.request import RunRequest
from tests.made.store import flip, pretend, table, value_files

CLIP = EncoderKey("clip_b16", "w", "p", "pooled", "fp32", "1")
TABLE = of_record(["table", 1, CLIP.digest, "d"])
"""The key of the features of CLIP on the dataset of `made_store.table`."""
KEYS = {"t": TABLE, "p": "p" * 32, "u": "u" * 32}
UNI = EncoderKey("uni", "w", "p", "pooled", "fp32", "1")


def command(workspace: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    store_command.add_arguments(parser)
    return store_command.run(parser.parse_args(words), RunRequest(), Settings(workspace, workspace / "settings.toml"))


@pytest.fixture(params=["sqlite", "files"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace where clip_b16 was run on breast_us to the end, and uni on phantom was interrupted."""
    pretend(monkeypatch, request.param)
    root = tmp_path / "workspace"
    root.mkdir(mode=0o700)
    with Store(root / "store") as store:
        done = store.put_block(CLIP, ["a", "b"], np.ones((2, 3), np.float32))
        store.seal(TABLE, table(encoder=CLIP))
        store.put_result("p" * 32, {"a": np.arange(4)}, {})
        half = store.put_block(UNI, ["a"], np.ones((1, 3), np.float32))
        for step in "pq":
            scores = packing.pack({"scores": np.ones((1, 3))}, {"masks": [0, 1], "step": step * 32})
            store.put("rise/" + step.upper() * 32 + "/00000000-00000001", scores)
    run = root / "runs" / "20260101-000000-abcd"
    run.mkdir(parents=True)
    cells = [("extract", "clip_b16", "breast_us", "t"), ("probe", "clip_b16", "breast_us", "p")]
    steps = [
        {"id": f"{kind}:{model}:{dataset}", "kind": kind, "model": model, "dataset": dataset, "key": KEYS[letter]}
        for kind, model, dataset, letter in (*cells, ("extract", "uni", "phantom", "u"))
    ]
    events = [
        {"type": "PlanReady", "run_id": "r", "plan": {"steps": steps}},
        {"type": "BlockStored", "step": steps[0]["id"], "rows": 2, "key": done},
        {"type": "BlockStored", "step": steps[2]["id"], "rows": 1, "key": half},
    ]
    text = "\n".join(json.dumps(event) for event in events) + '\n{"type": "BlockStored", "st'
    (run / "events.jsonl").write_text(text)
    return root


def test_stats_add_up_by_kind_model_and_dataset(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(workspace, "stats", "--json") == ExitCode.OK
    record = json.loads(capsys.readouterr().out)
    by = {title: {row["name"]: row["entries"] for row in rows} for title, rows in record["by"].items()}
    assert by["kind"] == {"table": 1, "block": 2, "probe": 1, "part": 2}
    assert by["model"] == {"clip_b16": 4, "uni": 1, "(unknown)": 1}
    assert by["dataset"] == {"breast_us": 4, "phantom": 1, "(unknown)": 1}
    sealed = (workspace / "store" / "sealed").iterdir()
    with Store(workspace / "store", read_only=True) as store:
        files = (*value_files(store), *sealed)
    assert record["total"]["bytes"] == sum(path.stat().st_size for path in files)
    assert all(sum(row["bytes"] for row in rows) == record["total"]["bytes"] for rows in record["by"].values())
    assert command(workspace, "stats") == ExitCode.OK
    assert "clip_b16" in capsys.readouterr().out


def test_stats_of_a_workspace_without_runs_still_name_models(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "runs").rename(workspace / "gone")
    command(workspace, "stats", "--json")
    rows = json.loads(capsys.readouterr().out)["by"]["model"]
    assert {row["name"] for row in rows} == {"clip_b16", "uni", "(unknown)"}


def test_verify_says_what_is_damaged_and_forgets_it_when_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(workspace, "verify") == ExitCode.OK
    with Store(workspace / "store", read_only=True) as store:
        flip(value_files(store)[0], -1)
        flip(store.tables.tensor_path(TABLE), -1)
    assert command(workspace, "verify") == ExitCode.STORE_REFUSED
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert "2 damaged" in err
    assert "run the same study again" in err
    assert command(workspace, "verify", "--forget", "--json") == ExitCode.STORE_REFUSED
    assert json.loads(capsys.readouterr().out)["forgotten"] == 2
    assert command(workspace, "verify") == ExitCode.OK
    with Store(workspace / "store") as store:
        assert len(store.keys()) == 4
        assert store.tables.listed() == []


def test_prune_without_a_choice_takes_what_nothing_needs_and_only_when_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(workspace, "prune") == ExitCode.OK
    assert "2 entries" in capsys.readouterr().out
    assert command(workspace, "prune", "--yes", "--json") == ExitCode.OK
    keys = sorted(json.loads(capsys.readouterr().out)["keys"])
    with Store(workspace / "store", read_only=True) as store:
        assert keys == [f"block/{CLIP.digest}/{keys[0].rpartition('/')[2]}", "rise/" + "P" * 32 + "/00000000-00000001"]
        assert not set(keys) & set(store.keys())
        assert len(store.keys()) == 3
        assert store.tables.read(TABLE) is not None


@pytest.mark.parametrize(
    ("words", "entries", "tables"),
    [
        (("--model", "uni"), 4, 1),
        (("--dataset", "breast_us"), 2, 0),
        (("--model", "uni", "--dataset", "breast_us"), 5, 1),
        (("--older-than", "1h"), 5, 0),
        (("--older-than", "100d"), 5, 1),
    ],
)
def test_prune_takes_what_passes_every_option(
    workspace: Path, words: tuple[str, ...], entries: int, tables: int
) -> None:
    with Store(workspace / "store", read_only=True) as store:
        path = store.tables.tensor_path(TABLE)
    old = time.time() - 86400
    os.utime(path, (old, old))
    assert command(workspace, "prune", *words) == ExitCode.OK
    with Store(workspace / "store", read_only=True) as store:
        assert (len(store.keys()), len(store.tables.listed())) == (5, 1)
    assert command(workspace, "prune", "--yes", *words) == ExitCode.OK
    with Store(workspace / "store", read_only=True) as store:
        assert (len(store.keys()), len(store.tables.listed())) == (entries, tables)
    assert command(workspace, "verify") == ExitCode.OK


def test_npz_holds_the_table_without_objects(workspace: Path, tmp_path: Path) -> None:
    assert command(workspace, "export", "--format", "npz", "--out", str(tmp_path / "out")) == ExitCode.OK
    [path] = (tmp_path / "out").iterdir()
    assert path.name == f"clip_b16_breast_us_{TABLE[:8]}.npz"
    with np.load(path, allow_pickle=False) as found:
        assert np.array_equal(found["features"], table().matrix)
        assert found["features"].dtype == np.float32
        assert found["ids"].tolist() == list(table().ids)
        assert json.loads(str(found["manifest"]))["encoder"]["model"] == "clip_b16"


def test_parquet_holds_the_table(workspace: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is optional")
    assert command(workspace, "export", "--format", "parquet", "--out", str(tmp_path / "out")) == ExitCode.OK
    [path] = (tmp_path / "out").iterdir()
    found = parquet.read_table(path)
    assert np.array_equal(np.array(found["features"].to_pylist(), np.float32), table().matrix)
    assert found["id"].to_pylist() == list(table().ids)
    assert json.loads(found.schema.metadata[b"manifest"])["encoder"]["model"] == "clip_b16"


def test_sealed_files_travel_to_another_store(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert command(workspace, "export", "--model", "clip_b16", "--out", str(out)) == ExitCode.OK
    capsys.readouterr()
    elsewhere = tmp_path / "elsewhere"
    assert command(elsewhere, "import", str(out), "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"keys": [TABLE]}
    with Store(elsewhere / "store", read_only=True) as store:
        found = store.tables.read(TABLE)
        assert np.array_equal(found.matrix, table().matrix)
        assert (found.ids, found.encoder) == (table().ids, CLIP)
    assert command(elsewhere, "verify") == ExitCode.OK
    assert command(elsewhere, "import", *(str(path) for path in sorted(out.glob("*.json")))) == ExitCode.OK


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("position", [0, 100, -1])
def test_an_import_that_differs_is_refused(workspace: Path, tmp_path: Path, suffix: str, position: int) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    command(workspace, "export", "--out", str(out))
    [path] = out.glob(f"*{suffix}")
    flip(path, position)
    with pytest.raises(StoreError) as caught:
        command(elsewhere, "import", str(out))
    assert "copy both files again" in caught.value.hint
    with Store(elsewhere / "store", read_only=True) as store:
        assert store.tables.listed() == []
        assert store.tables.strays() == []


def test_what_is_not_there_is_said_with_a_hint(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no store"):
        command(tmp_path / "nowhere", "stats")
    with pytest.raises(MissingInputError, match="no sealed table") as caught:
        command(workspace, "export", "--model", "conch")
    assert "clip_b16 on breast_us" in caught.value.hint
    with pytest.raises(MissingInputError, match="does not exist"):
        command(workspace, "import", str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MedvlmError, match="nothing to import"):
        command(workspace, "import", str(tmp_path / "empty"))
    with pytest.raises(SystemExit):
        command(workspace, "prune", "--older-than", "soon")


def test_scrub_reports_what_it_removed(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leftover = workspace / "store" / "sealed" / "half.tmp"
    leftover.write_bytes(b"half")
    os.utime(leftover, (0, 0))
    assert command(workspace, "scrub", "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"removed": 1, "bytes": 4, "adopted": 0}
    assert not leftover.exists()
