"""The audit: planted copies are found, different pictures are not, and what the real sets are known for shows up."""

import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.check.findings import audit
from medvlm_tui.engine.datasets.likeness.duplicates import clusters
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.datasets.splits.by_group import split_by_group
from medvlm_tui.engine.datasets.splits.groups import CLUSTER, split_groups
from medvlm_tui.errors import Cancelled
from medvlm_tui.stages.params.probe import SplitParams
from tests.made.shared import DATA

CATALOG = load_datasets()
OWN = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")


def picture(seed: int, px: int = 160) -> Image.Image:
    """A smooth random picture with some texture, as different from others as photographs are."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)).resize((px, px), Image.Resampling.BICUBIC)
    noise = rng.normal(0, 6, (px, px))
    return Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)).convert("RGB")


def put(root: Path, name: str, image: Image.Image, **options) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


@pytest.fixture
def planted(tmp_path):
    for i in range(40):
        put(tmp_path, f"{'train' if i < 30 else 'test'}/{'ab'[i % 2]}/{i:02d}.png", picture(i))
    put(tmp_path, "test/a/copy_of_00.bmp", picture(0))
    put(tmp_path, "train/b/conflict_with_02.png", picture(2))
    put(tmp_path, "test/a/jpeg_of_04.jpg", picture(4), quality=40)
    put(tmp_path, "train/a/small_of_06.png", picture(6).resize((100, 100)))
    put(tmp_path, "train/b/bright_of_09.png", Image.eval(picture(9), lambda v: min(255, v + 12)))
    (tmp_path / "train/a/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    return tmp_path


def test_planted_copies_are_found_and_nothing_else(planted):
    report = audit(OWN, planted)
    assert {frozenset(s.images) for s in report.exact} == {
        frozenset({"train/a/00.png", "test/a/copy_of_00.bmp"}),
        frozenset({"train/a/02.png", "train/b/conflict_with_02.png"}),
    }
    assert {frozenset(s.images) for s in report.near} == {
        frozenset({"train/a/04.png", "test/a/jpeg_of_04.jpg"}),
        frozenset({"train/a/06.png", "train/a/small_of_06.png"}),
        frozenset({"train/b/09.png", "train/b/bright_of_09.png"}),
    }
    assert all(0.98 <= s.correlation <= 1 for s in report.near)
    assert [s.images[-1] for s in report.conflicts] == ["train/b/conflict_with_02.png"]
    assert {s.images[0] for s in report.crossing} == {"test/a/copy_of_00.bmp", "test/a/jpeg_of_04.jpg"}
    assert [(u.image, "broken.png" in u.reason) for u in report.unreadable] == [("train/a/broken.png", True)]
    assert not report.matches
    assert {(c.part, c.label): c.images for c in report.counts}["train", "a"] == 17
    json.dumps(report.to_record(), allow_nan=False)


def test_a_clean_set_matches(tmp_path):
    for i in range(12):
        put(tmp_path, f"{'ab'[i % 2]}/{i}.png", picture(100 + i))
    report = audit(OWN, tmp_path)
    assert report.matches
    assert report.exact == report.near == report.unreadable == report.group_leaks == ()


def test_flat_pictures_are_only_exact_duplicates(tmp_path):
    for i in range(6):
        put(tmp_path, f"{'ab'[i % 2]}/{i}.png", Image.new("RGB", (40, 40), (i // 2, 0, 0)))
    report = audit(OWN, tmp_path)
    assert len(report.exact) == 3
    assert report.near == ()


def test_groups_in_two_parts_leak(tmp_path):
    rows = ["path,label,group,split"]
    for i in range(8):
        put(tmp_path, f"{i}.png", picture(i, 64))
        rows.append(f"{i}.png,{'ab'[i % 2]},p{i // 4 if i != 7 else 0},{'train' if i < 4 else 'test'}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="csv_list")
    (leak,) = audit(spec, tmp_path / "list.csv").group_leaks
    assert (leak.group, leak.parts, leak.images) == ("p0", ("test", "train"), 5)


def test_progress_is_told_and_may_stop(tmp_path):
    for i in range(70):
        put(tmp_path, f"{'ab'[i % 2]}/{i}.png", picture(i, 16))
    seen = []
    audit(OWN, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(64, 70), (70, 70)]

    def stop(done, total):
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        audit(OWN, tmp_path, progress=stop)


def test_duplicates_become_groups_for_the_split(tmp_path):
    for i in range(60):
        put(tmp_path, f"{'ab'[i % 2]}/{i:02d}.png", picture(i, 64))
    for i in range(10):
        put(tmp_path, f"{'ab'[i % 2]}/{i:02d}_again.png", picture(i, 64))
    dataset = open_dataset(OWN, tmp_path)
    samples, found = dataset.samples, split_groups(dataset)
    groups = found.names
    assert found.key == CLUSTER
    assert found.of([samples[3].id, samples[0].id]) == (groups[3], groups[0])
    assert sum(1 for g in groups if g) == 20
    assert len({g for g in groups if g}) == 10
    drawn = split_by_group([s.label for s in samples], groups, SplitParams())
    side = {s.id: fold for s, fold in zip(samples, drawn.fold, strict=True)}
    for i in range(10):
        name = f"{'ab'[i % 2]}/{i:02d}"
        assert side[f"{name}.png"] == side[f"{name}_again.png"]


def test_clusters_are_connected_sets():
    assert clusters(7, [(0, 3), (3, 5), (2, 1)]) == [[0, 3, 5], [1, 2]]
    assert clusters(3, []) == []


def test_real_brain_mr_twins_are_found():
    root = DATA / "brain_mri"
    if not root.is_dir():
        pytest.skip(f"no real images at {root} (MEDVLM_TEST_DATA)")
    spec = CATALOG["brain_mr"]
    by_bytes = defaultdict(set)
    for path in root.rglob("*.jpg"):
        by_bytes[path.read_bytes()].add(path.relative_to(root).as_posix())
    twins = [names for names in by_bytes.values() if len({name.split("/")[0] for name in names}) == 2]
    assert len(twins) == 15
    report = audit(spec, root)
    crossing = [set(found.images) for found in report.crossing if found.kind == "exact"]
    assert all(any(names <= found for found in crossing) for names in twins)
    assert len(crossing) == 25, "ten more pairs have equal pixels in different files"
    assert report.images == 700
    assert report.conflicts == ()
    assert not report.matches
    assert "600 images found" in report.differences[0]


def test_a_busi_twin_across_classes_is_a_conflict(tmp_path):
    """In the whole set `malignant (145)` equals `benign (433)`."""
    root = DATA / "busi"
    if not root.is_dir():
        pytest.skip(f"no real images at {root} (MEDVLM_TEST_DATA)")
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    base = tmp_path / "Dataset_BUSI_with_GT"
    original = sorted((base / "malignant").glob("malignant (*).png"))[0]
    copied = base / "benign" / "benign (433).png"
    copied.write_bytes(original.read_bytes())
    (conflict,) = audit(CATALOG["breast_us"], tmp_path).conflicts
    assert set(conflict.images) == {"benign/benign (433).png", f"malignant/{original.name}"}
    assert conflict.kind == "exact"
