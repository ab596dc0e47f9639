"""Every switch of an image processor, held to the pixels of transformers' own processors, or refused by name."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from transformers import AutoImageProcessor

from medvlm_tui.engine.encoders.resolve.image_processors import CLASSES, processing, stored_processor
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.errors import UsageError, WeightsError

LIBRARY = {
    "CLIP": transformers.CLIPImageProcessorPil,
    "Siglip": transformers.SiglipImageProcessorPil,
    "Bit": transformers.BitImageProcessorPil,
    "ViT": transformers.ViTImageProcessorPil,
    "DeiT": transformers.DeiTImageProcessorPil,
}
KIND = {"CLIP": "clip", "Siglip": "siglip", "Bit": "dinov2", "ViT": "clip", "DeiT": "clip"}
# Values of each field; None leaves it out, so that the class's own holds.
FIELDS = {
    "do_resize": (None, True, False),
    "size": (None, {"shortest_edge": 30}, {"height": 26, "width": 26}, 28, {"height": 20, "width": 30},
             {"shortest_edge": 20, "longest_edge": 40}, {"max_height": 30, "max_width": 30}),
    "resample": (None, 0, 1, 2, 3, 4, 5),
    "do_center_crop": (None, True, False),
    "crop_size": (None, 24, {"height": 25, "width": 25}, {"height": 40, "width": 40}, {"height": 20, "width": 30}),
    "do_rescale": (None, True, False),
    "rescale_factor": (None, 1 / 127.5, 1.0),
    "do_normalize": (None, True, False),
    "image_mean": (None, [0.1, 0.2, 0.3], 0.5),
    "image_std": (None, [0.3, 0.2, 0.25], 0.5),
    "do_convert_rgb": (None, True, False),
    "do_pad": (None, False, True),
}  # fmt: skip
SPATIAL = ("do_resize", "size", "do_center_crop", "crop_size")
VALUES = ("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in ((37, 52), (33, 33))]


def ours(fields, name, folder):
    (folder / "preprocessor_config.json").write_text(
        json.dumps({**fields, "image_processor_type": f"{name}ImageProcessor"})
    )
    return processing(KIND[name], stored_processor(folder), 224)


def held_to_the_library(fields, name, folder, pictures):
    """Compare the pixels of both, or expect a refusal; returns whether pixels were compared."""
    refusal = ""
    try:
        found = ours(fields, name, folder)
    except (UsageError, WeightsError) as error:
        refusal = error.message
    if refusal:
        assert any(word in refusal for word in ("size", "do_pad", "square", "crop", "interpolation")), refusal
        return False
    theirs = LIBRARY[name](**fields)
    compared = 0
    for picture in pictures:
        expected = torch.as_tensor(theirs(picture, return_tensors="np")["pixel_values"][0].astype(np.float64))
        pixels = Preprocess(found.preprocess)(picture).double()
        if expected.shape[-1] != expected.shape[-2]:
            assert "cropped in the centre" in found.assumption  # the library's own network would refuse this input
            continue
        assert pixels.shape == expected.shape, fields
        assert torch.allclose(pixels, expected, rtol=2e-6, atol=2e-6), fields
        compared += 1
    return compared > 0


def combinations(names):
    for values in itertools.product(*(FIELDS[name] for name in names)):
        yield {name: value for name, value in zip(names, values, strict=True) if value is not None}


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    "switches", [SPATIAL, VALUES, ("resample", "do_convert_rgb", "do_pad")], ids=["space", "values", "rest"]
)
def test_all_combinations_give_the_librarys_pixels_or_are_refused(tmp_path, pictures, name, switches):
    fixed = {} if switches is SPATIAL else {"size": {"height": 26, "width": 26}, "crop_size": 24}
    outcomes = [held_to_the_library({**fixed, **fields}, name, tmp_path, pictures) for fields in combinations(switches)]
    assert outcomes.count(True) > len(outcomes) // 8


def saved(folder, name, fields):
    (folder / name).write_text(json.dumps(fields))


def test_transformers_5_keeps_the_processor_below_a_key_and_the_library_looks_there_first(tmp_path, pictures):
    legacy = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 20}, "crop_size": 20}
    nested = {
        **legacy,
        "size": {"shortest_edge": 26},
        "crop_size": 26,
        "image_mean": [0.5] * 3,
        "image_std": [0.25] * 3,
    }
    saved(tmp_path, "config.json", {"model_type": "clip"})
    for files in ({"processor_config.json": {"image_processor": nested}}, {"preprocessor_config.json": legacy}):
        for name, fields in files.items():
            saved(tmp_path, name, fields)
        theirs = AutoImageProcessor.from_pretrained(tmp_path, use_fast=False, backend="pil")
        found = processing("clip", stored_processor(tmp_path), 224)
        assert found.preprocess.size_px == theirs.size["shortest_edge"] == 26
        expected = torch.as_tensor(theirs(pictures[0], return_tensors="np")["pixel_values"][0])
        assert torch.allclose(Preprocess(found.preprocess)(pictures[0]), expected, atol=2e-6)


def test_a_processor_file_of_older_releases_without_the_key_does_not_hide_the_other(tmp_path):
    saved(tmp_path, "processor_config.json", {"processor_class": "CLIPProcessor"})
    saved(tmp_path, "preprocessor_config.json", {"size": {"shortest_edge": 20}, "crop_size": 20})
    assert processing("clip", stored_processor(tmp_path), 224).preprocess.size_px == 20


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2"])
def test_what_is_assumed_is_said(tmp_path, kind):
    assert "assumed" in processing(kind, stored_processor(tmp_path), 224).assumption
    saved(tmp_path, "preprocessor_config.json", {"image_processor_type": "CLIPImageProcessor"})
    assert not processing(kind, stored_processor(tmp_path), 224).assumption


@pytest.mark.parametrize(
    "fields",
    [
        {"size": "big"}, {"size": [1, 2]}, {"size": {"shortest_edge": -3}}, {"size": {"shortest_edge": 1e9}},
        {"crop_size": True}, {"image_mean": "abc"}, {"image_mean": [1, 2]}, {"image_std": 0},
        {"image_std": [1, 1, float("nan")]}, {"do_resize": "yes"}, {"rescale_factor": 0}, {"resample": 9},
        {"resample": "cubic"}, {"do_flip_channel_order": True}, {"size": {}},
    ],
)  # fmt: skip
def test_fields_that_make_no_sense_are_named(tmp_path, fields):
    saved(tmp_path, "preprocessor_config.json", fields)
    with pytest.raises((UsageError, WeightsError)) as caught:
        processing("clip", stored_processor(tmp_path), 224)
    named = {"resample": "interpolation", "size": "s"}.get(next(iter(fields)), next(iter(fields)))
    assert named in caught.value.message
    assert "preprocessor_config.json" in caught.value.message
