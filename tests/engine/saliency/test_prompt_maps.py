"""Maps of a prompt: the similarity of masked images and a text, through the front door."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from medvlm_tui.cli import main
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.saliency.masks import MaskStream
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.saliency import SALIENCY
from tests.made.language import coloured, saved_clip
from tests.made.models import local

TEXT = "a red, bright lesion"


def test_the_entries_of_the_option_are_classes_and_prompts():
    params = SaliencyParams(explain=("red", f"prompt:{TEXT}", "prompt:red", "prompt:red", "prompt:"))
    assert params.classes == ("red",)
    assert params.prompts == (TEXT, "red")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A run that explains a prompt for a model with a text tower and for one without."""
    folder = tmp_path_factory.mktemp("prompt")
    coloured(folder / "made", each=8)
    model = saved_clip(folder / "clip")
    line = ["--batch", "--models", f"local:{folder / 'clip'},efficientnet_lite0", "--datasets", "made"]
    line += ["--data", f"made={folder / 'made'}", "--stages", "saliency,report", "--rise-masks", "64"]
    line += ["--rise-explain", f'"prompt:{TEXT}"', "--workspace", str(folder / "workspace")]
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main([*line, "--out", str(folder / "out"), "--device", "cpu", "--precision", "fp32", "--offline"])
    return folder, model, code, said.getvalue()


def test_a_model_without_text_is_refused_by_name_in_the_plan(study):
    _, _, code, said = study
    assert code != 0
    assert "efficientnet_lite0 has no text tower that shares a space with its images: it has no map of a prompt" in said


def test_the_map_is_that_of_the_cosines_of_masked_images_with_the_text(study):
    folder, model, _, _ = study
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    (key,) = [s["key"] for s in manifest["plan"]["steps"] if s["kind"] == "saliency" and s["key"]]
    with Store(Workspace(folder / "workspace").store, read_only=True) as store:
        record, arrays = store.read_record(key, SALIENCY.record), store.result(key).arrays
    item, encoder = record.items[0], local(folder / "clip")
    assert item.explained_classes == (item.predicted, f"prompt:{TEXT}")
    pixels = encoder.preprocess(Image.open(folder / "made" / item.image).convert("RGB"))
    masks = MaskStream(7, 0.5, 0, 32, 32, False).masks(0, 64, "cpu")
    with torch.no_grad():
        text = model.encode_text(open_clip.tokenize([TEXT]), normalize=True)[0]
        plain = model.encode_image(pixels[None], normalize=True)[0] @ text
        cosines = model.encode_image(pixels * masks[:, None], normalize=True) @ text
    assert item.similarities[TEXT] == pytest.approx(float(plain), abs=1e-5)
    assert np.allclose(arrays["scores"][0, :, 3], cosines.numpy(), atol=1e-5)
    expected = (cosines[:, None, None] * masks).mean(dim=0) / 0.5
    assert np.allclose(arrays["class_maps"][0, 1], expected.numpy(), atol=1e-5)
    assert item.quality.insertion is not None  # of the classifier's map, which stays the first one


def test_the_pictures_lie_beside_those_of_the_classifier(study):
    folder, _, _, _ = study
    pictures = [path.name for path in (folder / "out" / "figures").glob("rise_local*.png")]
    of_prompt = [name for name in pictures if "lesion" in name]
    assert len(of_prompt) == 3
    assert len(list((folder / "out" / "saliency").glob("*lesion*.npy"))) == 3
    with Image.open(folder / "out" / "figures" / of_prompt[0]) as picture:
        assert TEXT in " ".join(map(str, picture.info.values()))
    assert f"cosine with “{TEXT}”" in (folder / "out" / "report.html").read_text()
