"""Images and texts to arrays by `medvlm_tui.load_model`."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

import medvlm_tui
from medvlm_tui.api import loaded_model
from medvlm_tui.errors import ImageError, MissingInputError, UsageError
from tests.made.models import save_clip

TEXTS = ["a photo of a glioma.", "a normal scan"]


@pytest.fixture
def lite0(here: Path) -> medvlm_tui.LoadedModel:
    return medvlm_tui.load_model("efficientnet_lite0", device="cpu")


def test_features_are_those_of_a_run_wherever_the_image_comes_from(lite0, here: Path, monkeypatch) -> None:
    with medvlm_tui.open_store("study") as store:
        stored = store.read("efficientnet_lite0", "phantom")
    root = next((here / "study").rglob(stored.ids[0])).as_posix().removesuffix(stored.ids[0])
    paths = [Path(root) / name for name in stored.ids[:5]]
    monkeypatch.setattr(loaded_model, "AT_ONCE", 2)
    assert np.allclose(lite0.encode_images(paths), stored.features[:5], rtol=1e-4, atol=1e-4)
    opened = [Image.open(path).convert("RGB") for path in paths]
    mixed = [str(paths[0]), opened[1], np.asarray(opened[2]), paths[3], opened[4]]
    assert np.array_equal(lite0.encode_images(mixed), lite0.encode_images(paths))
    assert lite0.encode_images([]).shape == (0, 1280)
    assert (lite0.dim, lite0.device, lite0.has_texts) == (1280, "cpu", False)
    assert "296" in lite0.load_report


def test_a_grey_array_is_its_rgb_image(lite0) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
    assert np.array_equal(*lite0.encode_images([grey, np.stack([grey] * 3, axis=-1)]))
    assert lite0.preprocess(grey).shape == (3, 224, 224)


def test_texts_and_cosines_are_open_clips_own(here: Path) -> None:
    theirs = save_clip(here / "my_clip")
    model = medvlm_tui.load_model("local:my_clip", device="cpu")
    images = [here / "images" / f"{number}.png" for number in range(2)]
    with torch.no_grad():
        texts = theirs.encode_text(open_clip.tokenize(TEXTS)).numpy()
        pixels = torch.stack([torch.from_numpy(model.preprocess(image)) for image in images])
        projected = theirs.encode_image(pixels).numpy()
    assert np.allclose(model.encode_texts(TEXTS), texts, atol=1e-5)
    assert np.allclose(model.project_images(images), projected, atol=1e-5)
    norms = np.outer(np.linalg.norm(projected, axis=1), np.linalg.norm(texts, axis=1))
    assert np.allclose(model.cosines(images, TEXTS), projected @ texts.T / norms, atol=1e-5)
    assert model.logit_scale == pytest.approx(theirs.logit_scale.detach().exp().item())
    assert model.logit_bias is None


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ("none.png", MissingInputError, r"none\.png is not a file"),
        (np.zeros((4, 4), np.float32), UsageError, "float32, 4 x 4"),
        (np.zeros((4, 4, 4), np.uint8), UsageError, "4 x 4 x 4"),
        (Image.new("I;16", (4, 4)), UsageError, "mode I;16"),
        (Image.new("RGBA", (4, 4)), UsageError, "mode RGBA"),
        (7, UsageError, "int is no image"),
        (Image.new("RGB", (0, 4)), ImageError, "without pixels"),
    ],
)
def test_an_image_that_would_have_to_be_guessed_is_refused(lite0, image, error, message) -> None:
    with pytest.raises(error, match=message):
        lite0.encode_images([image])


def test_wrong_arguments_are_named(lite0) -> None:
    with pytest.raises(UsageError, match="images are a list"):
        lite0.encode_images("images/0.png")
    with pytest.raises(UsageError, match="has no text"):
        lite0.encode_texts(TEXTS)
    with pytest.raises(UsageError, match="unknown model"):
        medvlm_tui.load_model("no_such_model")
    with pytest.raises(UsageError, match="no feature"):
        medvlm_tui.load_model("efficientnet_lite0", feature="cls")
    with pytest.raises(medvlm_tui.MedvlmError, match="weights"):
        medvlm_tui.load_model("uni", offline=True)
