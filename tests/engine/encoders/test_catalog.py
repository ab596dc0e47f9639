"""Every row of models.toml: read, complete, and known to the library that is to build it."""

from __future__ import annotations

from dataclasses import replace

import open_clip
import pytest
import timm
import torch
import torchvision

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import group_titles, load_catalog, load_models
from medvlm_tui.catalog.published import PAPER, load_published
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.engine.encoders.registry import FAMILIES, check_feature, encoder_key
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.errors import MissingInputError, UsageError

MODELS = load_models()
PRESENT = Weights("present", digest="abc")
ENTRY = """
[groups]
g = "G"
[normalisations]
n = { mean = [0.1, 0.2, 0.3], std = [1, 1, 1] }
[models.m]
name = "M"
group = "g"
family = "timm"
architecture = "resnet18"
source = "bring"
features = { pooled = 512, other = 7 }
preprocess = { size_px = 32, resize_px = 40, normalisation = "n" }
"""


@pytest.mark.parametrize("spec", MODELS.values(), ids=lambda spec: spec.id)
def test_a_row_is_complete(spec: ModelSpec):
    assert spec.family in FAMILIES
    assert spec.files or spec.source == "bring"
    assert spec.homepage.startswith("https://") or spec.source.startswith("shipped:")
    assert spec.licence
    assert spec.pretraining_data
    assert spec.backbone
    assert spec.counterpart in {"", *MODELS}
    assert spec.preprocess.size_px <= spec.preprocess.resize_px


@pytest.mark.parametrize("spec", MODELS.values(), ids=lambda spec: spec.id)
def test_its_library_knows_the_architecture(spec: ModelSpec):
    if spec.family == "open_clip":
        named = spec.architecture in open_clip.list_models()
        assert named or spec.options["vision"]["timm_model_name"] in timm.list_models()
    elif spec.family in ("timm", "efficientnet_lite"):
        assert spec.architecture in timm.list_models()
    elif spec.family == "torchvision":
        assert spec.architecture in torchvision.models.list_models()


@pytest.mark.parametrize("name", [n for n, s in MODELS.items() if s.family == "transformers"])
def test_a_transformers_row_builds_with_the_dimension_it_names(name: str):
    from medvlm_tui.engine.encoders.libraries import transformers_

    spec = MODELS[name]
    with torch.device("meta"):
        network = transformers_.build(spec.architecture, spec.options["config"])
    width = network.config.projection_dim if "Projection" in spec.architecture else network.config.hidden_size
    assert width == spec.dim()


@pytest.mark.parametrize("name", [n for n, s in MODELS.items() if s.family in ("open_clip", "timm")])
def test_an_open_clip_or_timm_row_builds_with_the_dimension_and_size_it_names(name: str):
    from medvlm_tui.engine.encoders.libraries import open_clip_, timm_

    spec = MODELS[name]
    size = spec.preprocess.size_px
    with torch.device("meta"):
        if spec.family == "timm":
            network = timm_.build(spec.architecture, dict(spec.options.get("arguments", {})))
        else:
            network = open_clip_.build_tower(open_clip_.model_config(spec, PRESENT), spec.dim())
        output = network.eval()(torch.zeros(1, 3, size, size))
    assert output.shape == (1, spec.dim())


def test_published_ids_are_rows_of_the_published_tables():
    rows = {cell.model for cell in load_published()}
    assert {spec.published for spec in MODELS.values()} - {""} <= rows


def test_dagger_and_star_are_those_that_the_paper_prints():
    datasets = load_datasets()
    marks = {(cell.model, cell.dataset): cell.mark for cell in load_published() if cell.source == PAPER}
    by_published = {spec.published: spec for spec in MODELS.values() if spec.published}
    compared = 0
    for (model, dataset), mark in marks.items():
        if (spec := by_published.get(model)) is not None:
            seen = "dagger" if datasets[dataset].modality in spec.modalities else ""
            assert ("star" if dataset in spec.trained_on else seen) == mark, (model, dataset)
            compared += 1
    assert compared == 21 * 8


VOLUME = (
    'volume = { size = [4, 5, 6], spacing_mm = [1, 1, 2.5], axes = "RAS", window_hu = [-1000, 1000], '
    'window_to = [0, 1], grid = "edges", clip = "after" }'
)


def test_an_entry_of_volumes(tmp_path):
    path = tmp_path / "models.toml"
    own = ENTRY.replace('preprocess = { size_px = 32, resize_px = 40, normalisation = "n" }', VOLUME)
    path.write_text(own)
    spec = load_catalog(path).models["m"]
    assert spec.input == "4 x 5 x 6 voxels"
    assert spec.volume.pad == 0.0
    for old, new in (('"RAS"', '"RAP"'), ('"edges"', '"corners"'), ("[4, 5, 6]", "[4, 5]"), (', clip = "after"', "")):
        path = tmp_path / f"{len(new)}{old[1]}.toml"
        path.write_text(own.replace(old, new))
        with pytest.raises(UsageError, match=r"models\.m\.volume"):
            load_catalog(path)
    path = tmp_path / "both.toml"
    path.write_text(ENTRY + VOLUME)
    with pytest.raises(UsageError, match="one of preprocess"):
        load_catalog(path)


@pytest.mark.parametrize("spec", MODELS.values(), ids=lambda spec: spec.id)
def test_a_row_says_how_it_is_proven_and_where_its_weights_are(spec: ModelSpec):
    assert "pack" in spec.proof or "library" in spec.proof
    if spec.published or spec.source == "bring":
        assert spec.pretraining_data
    if "_" in spec.id and spec.id.startswith(("llava", "clip_bigg", "dinov2_l", "siglip")):
        assert spec.assumption


def test_groups_have_titles():
    assert list(group_titles()) == ["medical", "modality_specific", "general", "synthetic"]


def test_an_entry_is_read_into_its_record(tmp_path):
    path = tmp_path / "models.toml"
    path.write_text(ENTRY)
    spec = load_catalog(path).models["m"]
    assert spec.preprocess.mean == (0.1, 0.2, 0.3)
    assert spec.default_feature == "pooled"
    assert spec.dim("other") == 7


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('group = "g"', 'group = "x"', "group 'x'"),
        ('family = "timm"', 'famly = "timm"', "famly"),
        ('source = "bring"', 'source = "ftp://x"', "source"),
        ("pooled = 512", 'pooled = "512"', "features"),
        ("size_px = 32", 'size_px = "32"', "whole numbers"),
        ('"n" }', '"m" }', "normalisation 'm'"),
        ('"n" }', '"n", resize = "stretch" }', "stretch"),
        ('"n" }', '"n", mean = [1, 2] }', "mean"),
        ('"n" }', '"n", sise = 3 }', "sise"),
        ('name = "M"', "name = 3", "name = 3"),
        ('name = "M"', "", "name is missing"),
        ("[models.m]", "[models.m", "cannot be read"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, old, new, message):
    path = tmp_path / "models.toml"
    path.write_text(ENTRY.replace(old, new))
    with pytest.raises(UsageError, match=message):
        load_catalog(path)


def test_names_that_nobody_knows():
    with pytest.raises(UsageError) as caught:
        resolve_model("clip_b1", MODELS)
    assert "clip_b16" in caught.value.hint
    assert "local:DIR" in caught.value.hint
    for name in ("open_clip:ViT-B-99/openai", "open_clip:ViT-B-32", "timm:resnet9999", "open_clip:ViT-B-32/openai"):
        with pytest.raises(UsageError):
            resolve_model(name, MODELS)
    with pytest.raises(MissingInputError):
        resolve_model("local:/nowhere/at/all", MODELS)


def test_prefixes_take_the_librarys_own_record():
    spec = resolve_model("timm:vit_small_patch14_dinov2.lvd142m", MODELS)
    assert (spec.dim(), spec.preprocess.size_px, spec.source) == (384, 518, "hub:timm/vit_small_patch14_dinov2.lvd142m")
    spec = resolve_model("open_clip:ViT-B-32/laion2b_s34b_b79k", MODELS)
    assert (spec.dim(), spec.source) == (512, "hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K")


def test_the_key_changes_with_everything_that_changes_the_numbers():
    spec = MODELS["vgg16"]
    keys = {
        encoder_key(spec, PRESENT, "", "fp32").digest,
        encoder_key(spec, replace(PRESENT, digest="abd"), "", "fp32").digest,
        encoder_key(spec, PRESENT, "pooled", "fp32").digest,
        encoder_key(spec, PRESENT, "", "bf16").digest,
        encoder_key(replace(spec, architecture="vgg16_bn"), PRESENT, "", "fp32").digest,
        encoder_key(replace(spec, options={"a": 1}), PRESENT, "", "fp32").digest,
        encoder_key(replace(spec, preprocess=replace(spec.preprocess, size_px=225)), PRESENT, "", "fp32").digest,
        encoder_key(spec, PRESENT, "", "fp32", "lung").digest,
        encoder_key(spec, PRESENT, "", "fp32", "40/400").digest,
    }
    assert len(keys) == 9
    assert encoder_key(spec, PRESENT, "", "fp32", "file") == encoder_key(spec, PRESENT, "", "fp32")
    assert encoder_key(spec, PRESENT, "", "fp32") == encoder_key(spec, PRESENT, "fc7", "fp32")
    with pytest.raises(UsageError, match="fc9"):
        check_feature(spec, "fc9")
