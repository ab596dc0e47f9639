"""The built-in phantom: deterministic, atomic, with known masks and boxes, and words that follow the class as asked."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay
from medvlm_tui.engine.datasets.layouts import phantom as phantom_module
from medvlm_tui.engine.datasets.layouts.phantom import make_phantom
from medvlm_tui.engine.datasets.opening import open_dataset
from medvlm_tui.engine.datasets.phantom.drawing import draw
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.errors import DatasetError, UsageError

SPEC = load_datasets()["phantom"]
WORDS = {"BREAST", "AXILLA", "LEFT", "RIGHT"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_phantom(tmp_path_factory.mktemp("phantom") / "made", per_class=6)


def test_it_opens_as_a_dataset_with_masks_and_boxes(made):
    dataset = open_dataset(SPEC, made)
    assert dataset.classes == ("none", "smooth", "spiculated")
    assert Counter(s.label for s in dataset.samples) == dict.fromkeys(dataset.classes, 6)
    assert dataset.spec.synthetic
    for sample in dataset.samples:
        pixels = np.asarray(Image.open(sample.path))
        assert (sample.mask is None) == (sample.label == "none")
        assert len(WORDS & set(sample.boxes)) == 2
        if sample.mask is not None:
            mask = np.asarray(Image.open(sample.mask))
            assert mask.shape == pixels.shape
            assert set(np.unique(mask)) == {0, 255}
            assert 0.01 < (mask > 0).mean() < 0.15
    assert open_dataset(SPEC, made, view="lesion").classes == ("none", "lesion")


def test_words_are_where_the_boxes_say_and_never_on_the_lesion(made):
    for sample in open_dataset(SPEC, made).samples:
        pixels = np.asarray(Image.open(sample.path))
        mask = np.asarray(Image.open(sample.mask)) > 0 if sample.mask else np.zeros(pixels.shape, bool)
        for name, (left, top, right, bottom) in sample.boxes.items():
            inside = pixels[top:bottom, left:right]
            assert inside.size > 0
            assert inside.max() >= 230, name
            if name in WORDS:
                assert inside.min() <= 4, "written on a dark ground"
                assert not mask[top:bottom, left:right].any()


@pytest.mark.parametrize("model", ["efficientnet_lite0", "biomedclip", "clip_b16", "vgg16", "conch"])
def test_every_word_survives_the_encoders_resize_and_crop(made, model):
    """Also the smallest and the largest picture: the whole word, a pixel's rounding aside, lies in what is seen."""
    preprocess = load_models()[model].preprocess
    for sample in open_dataset(SPEC, made).samples:
        size = Image.open(sample.path).size
        view = view_of(preprocess, size)
        for name, box in sample.boxes.items():
            if name not in WORDS:
                continue
            left, top, right, bottom = view.box(box)
            assert right - left >= (box[2] - box[0]) * view.scale_x - 1, (name, box, size)
            assert bottom - top >= (box[3] - box[1]) * view.scale_y - 1, (name, box, size)


def test_the_corner_where_the_bias_lab_draws_is_free(made):
    for sample in open_dataset(SPEC, made).samples:
        image = Image.open(sample.path)
        left, top, right, bottom = draw_overlay(image, OverlaySpec("BREAST")).box
        for name, box in sample.boxes.items():
            apart = box[0] >= right or box[2] <= left or box[1] >= bottom or box[3] <= top
            assert apart or name not in WORDS


def test_files_say_that_they_are_synthetic(made):
    files = list(made.rglob("*.png"))
    assert len(files) == 18 + 12
    assert all("SYNTHETIC" in Image.open(path).text["Comment"] for path in files)
    assert json.loads((made / "phantom.json").read_text())["synthetic"] is True


def test_equal_parameters_give_equal_bytes(made, tmp_path):
    again = make_phantom(tmp_path / "again", per_class=6)
    files = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((made / name).read_bytes() == (again / name).read_bytes() for name in files)
    other = make_phantom(tmp_path / "other", per_class=2, seed=1)
    name = "smooth/smooth_0001.png"
    assert (made / name).read_bytes() != (other / name).read_bytes()


def test_an_image_does_not_depend_on_how_many_there_are(made, tmp_path):
    few = make_phantom(tmp_path / "few", per_class=2)
    name = "spiculated/spiculated_0002.png"
    assert (few / name).read_bytes() == (made / name).read_bytes()


def test_what_is_there_is_left_alone_or_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr(phantom_module, "_write", lambda *a: pytest.fail("written again"))
    assert make_phantom(made, per_class=6) == made
    with pytest.raises(DatasetError, match="something else"):
        make_phantom(made, per_class=7)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(DatasetError, match="something else"):
        make_phantom(tmp_path / "thesis", per_class=6)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"


def test_a_broken_run_leaves_nothing(tmp_path):
    seen = []

    def stops(done):
        seen.append(done)
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_phantom(tmp_path / "made", per_class=6, drawn=stops)
    assert seen == [1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == []


def test_parameters_out_of_range_are_refused(tmp_path):
    for wrong in ({"per_class": 1}, {"word_correlation": 1.5}, {"size": (10, 10)}):
        with pytest.raises(UsageError):
            make_phantom(tmp_path / "made", **wrong)


def test_a_damaged_manifest_is_named(made, tmp_path):
    (tmp_path / "phantom.json").write_text('{"boxes": {"a": {"b": [1]}}}')
    with pytest.raises(DatasetError, match="damaged"):
        open_dataset(replace(SPEC, root=tmp_path))


@pytest.mark.parametrize(("correlation", "share"), [(0.0, 0.25), (1.0, 1.0)])
def test_words_follow_the_class_as_asked(correlation, share):
    """At 0 the class's pair comes one time in four by chance, at 1 always."""
    params = phantom_module.PhantomParams(200, 0, correlation, 320, 240)
    pairs = Counter()
    for label, _, rng in phantom_module._draws(params):
        pairs[label, phantom_module._words(label, params, rng)] += 1
    for label, words in phantom_module._WORDS_OF_CLASS.items():
        assert pairs[label, words] / 200 == pytest.approx(share, abs=0.12 * (correlation < 1))


def test_a_spiculated_outline_is_longer_than_a_smooth_one():
    """Perimeter squared over area: 4 pi for a disk."""

    def roughness(kind, seed):
        mask = draw(kind, ("BREAST", "LEFT"), (320, 240), np.random.default_rng(seed)).lesion
        perimeter = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
        return perimeter**2 / mask.sum()

    smooth, spiculated = ([roughness(kind, seed) for seed in range(8)] for kind in ("smooth", "spiculated"))
    assert max(smooth) < min(spiculated)


def test_the_lesion_is_darker_than_its_surroundings():
    differences = []
    for seed in range(8):
        phantom = draw("smooth", ("BREAST", "LEFT"), (320, 240), np.random.default_rng(seed))
        rows = phantom.lesion.any(axis=1)
        beside = np.zeros_like(phantom.lesion)
        beside[rows] = (phantom.pixels[rows] > 4) & ~phantom.lesion[rows]
        differences.append(phantom.pixels[beside].mean() - phantom.pixels[phantom.lesion].mean())
    assert min(differences) > 20
