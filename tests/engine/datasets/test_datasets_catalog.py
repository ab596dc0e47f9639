"""The catalog of datasets: every table is read, and a wrong one is refused by name."""

import pytest

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.engine.datasets.opening import reader_of, view_classes
from medvlm_tui.errors import MedvlmError

MINIMAL = '[a]\nname = "A"\nmodality = "CT"\nreader = "class_folders"\n'


def test_every_table_can_be_opened_by_its_reader():
    for spec in load_datasets().values():
        assert callable(reader_of(spec).read), spec.id
        assert spec.licence
        assert spec.how_to_get
        assert spec.layout
        assert spec.root is None


def test_brain_mr_is_the_study_s_part():
    spec = load_datasets()["brain_mr"]
    assert spec.published_n == 2870
    assert list(spec.counts.values()) == [826, 822, 395, 827]
    assert spec.parts[0] == "training"
    assert set(spec.views["tumor"].values()) == {"tumor", "no_tumor"}


def test_synthetic_data_says_so():
    for spec in load_datasets().values():
        assert spec.synthetic == ("SYNTHETIC" in spec.name)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (MINIMAL + "rooot = 1\n", "rooot"),
        (MINIMAL.replace('"CT"', "7"), "modality"),
        (MINIMAL.replace('reader = "class_folders"\n', ""), "reader"),
        (MINIMAL + 'classes = "x"\n', "classes"),
        (MINIMAL + "published_n = true\n", "published_n"),
        (MINIMAL + "published_n = -1\n", "published_n"),
        (MINIMAL + "synthetic = 1\n", "synthetic"),
        (MINIMAL + 'classes = ["x", "x"]\n', "twice"),
        (MINIMAL + 'classes = ["x"]\npublished_n = 3\n[a.counts]\nx = 2\n', "sum to 2"),
        (MINIMAL + 'classes = ["x"]\npublished_n = 3\n[a.counts]\ny = 3\n', "'y'"),
        (MINIMAL + 'classes = ["x"]\n[a.views.v]\ny = "z"\n', "'y'"),
        (MINIMAL + 'parts = ["p", "q"]\n[a.part_counts.r]\n', "'r'"),
        (MINIMAL + 'parts = ["p", "q"]\nclasses = ["x"]\n[a.part_counts.q]\ny = 1\n', "'y'"),
        ("a = 3\n", "not a table"),
        ("[a\n", "cannot be read"),
    ],
)
def test_a_wrong_table_is_refused_by_name(tmp_path, text, named):
    path = tmp_path / "datasets.toml"
    path.write_text(text)
    with pytest.raises(MedvlmError, match=named):
        load_datasets(path)


def test_a_right_table_is_read(tmp_path):
    path = tmp_path / "datasets.toml"
    path.write_text(MINIMAL + 'classes = ["x", "y"]\npublished_n = 3\n[a.counts]\nx = 2\ny = 1\n')
    assert load_datasets(path)["a"].counts == {"x": 2, "y": 1}


def test_views_have_their_classes_in_the_catalog_s_order():
    catalog = load_datasets()
    assert view_classes(catalog["breakhis"]) == ("benign", "malignant")
    assert len(view_classes(catalog["breakhis"], "subtype")) == 8
    assert view_classes(catalog["hicervix"], "level_1") == ("negative", "ASC", "AGC", "microbe")
    assert view_classes(catalog["hicervix"], "microbe") == ("FUNGI", "ACTINO", "TRI", "HSV", "CC")
    assert view_classes(catalog["brain_mr"]) == catalog["brain_mr"].classes
