"""Opening datasets: layouts at any depth, views, parts, limits, counts against the catalog, clear refusals."""

from dataclasses import replace
from pathlib import Path

import pytest

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.core.digests import FileDigests, of_file
from medvlm_tui.core.specs import DatasetSpec
from medvlm_tui.engine.datasets.opening import open_dataset, open_every_part, part_differences
from medvlm_tui.errors import DatasetError, MissingInputError, UsageError
from tests.made.shared import DATA

BRAIN_MR = load_datasets()["brain_mr"]
OWN = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders")


def tree(root: Path, *names: str) -> Path:
    """Write files with distinct contents; opening a dataset hashes files and does not decode them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def brain_tree(root: Path, n: int = 3) -> Path:
    names = [f"Training/{c}/image ({i}).jpg" for c in BRAIN_MR.classes for i in range(n)]
    return tree(root, *names, *(f"Testing/{c}/image ({i}).jpg" for c in BRAIN_MR.classes for i in range(2)))


@pytest.fixture
def real_brain():
    root = DATA / "brain_mri"
    if not root.is_dir():
        pytest.skip(f"no real images at {root} (MEDVLM_TEST_DATA)")
    return root


@pytest.mark.parametrize("nested", ["", "archive", "archive/archive/data"])
def test_brain_mr_is_found_at_any_depth_with_the_same_ids(tmp_path, nested):
    brain_tree(tmp_path / nested)
    dataset = open_dataset(BRAIN_MR, tmp_path)
    assert len(dataset.samples) == 12
    assert dataset.samples[0].id == "Training/glioma_tumor/image (0).jpg"
    assert dataset.classes == BRAIN_MR.classes
    assert {s.part for s in dataset.samples} == {"training"}


def test_parts_do_not_mix(tmp_path):
    brain_tree(tmp_path)
    ids = {part: {s.id for s in open_dataset(BRAIN_MR, tmp_path, part=part).samples} for part in BRAIN_MR.parts}
    assert len(ids["training"]) == 12
    assert len(ids["testing"]) == 8
    assert ids["training"] | ids["testing"] == ids["all"]
    assert all(name.startswith("Testing/") for name in ids["testing"])


def test_samples_are_sorted_by_code_point_and_digested(tmp_path):
    tree(tmp_path, "b/Z.png", "b/a.png", "a/ä.png", "a/z.png")
    dataset = open_dataset(OWN, tmp_path)
    assert [s.id for s in dataset.samples] == ["a/z.png", "a/ä.png", "b/Z.png", "b/a.png"]
    assert all(s.digest == of_file(s.path) for s in dataset.samples)


def test_the_digest_does_not_depend_on_where_the_folder_lies(tmp_path):
    brain_tree(tmp_path / "one")
    brain_tree(tmp_path / "two" / "nested")
    one, two = (open_dataset(BRAIN_MR, tmp_path / name) for name in ("one", "two"))
    assert one.digest == two.digest
    (tmp_path / "one/Training/no_tumor/image (0).jpg").write_bytes(b"changed")
    assert open_dataset(BRAIN_MR, tmp_path / "one").digest != two.digest


def test_the_two_class_view(tmp_path):
    brain_tree(tmp_path)
    dataset = open_dataset(BRAIN_MR, tmp_path, view="tumor")
    assert dataset.classes == ("tumor", "no_tumor")
    assert sum(s.label == "tumor" for s in dataset.samples) == 9
    assert open_dataset(BRAIN_MR, tmp_path, view="default").view == ""


def test_counts_are_compared_with_the_catalog(tmp_path):
    brain_tree(tmp_path)
    (warning,) = open_dataset(BRAIN_MR, tmp_path).warnings
    assert warning.startswith("brain_mr: 12 images found, the catalog says 2,870 (glioma_tumor 3 of 826, ")
    with pytest.raises(DatasetError, match="12 images found"):
        open_dataset(BRAIN_MR, tmp_path, strict=True)
    counts = dict.fromkeys(BRAIN_MR.classes, 3)
    assert open_dataset(replace(BRAIN_MR, counts=counts, published_n=12), tmp_path, strict=True).warnings == ()
    assert open_dataset(BRAIN_MR, tmp_path, part="testing").warnings == ()


def test_other_parts_are_compared_where_they_are_there(tmp_path):
    brain_tree(tmp_path)
    samples = open_every_part(BRAIN_MR, tmp_path).samples
    (sentence,) = part_differences(BRAIN_MR, samples)
    assert sentence.startswith("brain_mr testing: 8 images found, the catalog says 394 (glioma_tumor 2 of 100, ")
    assert part_differences(BRAIN_MR, [s for s in samples if s.part == "training"]) == ()
    two = {"testing": dict.fromkeys(BRAIN_MR.classes, 2)}
    assert part_differences(replace(BRAIN_MR, part_counts=two), samples) == ()


def test_a_right_total_with_wrong_classes_is_noticed(tmp_path):
    brain_tree(tmp_path)
    counts = dict(zip(BRAIN_MR.classes, (2, 4, 3, 3), strict=True))
    (warning,) = open_dataset(replace(BRAIN_MR, counts=counts, published_n=12), tmp_path).warnings
    assert "glioma_tumor 3 of 2, meningioma_tumor 3 of 4)" in warning


def test_limit_is_stable_spread_and_said(tmp_path):
    tree(tmp_path, *(f"{c}/{i:03d}.png" for c in "ab" for i in range(100)))
    dataset = open_dataset(OWN, tmp_path, limit=10)
    ids = [s.id for s in dataset.samples]
    assert len(ids) == 20
    assert ids == [s.id for s in open_dataset(OWN, tmp_path, limit=10).samples]
    assert max(int(name[2:5]) for name in ids) > 50, "the first ten by name are not a fair look"
    assert dataset.warnings == ("own: limited to 10 images per class",)
    larger = {s.id for s in open_dataset(OWN, tmp_path, limit=20).samples}
    assert set(ids) < larger


def test_a_known_file_is_not_hashed_again(tmp_path, monkeypatch):
    brain_tree(tmp_path)
    known = FileDigests()
    first = open_dataset(BRAIN_MR, tmp_path, digests=known)
    monkeypatch.setattr("medvlm_tui.core.digests.of_file", lambda path: pytest.fail(f"hashed {path} again"))
    assert open_dataset(BRAIN_MR, tmp_path, digests=known).digest == first.digest


def test_missing_roots_say_how_to_get_the_data(tmp_path):
    for root in (None, tmp_path / "nowhere"):
        with pytest.raises(MissingInputError) as caught:
            open_dataset(BRAIN_MR, root)
        assert "--data brain_mr=DIR" in caught.value.hint
        assert "kaggle.com" in caught.value.hint


@pytest.mark.parametrize("spec", [BRAIN_MR, OWN, load_datasets()["phantom"]], ids=lambda s: s.reader)
def test_folders_without_images_are_refused(tmp_path, spec):
    with pytest.raises(DatasetError) as caught:
        open_dataset(spec, tmp_path)
    assert caught.value.hint
    tree(tmp_path, "a/notes.txt", "a/.hidden.png", "b/readme.md")
    with pytest.raises(DatasetError):
        open_dataset(spec, tmp_path)


def test_a_class_of_one_image_is_named(tmp_path):
    tree(tmp_path, "many/1.png", "many/2.png", "few/1.png")
    with pytest.raises(DatasetError, match="class few has 1 image"):
        open_dataset(OWN, tmp_path)


def test_unknown_views_and_parts_are_refused_with_the_known_ones(tmp_path):
    brain_tree(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_dataset(BRAIN_MR, tmp_path, view="tumour")
    assert "tumor" in caught.value.hint
    with pytest.raises(UsageError):
        open_dataset(BRAIN_MR, tmp_path, part="train")
    with pytest.raises(UsageError):
        open_dataset(OWN, tree(tmp_path / "own", "a/1.png", "a/2.png", "b/1.png", "b/2.png"), part="train")


def test_an_unreadable_file_costs_itself_and_is_said(tmp_path):
    tree(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(3)))

    class Failing(FileDigests):
        def of(self, path):
            if path.name == "1.png" and path.parent.name == "a":
                raise PermissionError(13, "Permission denied")
            return super().of(path)

    dataset = open_dataset(OWN, tmp_path, digests=Failing())
    assert len(dataset.samples) == 6
    assert [s.id for s in dataset.samples if s.digest.startswith("unreadable-")] == ["a/1.png"]
    assert len({s.digest for s in dataset.samples}) == 6
    assert dataset.warnings == ("own: 1 of 6 files cannot be read, the first is a/1.png",)


def test_real_brain_mr(real_brain):
    training = open_dataset(BRAIN_MR, real_brain)
    testing = open_dataset(BRAIN_MR, real_brain, part="testing")
    assert len(training.samples) == 600
    assert len(testing.samples) == 100
    assert {c: sum(s.label == c for s in training.samples) for c in training.classes} == dict.fromkeys(
        BRAIN_MR.classes, 150
    )
    assert "600 images found, the catalog says 2,870" in training.warnings[0]
    assert all(s.id.startswith("Training/") for s in training.samples)
    assert all(s.id.startswith("Testing/") for s in testing.samples)
    twins = {s.digest for s in training.samples} & {s.digest for s in testing.samples}
    assert twins, "the published set has byte-identical files in both parts; the reader must not hide them"
