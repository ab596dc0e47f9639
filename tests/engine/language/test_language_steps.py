"""Zero-shot and alignment of a small model that open_clip has saved, through the front door."""

from __future__ import annotations

import contextlib
import csv
import io
import json

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from scipy.stats import t
from torch.nn import functional

from medvlm_tui.cli import main
from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.results_index import ResultsIndex
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.encoders.resolve.names import resolve_model
from medvlm_tui.engine.encoders.text import network
from medvlm_tui.engine.encoders.text.loading import locate_text, text_key
from medvlm_tui.engine.language import alignment
from medvlm_tui.engine.language.text_features import text_features
from medvlm_tui.engine.step.job import StepContext
from medvlm_tui.measures.language import geometry, retrieval
from medvlm_tui.service.prompts import Prompts
from medvlm_tui.stages.language import ALIGNMENT, ZERO_SHOT
from medvlm_tui.stages.request import RunRequest
from tests.made.language import coloured, saved_clip
from tests.made.models import local

PROMPTS = """
[datasets.made]
source = "this test"
templates = ["a photo of {}", "{}, seen from above"]
[datasets.made.classes]
red = ["red tissue", "a red lesion"]
green = { names = ["green tissue", "a green lesion"] }
blue = ["blue tissue", "a blue lesion"]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder of coloured images, a model, prompts, and what a run over them left behind."""
    folder = tmp_path_factory.mktemp("language")
    coloured(folder / "made")
    model = saved_clip(folder / "clip")
    (folder / "prompts.toml").write_text(PROMPTS)
    image_only(folder / "clip", folder / "image_only")
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert run(folder) == 0, said.getvalue()
    return folder, model, said.getvalue()


def image_only(clip, folder):
    """The same model saved without its text tower."""
    folder.mkdir()
    config = json.loads((clip / "open_clip_config.json").read_text())
    del config["model_cfg"]["text_cfg"]
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = load_file(clip / "open_clip_model.safetensors")
    save_file({k: v for k, v in state.items() if k.startswith("visual.")}, folder / "open_clip_model.safetensors")


def run(folder, *more):
    models = ",".join(f"local:{folder / name}" for name in ("clip", "image_only"))
    line = ["--batch", "--models", models, "--datasets", "made", "--data", f"made={folder / 'made'}"]
    line += ["--stages", "zero_shot,alignment,report", "--prompts", str(folder / "prompts.toml")]
    line += ["--workspace", str(folder / "workspace"), "--out", str(folder / "out")]
    return main([*line, *more, "--device", "cpu", "--precision", "fp32", "--offline"])


def stored(folder, stage):
    """(record, arrays) of the one result of a stage."""
    with Store(Workspace(folder / "workspace").store, read_only=True) as store:
        manifest = json.loads((folder / "out" / "manifest.json").read_text())
        key = next(step["key"] for step in manifest["plan"]["steps"] if step["kind"] == stage.kind)
        found = store.result(key)
        return store.read_record(key, stage.record), found.arrays


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_classes_vectors_and_cosines_are_open_clips_own(study):
    folder, model, _ = study
    record, arrays = stored(folder, ZERO_SHOT)
    number = [each.name for each in record.sets].index("ensemble")
    encoder = local(folder / "clip")
    names = [f"{name}/{number}.png" for name in record.classes for number in range(10)]
    pixels = torch.stack([encoder.preprocess(Image.open(folder / "made" / name).convert("RGB")) for name in names])
    with torch.no_grad():
        images = model.encode_image(pixels, normalize=True)
        classes = []
        for name in record.classes:  # as open_clip's build_zero_shot_classifier
            texts = [
                t.format(n)
                for t in ("a photo of {}", "{}, seen from above")
                for n in (f"{name} tissue", f"a {name} lesion")
            ]
            vectors = model.encode_text(open_clip.tokenize(texts), normalize=True)
            classes.append(functional.normalize(vectors.mean(dim=0), dim=-1))
        expected = images @ torch.stack(classes).T
    rows = arrays["labels"].argsort(kind="stable")  # class by class, and files in the order of their names within
    assert record.n == 30
    assert np.allclose(arrays["cosines"][number][rows], expected.numpy(), atol=1e-5)
    assert record.factor == pytest.approx(model.logit_scale.exp().item(), rel=1e-6)


def test_scores_follow_from_the_cosines(study):
    folder, _, _ = study
    record, arrays = stored(folder, ZERO_SHOT)
    rows, labels = arrays["hold_out"], arrays["labels"]
    for number, each in enumerate(record.sets):
        predicted = arrays["cosines"][number].argmax(axis=1)
        right = predicted == labels
        assert each.hold_out["accuracy"].value == pytest.approx(right[rows].mean())
        assert each.all_rows["accuracy"].value == pytest.approx(right.mean())
        recalls = [right[rows][labels[rows] == c].mean() for c in range(3)]
        assert each.hold_out["balanced_accuracy"].value == pytest.approx(np.mean(recalls))
        assert each.hold_out["accuracy"].low <= right[rows].mean() <= each.hold_out["accuracy"].high
    ensemble = record.headline
    assert [len(each.prompts) for each in record.sets] == [0, 0, 2]
    assert {words.prompt for words in ensemble.words} >= {"a photo of red tissue", "a blue lesion, seen from above"}
    assert len(ensemble.words) == 12
    answers = arrays["cosines"].argmax(axis=2)[:, rows]
    flips = max((a != b).mean() for a in answers for b in answers)
    assert record.flips_between_sets == pytest.approx(flips)


def test_zero_shot_stands_beside_the_probe_on_the_same_images(study):
    folder, _, _ = study
    record, arrays = stored(folder, ZERO_SHOT)
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    key = next(step["key"] for step in manifest["plan"]["steps"] if step["kind"] == "probe")
    with Store(Workspace(folder / "workspace").store, read_only=True) as store:
        probe = store.result(key)
    assert np.array_equal(probe.arrays["hold_out"], arrays["hold_out"])
    ours = record.headline.hold_out["accuracy"].value
    (found,) = record.headline.versus
    assert found.protocol == "paper"
    assert found.value == pytest.approx(ours - probe.record["metrics"]["accuracy"]["mean"])
    assert found.low <= found.value <= found.high


def test_the_files(study):
    folder, _, _ = study
    rows = read_csv(folder / "out" / "zero_shot.csv")
    assert {row["prompt_set"] for row in rows} == {"bare", "single", "ensemble", "*"}
    assert {row["rows"] for row in rows} == {"hold_out", "all"}
    prompts = read_csv(folder / "out" / "prompts.csv")
    assert {row["source"] for row in prompts} >= {"this test"}
    assert all(int(row["tokens"]) >= 3 for row in prompts)
    measures = {row["measure"] for row in read_csv(folder / "out" / "alignment.csv")}
    assert measures >= {
        "modality_gap",
        "alignment",
        "uniformity",
        "image_map",
        "text_recall_at_1",
        "class_geometry_cka",
    }


def test_other_prompts_encode_their_own_texts_alone(study, monkeypatch):
    folder, _, _ = study
    seen = []
    encode = network.NetworkTextEncoder.encode_texts
    monkeypatch.setattr(
        network.NetworkTextEncoder, "encode_texts", lambda self, texts: seen.extend(texts) or encode(self, texts)
    )
    with Store(Workspace(folder / "workspace").store) as store:
        parts = locate_text(resolve_model(f"local:{folder / 'clip'}", {}), "", "", store.file_digests)
        key = text_key(parts, "fp32")
        context = StepContext(store, lambda: False)
        text_features(["a photo of red tissue", "a photo of a crimson lesion"], parts, key, context, "cpu")
        text_features(["a photo of a crimson lesion"], parts, key, context, "cpu")
    assert seen == ["a photo of a crimson lesion"]


def test_a_model_without_text_says_so_in_one_line_and_costs_nothing_else(study):
    folder, _, said = study
    assert said.count("has no text tower that shares a space with its images") == 1
    with open(folder / "out" / "results.csv") as file:
        assert f"local:{folder / 'image_only'}" in file.read()
    models = {row["model"] for row in read_csv(folder / "out" / "zero_shot.csv")}
    assert models == {f"local:{folder / 'clip'}"}


def by_definition(images, codes, prompts, classes):
    """The gap and its companions, distances and retrieval of unit vectors as docs/language.md defines them."""
    middle = images.mean(axis=0), prompts.mean(axis=0)
    gap = np.sqrt(((middle[0] - middle[1]) ** 2).sum())
    inside = [((each - mean) ** 2).sum(axis=1).mean() for each, mean in zip((images, prompts), middle, strict=True)]
    pairs = [np.exp(-2 * ((a - b) ** 2).sum()) for a in images for b in prompts]
    cosines = images @ classes.T
    above = np.array([sum(row > row[code]) for row, code in zip(cosines, codes, strict=True)])
    return {
        "modality_gap": gap,
        # Both modalities weigh half: the variance of the means around their middle is gap^2 / 4.
        "modality_gap_share": (gap**2 / 4) / (gap**2 / 4 + sum(inside) / 2),
        "modality_gap_relative": gap / (np.sqrt(inside).sum() / 2),
        "alignment": np.mean([((image - classes[code]) ** 2).sum() for image, code in zip(images, codes, strict=True)]),
        "uniformity": np.log(np.mean(pairs)),
        "text_recall_at_1": np.mean(above < 1),
        "text_recall_at_5": np.mean(above < 5),
        "text_mean_rank": np.mean(1 + above),
    }


def test_resamples_are_the_measures_on_the_drawn_images():
    rng = np.random.default_rng(3)
    images = rng.normal(size=(24, 6))
    images /= np.linalg.norm(images, axis=1, keepdims=True)
    classes, prompts = images[:6] + 0.5, images[6:14] - 0.2
    classes, prompts = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (classes, prompts))
    codes = np.repeat(np.arange(6), 4)
    vectors = alignment.Vectors(images, codes, prompts, classes)
    weights = alignment.resampled_weights(codes, 3, 0)
    found = alignment.every(vectors, weights)
    for draw, weight in enumerate(weights):
        rows = np.repeat(np.arange(24), np.rint(weight * 24).astype(int))
        drawn, of = images[rows], codes[rows]
        assert np.bincount(of).tolist() == [4] * 6
        expected = {
            **by_definition(drawn, of, prompts, classes),
            "image_map": retrieval.mean_average_precision(of, drawn @ classes.T),
            "class_geometry_rsa": geometry.rsa(geometry.class_means(drawn, of, 6), classes),
            "class_geometry_cka": geometry.linear_cka(geometry.class_means(drawn, of, 6), classes),
        }
        for name, value in expected.items():
            assert found[name][draw] == pytest.approx(value), name


def test_the_records_read_back():
    for stage in (ZERO_SHOT, ALIGNMENT):
        assert stage.record.example().example() == stage.record.example()


def test_edited_prompts_are_scored_as_a_run_scores_them(study):
    """The stored prompts give the stored scores; others give other ones, in less than a second."""
    folder, _, _ = study
    workspace = Workspace(folder / "workspace")
    model = f"local:{folder / 'clip'}"
    with Store(workspace.store, read_only=True) as store:
        keys = {made.kind: made.key for made, _ in _index(workspace).of(model, "made")}
        table = next(made.table for made, _ in _index(workspace).of(model, "made") if made.kind == "zero_shot")
        record = store.read_record(keys["zero_shot"], ZERO_SHOT.record)
    stored = [[one.prompt for one in record.headline.words if one.class_name == name] for name in record.classes]
    asked = {"model": model, "zero_shot": keys["zero_shot"], "table": table, "request": RunRequest().to_record()}
    prompts = Prompts(workspace)
    answer = prompts.answer({**asked, "prompts": stored})
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc"):
        score = record.headline.hold_out[name]
        assert answer["scores"][name] == pytest.approx([score.value, score.low, score.high], abs=1e-6), name
    other = [["blue tissue"], *stored[1:-1], ["a red lesion"]]
    again = prompts.answer({**asked, "prompts": other})
    assert again["scores"] != answer["scores"]
    assert again["seconds"] < 1.0
    assert "no prompt" in prompts.answer({**asked, "prompts": [[], *stored[1:]]})["error"]
    assert "not there any more" in prompts.answer({**asked, "zero_shot": "none", "prompts": stored})["error"]


def _index(workspace):
    return ResultsIndex(workspace.runs, workspace.root / "results.json", read_only=True)


def test_several_hold_outs_give_means_of_zero_shot_too(study):
    folder, _, _ = study
    assert run(folder, "--seeds", "3", "--out", str(folder / "seeds"), "--stages", "zero_shot,report") == 0
    with Store(Workspace(folder / "workspace").store, read_only=True) as store:
        steps = json.loads((folder / "seeds" / "manifest.json").read_text())["plan"]["steps"]
        steps = [step for step in steps if not step["model"].endswith("image_only")]
        found = store.result(next(step["key"] for step in steps if step["kind"] == "zero_shot"))
        held = [store.result(step["key"]) for step in steps if step["kind"] in ("probe", "repeat")]
    rows = [each.arrays["hold_out"] for each in held]
    assert len(rows) == 3
    labels = found.arrays["labels"]
    for number, each in enumerate(found.record["sets"]):
        answers = found.arrays["cosines"][number].argmax(axis=1)
        values = [np.mean(answers[held_out] == labels[held_out]) for held_out in rows]
        accuracy = each["hold_out"]["accuracy"]
        assert accuracy["value"] == pytest.approx(np.mean(values))
        n = len(rows[0])
        error = max(np.sqrt((1 / 3 + n / (len(labels) - n)) * np.var(values, ddof=1)), 0.5 / n)
        assert accuracy["low"] == pytest.approx(max(0.0, np.mean(values) - t.ppf(0.975, 2) * error))
    assert found.record["seeds"] == 3
