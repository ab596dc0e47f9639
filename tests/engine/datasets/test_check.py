"""The check as a step: stored, looked up, told to the survey; fingerprints kept; copies that only features show."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from medvlm_tui.core.events import ResultReady
from medvlm_tui.core.specs import DatasetSpec, EncoderKey, FeatureTable, Sample
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.datasets.check.findings import audit
from medvlm_tui.engine.datasets.likeness import fingerprints as fingerprints_module
from medvlm_tui.engine.datasets.likeness.feature_pairs import (
    MIN_COSINE,
    fullest_encoder,
    nearest_pairs,
    pairs_by_features,
)
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.datasets.splits.groups import CLUSTER, split_groups
from medvlm_tui.errors import Cancelled, UsageError
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages.request import RunRequest

OWN = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")
ENCODER = EncoderKey("stub", "w", "p", "pooled", "fp32", "1")


def picture(seed: int, px: int = 48) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 7), dtype=np.uint8)
    return Image.fromarray(coarse).resize((px, px), Image.Resampling.BICUBIC).convert("RGB")


@pytest.fixture
def folder(tmp_path):
    """40 pictures, an exact copy in the other class, and one file that is no picture."""
    for i in range(40):
        path = tmp_path / "set" / "ab"[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(path)
    picture(3).save(tmp_path / "set" / "a" / "copy_of_03.bmp")
    (tmp_path / "set" / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path / "set"


def ran(engine, request):
    told = []
    engine.run(request, "test", lambda: False, told.append)
    return [one.event for one in told]


def test_a_check_is_stored_looked_up_and_surveyed(folder, tmp_path):
    request = RunRequest(datasets=("own",), data={"own": str(folder)}, stages=("check",), device="cpu")
    engine = Engine(Workspace(tmp_path / "w"))
    try:
        (done,) = [e for e in ran(engine, request) if isinstance(e, ResultReady)]
        result = engine.store.result(done.key)
        (again,) = [e for e in ran(engine, request) if isinstance(e, ResultReady)]
        rows = {row.id: row for row in engine.survey(RunRequest(data=request.data)).datasets}
        other = engine.plan(RunRequest(datasets=("own",), data=request.data, stages=("check",), seed=1)).plan.steps[0]
    finally:
        engine.close()
    assert (done.cached, again.cached, again.key) == (False, True, done.key)
    assert done.summary == again.summary
    assert (done.summary["unreadable"], done.summary["exact"], done.summary["matches"]) == (1, 1, False)
    assert rows["own"].check == done.key
    assert rows["brain_mr"].check == ""
    assert other.key != done.key, "another split is another check"
    report = result.record["report"]
    assert report["dataset"] == "own"
    assert [row["label"] for row in report["splits"][0]["rows"]] == ["a", "b"]
    assert result.record["worst"][0]["images"] == ["a/copy_of_03.bmp", "b/03.png"]
    assert result.record["pictures"] == [[0, "a/copy_of_03.bmp"], [0, "b/03.png"]]
    pixels, (height, width) = result.arrays["pictures"][0], result.arrays["sizes"][0]
    np.testing.assert_array_equal(pixels[:height, :width], np.asarray(picture(3)))


def test_a_dataset_that_is_not_there_is_a_failed_check_beside_a_good_one(folder, tmp_path):
    request = RunRequest(datasets=("own", "brain_mr"), data={"own": str(folder)}, stages=("check",), device="cpu")
    engine = Engine(Workspace(tmp_path / "w"))
    try:
        steps = engine.plan(request).plan.steps
        with pytest.raises(UsageError):
            engine.plan(RunRequest(datasets=("own",), data=request.data, device="cpu"))  # other stages need a model
    finally:
        engine.close()
    assert [(step.id, bool(step.blocked)) for step in steps] == [("check:own", False), ("check:brain_mr", True)]


def test_what_was_read_once_is_kept(folder, tmp_path, monkeypatch):
    reads = []
    original = fingerprints_module.decoded
    monkeypatch.setattr(
        fingerprints_module, "decoded", lambda s, *a: (reads.extend(one.id for one in s), original(s, *a))[1]
    )
    monkeypatch.setattr(fingerprints_module, "_BLOCK", 16)
    dataset = open_dataset(OWN, folder)

    def stop_late(done, total):
        if done >= 32:
            raise Cancelled("cancelled")

    with Store(tmp_path / "store") as store:
        with pytest.raises(Cancelled):
            split_groups(dataset, store, progress=stop_late)
        assert len(reads) == 32
        groups = split_groups(dataset, store)
        assert len(reads) == 42, "only the last block"
        first = audit(OWN, folder, store=store)
        assert len(reads) == 42, "an audit of the same part reads nothing"
        path = folder / "a" / "00.png"
        picture(99).save(path)
        second = audit(OWN, folder, store=store)
        assert len(reads) == 42 + 16, "the block of a changed file is read again"
    assert groups.key == CLUSTER
    assert [name for name in groups.names if name] == ["same as a/copy_of_03.bmp"] * 2
    assert (first.unreadable, first.exact) == (second.unreadable, second.exact)
    assert "broken.png" in first.unreadable[0].reason


def test_own_groups_are_taken_as_they_are(tmp_path):
    for i in range(8):
        picture(0 if i < 2 else i).save(tmp_path / f"{i}.png")
    rows = "".join(f"{i}.png,{'ab'[i % 2]},p{i // 2}\n" for i in range(8))
    (tmp_path / "list.csv").write_text("path,label,group\n" + rows)
    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="csv_list", group_key="patient")
    groups = split_groups(open_dataset(spec, tmp_path / "list.csv"))
    assert groups.key == "patient"
    assert groups.names == ("p0", "p0", "p1", "p1", "p2", "p2", "p3", "p3")


def test_nearest_pairs_are_mutual_and_pass_over_the_known():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(50, 64)).astype(np.float32) + 100
    matrix = np.concatenate([base, base[:3] + rng.normal(0, 0.02, (3, 64)).astype(np.float32)])
    found = nearest_pairs(matrix)
    assert {(i, j) for i, j, _ in found} == {(0, 50), (1, 51), (2, 52)}
    assert all(cosine >= MIN_COSINE for *_, cosine in found)
    assert {(i, j) for i, j, _ in nearest_pairs(matrix, apart=[(51, 1)])} == {(0, 50), (2, 52)}
    assert nearest_pairs(np.ones((4, 3), np.float32)) == []


def test_a_flipped_copy_is_found_by_the_features_in_the_store(folder, tmp_path):
    ImageOps.mirror(picture(5)).save(folder / "a" / "flip_of_05.png")
    dataset = open_dataset(OWN, folder)
    rng = np.random.default_rng(1)
    features = {s.id: rng.normal(size=32).astype(np.float32) for s in dataset.samples}
    features["a/flip_of_05.png"] = features["b/05.png"] + np.float32(0.01)
    with Store(tmp_path / "store") as store:
        assert fullest_encoder(store, dataset.samples) is None
        assert audit(OWN, folder, store=store).features_of == ""
        ids = tuple(features)
        matrix = np.stack(list(features.values()))
        untold = replace(ENCODER, model="local:untrained")
        store.put_block(untold, [s.digest for s in dataset.samples], matrix)
        store.seal("u", FeatureTable(untold, dataset.digest, ids, ("a",) * len(ids), ("",) * len(ids), matrix))
        assert fullest_encoder(store, dataset.samples) is None
        assert audit(OWN, folder, store=store).similar == ()
        store.put_block(ENCODER, [s.digest for s in dataset.samples], matrix)
        store.seal("t", FeatureTable(ENCODER, dataset.digest, ids, ("a",) * len(ids), ("",) * len(ids), matrix))
        assert fullest_encoder(store, dataset.samples) == ENCODER
        report = audit(OWN, folder, store=store)
        strangers = [Sample(f"{i}", folder, "", digest=f"d{i}") for i in range(9)]
        assert fullest_encoder(store, strangers) is None
        assert pairs_by_features(strangers, store, ENCODER).pairs == ()
    assert report.features_of == "stub"
    (found,) = report.similar
    assert (found.images, found.labels, found.kind) == (("a/flip_of_05.png", "b/05.png"), ("a", "b"), "features")
    assert report.near == ()
    assert report.worst[-1] == found
