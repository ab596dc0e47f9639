"""The plan: what a request stands for, which keys its steps have, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.store.store import Store
from medvlm_tui.core.workspace.workspace import Workspace
from medvlm_tui.engine.run.gathered_steps import without
from medvlm_tui.engine.run.planner import Prepared, lay_out, prepare
from medvlm_tui.errors import MedvlmError, MissingInputError, StoreError, UsageError
from medvlm_tui.service.engine import Engine
from medvlm_tui.stages import CELL_STAGES, EVERY_STAGE, as_demo, with_every_stage
from medvlm_tui.stages.params.bias import BiasParams
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.state.selection import run_request


@pytest.fixture
def images(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for kind in ("a", "b"):
        (tmp_path / "images" / kind).mkdir(parents=True)
        for number in range(4):
            pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / kind / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def request_(images: Path) -> RunRequest:
    return RunRequest(models=("efficientnet_lite0",), datasets=("mine",), data={"mine": str(images)}, offline=True)


@pytest.fixture
def plan(tmp_path: Path):
    def laid_out(request: RunRequest) -> Prepared:
        with Store(tmp_path / "ws" / "store") as store:
            return lay_out(request, Workspace(tmp_path / "ws"), store, "run")

    return laid_out


def keys(prepared: Prepared) -> dict[str, str]:
    return {step.id.split(":")[0]: step.key for step in prepared.plan.steps if step.key}


def test_steps_stand_after_what_they_need(plan, request_: RunRequest) -> None:
    stages = ("extract", "probe", "project", "saliency", "statistics", "report")
    asked = replace(request_, stages=stages, options={"umap_neighbors": (5, 15)}, protocols=("paper", "poster"))
    steps = plan(asked).plan.steps
    seen: set[str] = set()
    for step in steps:
        assert set(step.needs) <= seen
        seen.add(step.id)
    assert [step.kind for step in steps].count("project") == 2
    assert [step.kind for step in steps].count("probe") == 2
    assert [step.kind for step in steps].count("saliency") == 1
    assert steps[-1].kind == "report"
    assert len(seen) == len(steps)


def test_further_seeds_are_the_probes_of_runs_under_these_seeds(plan, request_: RunRequest) -> None:
    asked = replace(request_, stages=("probe", "statistics", "saliency"), protocols=("paper", "knn"), seed=3, seeds=3)
    one, several = plan(replace(asked, seeds=1)).plan.steps, plan(asked).plan.steps
    further = [step for step in several if step.kind == "repeat"]
    # Nothing else changes: intervals, comparisons and maps stay with the first seed.
    assert [step for step in several if step.kind != "repeat"] == list(one)
    assert [step.id.split(":")[-2:] for step in further] == [["paper", "4"], ["knn", "4"], ["paper", "5"], ["knn", "5"]]
    alone = {step.params["protocol"]: step.key for step in plan(replace(asked, seed=5, seeds=1)).plan.steps
             if step.kind == "probe"}  # fmt: skip
    assert {step.params["protocol"]: step.key for step in further[2:]} == alone


def test_a_stage_brings_what_it_reads(plan, request_: RunRequest) -> None:
    kinds = [step.kind for step in plan(replace(request_, stages=("saliency",))).plan.steps]
    assert kinds == ["extract", "probe", "saliency"]


def test_a_grid_reads_the_maps_that_there_are(plan, request_: RunRequest) -> None:
    steps = plan(replace(request_, stages=("project",), options={"umap_neighbors": (5, 15)})).plan.steps
    grid = next(step for step in steps if step.kind == "grid")
    assert grid.params["maps"] == [step.key for step in steps if step.kind == "project"]
    failed, left = grid.needs
    narrowed = without(grid, {failed})
    assert (narrowed.needs, narrowed.params["maps"]) == ((left,), grid.params["maps"][1:])
    assert narrowed.key not in ("", grid.key)
    assert without(grid, grid.needs) is grid


def test_similarity_reads_every_model_of_a_dataset(plan, request_: RunRequest, tmp_path: Path) -> None:
    two = replace(request_, models=("efficientnet_lite0", "timm:resnet10t"), stages=("similarity",))
    weights = tmp_path / "resnet10t.safetensors"
    weights.write_bytes(b"planning reads the digest alone")
    prepared = plan(replace(two, weights={"timm:resnet10t": str(weights)}))
    step = prepared.plan.steps[-1]
    assert (step.id, len(step.needs)) == ("similarity:*:mine", 2)
    assert [each["model"] for each in step.params["tables"]] == ["efficientnet_lite0", "timm:resnet10t"]
    alone = plan(replace(two, models=("efficientnet_lite0",), weights={}))
    assert [s.kind for s in alone.plan.steps] == ["extract"]
    assert "there is one" in alone.plan.warnings[-1]


def test_a_tag_is_measured_beside_the_classes(plan, request_: RunRequest, tmp_path: Path) -> None:
    tags = tmp_path / "tags.csv"
    tags.write_text("path,tag,value\na/0.png,plane,axial\nb/0.png,plane,coronal\nnowhere.png,plane,axial\n")
    request = replace(request_, stages=("separability",), tags=str(tags))
    prepared = plan(request)
    assert [step.id.split(":", 3)[3:] for step in prepared.plan.steps[1:]] == [[], ["plane"]]
    job = prepared.jobs["separability:efficientnet_lite0:mine:plane"]
    assert job.groups == {"a/0.png": "axial", "b/0.png": "coronal"}
    assert "1 paths of --tags are none of its images" in prepared.plan.warnings[-1]
    tags.write_text("path,tag,value\na/0.png,plane,axial\nb/0.png,plane,axial\n")
    changed = [a.key == b.key for a, b in zip(prepared.plan.steps, plan(request).plan.steps, strict=True)]
    assert changed == [True, True, False]


def test_the_same_request_has_the_same_keys(plan, request_: RunRequest) -> None:
    assert keys(plan(request_)) == keys(plan(request_))


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"seed": 1}, {"probe", "project", "grid", "statistics", "verdict"}),
        ({"folds": 4}, {"probe", "statistics", "verdict"}),
        ({"umap_neighbors": (7,)}, {"project", "grid"}),
        ({"precision": "bf16"}, {"extract", "probe", "project", "grid", "statistics", "verdict"}),
        ({"limit": 3}, {"extract", "probe", "project", "grid", "statistics", "verdict"}),
        ({"batch_size": 7, "workers": 2, "out": "/tmp/elsewhere"}, set()),
    ],
)
def test_a_parameter_changes_the_keys_of_what_depends_on_it(
    plan, request_: RunRequest, change: dict[str, object], changed: set[str]
) -> None:
    before, after = keys(plan(request_)), keys(plan(request_.changed(change)))
    assert {kind for kind in before if before[kind] != after[kind]} == changed


def test_moving_the_images_changes_no_key_and_changing_one_does(plan, request_: RunRequest, images: Path) -> None:
    before = keys(plan(request_))
    moved = images.rename(images.parent / "moved")
    request = replace(request_, data={"mine": str(moved)})
    assert keys(plan(request)) == before
    Image.new("RGB", (16, 16)).save(moved / "a" / "0.png")
    after = keys(plan(request))
    assert all(after[kind] != before[kind] for kind in before)


def test_what_is_missing_is_said_and_the_rest_is_planned(plan, request_: RunRequest) -> None:
    steps = plan(replace(request_, models=("clip_b16", "efficientnet_lite0"), datasets=("mine", "brain_mr"))).plan.steps
    blocked = {(step.model, step.dataset) for step in steps if step.blocked}
    runnable = {(step.model, step.dataset) for step in steps if step.model and not step.blocked}
    assert runnable == {("efficientnet_lite0", "mine")}
    assert blocked == {("clip_b16", "mine"), ("clip_b16", "brain_mr"), ("efficientnet_lite0", "brain_mr")}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"model_type": "clip", "vision_config": "x"}'),
        ("config.json", '{"a":' + "[" * 200_000),
        ("config.json", '{"architecture": "hf-hub:evil/model", "num_features": 3}'),
        ("config.json", '{"model_type": "dinov2", "hidden_size": "abc"}'),
        ("open_clip_config.json", '{"model_cfg": 3}'),
        ("README.md", "no configuration at all"),
    ],
)
def test_a_bad_model_folder_costs_itself(plan, request_: RunRequest, tmp_path: Path, name: str, text: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).write_text(text)
    models = ("efficientnet_lite0", f"local:{folder}", f"local:{tmp_path / 'nowhere'}", "hf:lab/never-fetched")
    prepared = plan(replace(request_, models=models, stages=("extract",)))
    blocked = {step.model: step.blocked for step in prepared.plan.steps}
    assert blocked["efficientnet_lite0"] == ""
    for model in models[1:]:
        problem, hint = blocked[model].split("\n")
        assert problem
        assert hint


def test_what_a_models_folder_leaves_open_is_a_warning(plan, request_: RunRequest, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "dinov2", "hidden_size": 32}')
    prepared = plan(replace(request_, models=(f"local:{tmp_path / 'model'}",)))
    assert any("the preprocessing is assumed" in warning for warning in prepared.plan.warnings)


def test_a_model_that_nobody_knows_is_still_an_error_of_the_line(plan, request_: RunRequest) -> None:
    with pytest.raises(UsageError, match="nobody"):
        plan(replace(request_, models=("efficientnet_lite0", "nobody")))


@pytest.fixture(autouse=True)
def no_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_nothing_that_can_run_is_an_error_with_the_reason(tmp_path: Path, request_: RunRequest) -> None:
    with Store(tmp_path / "ws" / "store") as store:
        workspace = Workspace(tmp_path / "ws")
        with pytest.raises(MissingInputError, match="clip_b16"):
            prepare(replace(request_, models=("clip_b16",)), workspace, store, "run")
        with pytest.raises(MissingInputError, match="brain_mr"):
            prepare(replace(request_, datasets=("brain_mr",)), workspace, store, "run")
        with pytest.raises(UsageError, match="no group"):
            prepare(replace(request_, models=("group:nonsense",)), workspace, store, "run")
        with pytest.raises(UsageError, match="no feature"):
            prepare(replace(request_, feature="nonsense"), workspace, store, "run")
        with pytest.raises(UsageError, match="--weights"):
            prepare(replace(request_, weights={"efficientnet": "x"}), workspace, store, "run")


def test_groups_and_all_expand_to_the_catalog(plan, request_: RunRequest) -> None:
    general = plan(replace(request_, models=("group:general",))).models
    everything = plan(replace(request_, models=("all", "clip_b16"))).models
    assert "clip_b16" in general
    assert set(general) < set(everything)
    assert "biomedclip" not in general


def test_one_run_at_a_time_in_a_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "ws")
    with workspace.busy("engine"), pytest.raises(StoreError, match="the engine's, process"), workspace.busy("batch"):
        raise AssertionError("two runs held one workspace")
    with workspace.busy("batch"):
        pass


def test_the_bias_lab_of_one_model_has_nobody_to_be_compared_with(plan, request_: RunRequest) -> None:
    steps = plan(replace(request_, stages=("bias",), options={"bias_words": ("IN", "OUT"), "bias_masks": 0})).plan.steps
    assert [step.kind for step in steps] == ["extract", "probe", "bias"]
    assert (steps[-1].params["words"], steps[-1].params["rise_masks"]) == (("IN", "OUT"), 0)


def test_every_stage_is_the_same_for_the_demo_and_the_screens(tmp_path: Path) -> None:
    engine = Engine(Workspace(tmp_path / "ws"))
    try:
        demo = engine.plan(RunRequest(demo=True)).request
    finally:
        engine.close()
    shown = run_request(RunRequest(), demo.models, demo.datasets)
    assert shown == replace(demo, demo=False, out="")
    assert demo.stages == EVERY_STAGE


def test_the_demo_explains_and_tests_enough_images_for_an_interval() -> None:
    saliency, bias = as_demo(RunRequest()).of(SaliencyParams), as_demo(RunRequest()).of(BiasParams)
    assert 2 * saliency.images_per_class >= 8  # two of the phantom's three classes have a lesion
    assert bias.test_per_class >= 10
    assert 3 * bias.rise_images >= 5
    assert bias.rise_masks > 0
    assert saliency.fill == bias.rise_fill == "blur"
    assert len(set(bias.words)) == len(bias.words) > len(("none", "smooth", "spiculated"))
    small = as_demo(RunRequest(options={"rise_masks": 32, "bias_test": 2, "bias_masks": 0}))
    # A quicker look stays quick.
    assert small.of(SaliencyParams).masks == 32
    assert (small.of(BiasParams).test_per_class, small.of(BiasParams).rise_masks) == (2, 0)


def test_who_asks_for_every_stage_of_one_model_is_not_warned_of_the_missing_second(plan, request_: RunRequest) -> None:
    prepared = plan(with_every_stage(request_))
    kinds = {step.kind for step in prepared.plan.steps}
    of_texts = {"zero_shot", "alignment"}  # this model has no text tower
    assert kinds == {*EVERY_STAGE, "grid"} - {"similarity"} - of_texts
    assert prepared.plan.warnings == ()
    assert set(CELL_STAGES) - of_texts == kinds - {"check", "grid", "verdict", "report"}


def one_class(root: Path) -> Path:
    """Return a folder with images of one class below `img` and their list."""
    (root / "img").mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(root / "img" / f"scan{number}.png")
    (root / "list.csv").write_text("path,label\n" + "".join(f"img/scan{i}.png,{'ab'[i % 2]}\n" for i in range(4)))
    return root


def test_one_class_is_known_before_anything_is_encoded(plan, request_: RunRequest, tmp_path: Path) -> None:
    root = one_class(tmp_path / "set" / "lab").parent
    unlabelled = replace(request_, data={"mine": str(root / "lab")}, stages=("extract", "probe", "report"))
    reasons = [step.blocked for step in plan(unlabelled).plan.steps if step.kind == "probe"]
    assert all(reason.startswith("mine has no labels") for reason in reasons)
    assert reasons
    assert f"--data mine={root}/lab/list.csv" in reasons[0]
    (root / "lab" / "img").rename(root / "lab" / "cohort")
    asked = replace(request_, data={"mine": str(root / "lab")}, stages=("extract", "probe", "report"))
    blocked = {step.kind: step.blocked for step in plan(asked).plan.steps if step.blocked}
    assert set(blocked) == {"extract", "probe"}
    assert blocked["probe"].startswith("mine has only one class (cohort)")
    assert f"--data mine={root}/lab/list.csv" in blocked["probe"]
    assert "--stages extract,project" in blocked["probe"]
    with pytest.raises(MedvlmError, match="only one class"), Store(tmp_path / "ws" / "store") as store:
        prepare(asked, Workspace(tmp_path / "ws"), store, "run")


def test_without_a_probe_one_class_is_encoded_and_drawn(plan, request_: RunRequest, tmp_path: Path) -> None:
    root = one_class(tmp_path / "lab")
    (root / "img").rename(root / "cohort")
    asked = replace(request_, data={"mine": str(root)}, stages=("extract", "project"))
    assert not [step.id for step in plan(asked).plan.steps if step.blocked]
    everything = plan(replace(asked, stages=CELL_STAGES)).plan.steps
    assert {step.kind for step in everything if step.blocked} == {"probe", "saliency", "bias"}
    assert "extract" in {step.kind for step in everything if not step.blocked}


def test_given_parts_are_named_by_the_plan(plan, request_: RunRequest, images: Path) -> None:
    rows = "".join(f"{c}/{i}.png,{c},{'test' if i == 3 else 'train'}\n" for c in "ab" for i in range(4))
    (images / "list.csv").write_text("path,label,split\n" + rows)
    asked = replace(request_, data={"mine": str(images / "list.csv")})
    (warning,) = plan(asked).plan.warnings
    assert "its parts test (2), train (6) are pooled; hold-out and folds are drawn anew" in warning
    assert plan(replace(asked, part="train")).plan.warnings == ()


def test_a_phantom_that_the_run_will_draw_blocks_nothing(tmp_path: Path) -> None:
    asked = RunRequest(
        models=("efficientnet_lite0",), datasets=("phantom",), stages=EVERY_STAGE, phantom_per_class=3, offline=True,
        device="cpu",
    )  # fmt: skip
    engine = Engine(Workspace(tmp_path / "ws"))
    try:
        before = engine.plan(asked).plan.steps
        assert not (tmp_path / "ws" / "phantom").exists()
        limited = engine.plan(replace(asked, limit=2)).plan.steps
        after = engine.plan(asked, "run", lambda event: None).plan.steps
    finally:
        engine.close()
    assert [(step.id, step.images) for step in before] == [(step.id, step.images) for step in after]
    assert [step.images for step in limited if step.kind == "extract"] == [6]
    params = [{step.kind: step.params for step in steps}["saliency"] for steps in (before, after)]
    assert params[0] == params[1]  # what a run costs is told by them
    assert not any(step.have or step.blocked for step in before)
