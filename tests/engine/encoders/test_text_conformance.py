"""What each official text side returns on fabricated weights: ids first, then vectors, scale and zero-shot logits.

About ten minutes: each pack's weights are made in a temporary folder, the text part alone, and deleted.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medvlm_tui.catalog.models import load_models
from medvlm_tui.cli import main
from medvlm_tui.core.digests import FileDigests
from medvlm_tui.engine.encoders.text.loading import load_text_encoder, locate_text
from tests.engine.encoders.test_conformance import fabricator, worst
from tests.made.shared import CONFORMANCE as ROOT

PACKS = sorted(path.parent.name for path in ROOT.glob("text_*/texts.json"))
MODELS = {"text_mammo_clip": "mammo_clip_b2"}
# Where the manifest does not name the text part of the file.
PREFIXES = {
    "text_siglip": ("text_model.", "logit"),
    "text_conceptclip": ("text", "logit", "concept"),
    "text_conch": ("text.", "logit"),
    "text_unimedclip_l14": ("module.text", "module.logit"),
    "text_dermlip_panderm": ("text.", "logit"),
    "text_make": ("positional", "text_proj", "token_emb", "ln_final", "transformer", "logit"),
}
_SCALE = 1e-5

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PACKS, reason=f"no conformance packs in {ROOT}"),
    pytest.mark.timeout(900),
]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


class Pack:
    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.manifest = json.loads((ROOT / name / "manifest.json").read_text())
        self.expected = dict(np.load(ROOT / name / "expected.npz"))
        self.texts = json.loads((ROOT / name / "texts.json").read_text())
        only = PREFIXES.get(name) or tuple(self.manifest["text_prefixes"])
        fabricator().write_checkpoint(ROOT / name, folder, only)
        self.model = MODELS.get(name, name.removeprefix("text_"))
        self.spec = load_models()[self.model]
        file = self.manifest["checkpoint"]["file"]
        self.weights = folder if file in self.spec.files else folder / file
        if "openai_token_rows" in self.expected:
            rows = torch.zeros(49408, 512)
            rows[[0, 49406, 49407, 269]] = torch.from_numpy(self.expected["openai_token_rows"])
            save_file({"token_embedding.weight": rows}, folder / "open_clip_model.safetensors")
        self.encoder = load_text_encoder(locate_text(self.spec, str(self.weights), "", FileDigests()), "cpu", "fp32")

    @property
    def sentences(self):
        return self.texts["texts"] or self.texts["class_names"]

    def encoded(self, texts):
        return self.encoder.encode_texts(texts).numpy()

    def classes(self, templates, names):
        """The mean over the templates of unit vectors, at unit length again, of each name."""
        return np.stack(
            [unit(unit(self.encoded([fill(template, name) for template in templates])).mean(axis=0)) for name in names]
        )


def fill(template, name):
    return template.replace("CLASSNAME", name).replace("{c}", name).replace("{}", name)


@pytest.fixture(params=PACKS)
def pack(request, tmp_path):
    yield Pack(request.param, tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_ids_vectors_scale_and_logits(pack):
    tolerance, expected = pack.manifest["tolerance"]["text_features_max_abs"], pack.expected
    tokens = pack.encoder.tokens(pack.sentences)
    if "token_ids" in expected:
        equal_ids(tokens.ids, expected["token_ids"], pack.encoder.tokenizer.pad_id)
    raw = expected.get("text_features", expected["text_features_normalized"])
    features = pack.encoded(pack.sentences)
    assert worst(features, raw) <= tolerance
    if "text_features_batch" in expected:
        assert worst(pack.encoder.encode(tokens).numpy(), expected["text_features_batch"]) <= tolerance
    if "text_pooled" in expected:
        pooled = expected.get("text_pooled_batch", expected["text_pooled"])
        assert worst(pack.encoder.pooled(tokens).numpy(), pooled) <= 10 * tolerance
    if "logit_scale_exp" in expected:
        assert pack.encoder.scale.factor == pytest.approx(float(expected["logit_scale_exp"]), rel=_SCALE)
    if pack.spec.text.probability == "sigmoid":
        assert pack.encoder.scale.bias == pytest.approx(float(expected["logit_bias"]), abs=_SCALE)
    zero_shot(pack)
    front_door(pack, raw, tolerance)


def equal_ids(ours, theirs, padding):
    """Equal over the shorter of the two widths, and nothing but padding beyond."""
    width = min(ours.shape[1], theirs.shape[1])
    assert np.array_equal(ours[:, :width], theirs[:, :width])
    assert (theirs[:, width:] == padding).all()
    assert (ours[:, width:] == padding).all()


def zero_shot(pack):
    """The pack's class vectors and logits, by each route that its arrays are of."""
    expected, tolerance = pack.expected, pack.manifest["tolerance"]
    scale, texts = pack.encoder.scale, pack.texts
    images = unit(expected.get("image_features_normalized", expected.get("image_features")))
    if "class_embeddings" in expected and "zero_shot" in texts:
        classes = pack.classes(texts["zero_shot"]["templates"], texts["zero_shot"]["classnames"])
        assert worst(classes, expected["class_embeddings"]) <= tolerance["class_embeddings_max_abs"]
        logits = scale.factor * images @ classes.T + (scale.bias or 0.0)
        assert worst(logits, expected["logits"]) <= 3 * tolerance["logits_max_abs"]
    elif pack.name == "text_clip_dr":
        logits = scale.factor * images @ unit(pack.encoded(pack.sentences)).T
        assert worst(logits, expected["logits"]) <= tolerance["logits_max_abs"]
    elif pack.name == "text_flair":
        grades = [texts["template"].replace("[CLS]", name) for name in texts["class_names"]]
        listed = pack.encoder.encode(pack.encoder.tokens(grades)).numpy()
        assert worst(listed, expected["prompt_features"]) <= tolerance["text_features_max_abs"]
        assert worst(scale.factor * images @ listed.T, expected["logits"]) <= tolerance["logits_max_abs"]
    elif pack.name == "text_ct_clip":
        prompts = [template.replace("{}", name) for name in texts["class_names"] for template in texts["templates"]]
        logits = (scale.factor * images @ unit(pack.encoded(prompts)).T).reshape(-1, 2)
        assert worst(logits, expected["logits"]) <= tolerance["logits_max_abs"]
    elif pack.name == "text_merlin":
        for number, finding in enumerate(texts["prompts"].values()):
            for side in ("present", "absent"):
                cosines = images @ unit(pack.encoded(finding[side])).T
                assert worst(cosines, expected[f"prompt_{number}_{side}_cosine"]) <= tolerance["logits_max_abs"]
    elif "prompt_0_cosine" in expected:
        for number, pair in enumerate(texts["prompts"].values()):
            cosines = images @ unit(pack.encoded(pair)).T
            assert worst(cosines, expected[f"prompt_{number}_cosine"]) <= tolerance["logits_max_abs"]


def front_door(pack, raw, tolerance):
    """The same by the command line: one run of `encode --texts`."""
    listed, out = pack.folder / "texts.json", pack.folder / "F.npz"
    listed.write_text(json.dumps(pack.sentences))
    line = ["encode", pack.model, "--texts", str(listed), "--weights", str(pack.weights), "--out", str(out)]
    assert main([*line, "--device", "cpu", "--offline", "--workspace", str(pack.folder / "workspace")]) == 0
    with np.load(out) as made:
        assert made["texts"].tolist() == pack.sentences
        assert worst(made["text_features"], raw) <= tolerance
        if "token_ids" in pack.expected:
            equal_ids(made["token_ids"], pack.expected["token_ids"], pack.encoder.tokenizer.pad_id)
