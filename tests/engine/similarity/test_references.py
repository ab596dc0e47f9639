"""References of similarity: a real small network beside mirrored images and beside itself with random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
import transformers
from PIL import Image, ImageOps
from safetensors.torch import save_file

from medvlm_tui.core.digests import of_file
from medvlm_tui.core.events import Log, ResultReady
from medvlm_tui.core.plan import Step
from medvlm_tui.core.store.store import Store
from medvlm_tui.engine.datasets.likeness.feature_pairs import fullest_encoder
from medvlm_tui.engine.encoders import references
from medvlm_tui.engine.encoders.checkpoints.load_report import reporting
from medvlm_tui.engine.encoders.checkpoints.tower import load_strictly, read_tower
from medvlm_tui.engine.encoders.registry import load_encoder
from medvlm_tui.engine.encoders.weights.record import Weights
from medvlm_tui.engine.extract import step as extract
from medvlm_tui.engine.similarity import references_step
from medvlm_tui.engine.step.job import StepContext
from medvlm_tui.errors import MedvlmError, WeightsError
from tests.made.extraction import SPEC, job_of, make_images, make_weights
from tests.made.models import local

COUNT = 40


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The features of 40 images, their references, and the events of these."""
    folder = tmp_path_factory.mktemp("references")
    store = Store(folder / "store")
    context = StepContext(store, lambda: False)
    extraction = job_of(make_images(folder / "images", COUNT), make_weights(folder))
    list(extract.run(extraction, context))
    params = {"neighbours": 5, "max_points": 30, "seed": 7}  # the weights themselves are drawn with 0
    step = Step("references:tiny:made", "references", "tiny", "made", params, "references")
    job = replace(extraction, step=step, inputs={"extract": extraction.step.key})
    events = list(references_step.run(job, context))
    return job, context, events


def tables(context):
    found = [context.store.tables.read(key) for key in context.store.tables.listed()]
    return {table.encoder.model: table for table in found}


def rows_of(table, ids):
    return np.array([table.matrix[table.ids.index(i)] for i in ids], dtype=np.float64)


def unbiased_cka(x, y):
    """Song et al. 2012, by matrices."""

    def hsic(a, b):
        k, h, n = a @ a.T, b @ b.T, len(a)
        np.fill_diagonal(k, 0)
        np.fill_diagonal(h, 0)
        one = np.ones(n)
        sums = (one @ k @ one) * (one @ h @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ h @ one)
        return (np.trace(k @ h) + sums) / (n * (n - 3))

    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def test_the_record_has_both_references_with_intervals(made):
    _, context, events = made
    assert isinstance(events[-1], ResultReady)
    record = context.store.result("references").record
    own, found = tables(context)["tiny"], {each["reference"]: each for each in record["references"]}
    assert set(found) == {"mirrored images", "random weights"}
    assert record["missing"] == {}
    for name, model in (("mirrored images", "tiny (mirrored images)"), ("random weights", "tiny (random weights)")):
        other = tables(context)[model]
        assert len(other.ids) == 30  # the cost is bounded by max_points
        wanted = unbiased_cka(rows_of(own, other.ids), rows_of(other, other.ids))
        assert found[name]["cka"] == pytest.approx(wanted, abs=1e-9)
        assert found[name]["cka_low"] <= wanted <= found[name]["cka_high"]
        assert (found[name]["n"], found[name]["used"]) == (COUNT, 30)


def test_mirrored_features_are_those_of_mirrored_inputs(made):
    job, context, _ = made
    other = tables(context)["tiny (mirrored images)"]
    encoder = load_encoder(job.model, job.weights, "", "cpu", "fp32")
    paths = {sample.id: sample.path for sample in job.dataset.samples}
    for name in other.ids[:4]:
        with Image.open(paths[name]) as image:
            seen = Image.fromarray(encoder.display(encoder.preprocess(image.convert("RGB"))))
        mirrored = torch.from_numpy(np.array(ImageOps.mirror(seen))).permute(2, 0, 1).float() / 255
        expected = encoder.encode(((mirrored - 0.5) / 0.5)[None]).numpy()[0]
        assert np.allclose(expected, rows_of(other, [name])[0], atol=1e-3)


def test_a_second_run_reads_the_sealed_features(made, monkeypatch):
    job, context, _ = made
    monkeypatch.setattr(references_step, "extract_reference", lambda *_: pytest.fail("features were computed again"))
    list(references_step.run(replace(job, step=replace(job.step, key="again")), context))
    first, second = (context.store.result(key).record["references"] for key in ("references", "again"))
    assert first == second


def test_random_weights_are_the_librarys_own_and_seeded(made):
    job, _, _ = made
    networks = [references.load_untrained(SPEC, job.weights, "", "cpu", "fp32", seed).network for seed in (3, 3, 4)]
    torch.manual_seed(3)
    expected = timm.create_model(SPEC.architecture, pretrained=False, num_classes=0).state_dict()
    states = [network.state_dict() for network in networks]
    assert all(torch.equal(states[0][name], expected[name]) for name in expected)
    assert all(torch.equal(states[0][name], states[1][name]) for name in expected)
    assert not torch.equal(states[0]["conv_stem.weight"], states[2]["conv_stem.weight"])


def test_drawing_leaves_the_random_numbers_of_others_alone(made):
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    references.load_untrained(SPEC, made[0].weights, "", "cpu", "fp32", 5)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("kind", ["CLIPVisionModel", "SiglipVisionModel", "Dinov2Model"])
def test_networks_of_transformers_are_drawn_too(tmp_path, kind):
    made = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 32, "patch_size": 16}  # fmt: skip
    config = getattr(transformers, kind.replace("Model", "Config"))(**made)
    getattr(transformers, kind)(config).save_pretrained(tmp_path)
    spec, path = local(tmp_path).spec, tmp_path / "model.safetensors"
    weights = Weights("present", path, (path, tmp_path / "config.json"), of_file(path))
    encoder = references.load_untrained(spec, weights, spec.default_feature, "cpu", "fp32", 0)
    trained = load_encoder(spec, weights, spec.default_feature, "cpu", "fp32").network.state_dict()
    for name, tensor in encoder.network.state_dict().items():
        if tensor.is_floating_point() and tensor.dim() > 1:
            assert tensor.std() > 0, name
            assert not torch.equal(tensor, trained[name]), name


def test_a_matrix_that_a_family_only_makes_is_drawn(tmp_path):
    module = torch.nn.Linear(4, 4)
    module.register_parameter("projection", torch.nn.Parameter(torch.zeros(4, 4)))
    save_file({name: torch.ones(tensor.shape) for name, tensor in module.state_dict().items()}, tmp_path / "w")
    with reporting(untrained=True) as report:
        load_strictly(module, read_tower(tmp_path / "w"))
    assert module.projection.std() > 0
    assert module.weight.std() > 0
    assert report.kept == 16 + 16 + 4


def test_a_checkpoint_of_another_network_is_refused(tmp_path, made):
    path = tmp_path / "other.safetensors"
    save_file({"conv_stem.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WeightsError, match="does not fit"):
        references.load_untrained(SPEC, Weights("present", path, (path,), of_file(path)), "", "cpu", "fp32", 0)


def test_a_family_that_loads_in_its_own_way_costs_one_reference(made, monkeypatch):
    job, context, _ = made

    def refused(*_):
        raise WeightsError("tiny: its family loads weights in a way of its own")

    monkeypatch.setattr(references_step, "load_untrained", refused)
    asked = replace(job, step=replace(job.step, key="one", params={**job.step.params, "seed": 1}))
    events = list(references_step.run(asked, context))
    record = context.store.result("one").record
    assert [each["reference"] for each in record["references"]] == ["mirrored images"]
    assert list(record["missing"]) == ["random weights"]
    assert any(isinstance(event, Log) and "way of its own" in event.message for event in events)
    monkeypatch.setattr(references_step, "extract_reference", refused)
    fresh = replace(asked, encoder=replace(asked.encoder, model="other"), step=replace(asked.step, key="none"))
    with pytest.raises(MedvlmError, match="has no reference"):
        list(references_step.run(fresh, context))


def test_references_are_no_source_of_look_alikes(made):
    job, context, _ = made
    part = [sample for sample in job.dataset.samples if sample.id in tables(context)["tiny (random weights)"].ids]
    assert fullest_encoder(context.store, part).model == "tiny"
