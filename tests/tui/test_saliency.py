"""The saliency screen by keys: maps that grow, classes, the image that was chosen on the map."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from textual.color import Color
from textual.pilot import Pilot

from medvlm_tui.core import events
from medvlm_tui.core.store.store import Store
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.records.saliency import MapQuality, SaliencyRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.saliency.words import asked, half_gone, quality, sparkline
from tests.made.recorded import DATASET, KEYS, MODEL, fill_store
from tests.tui.conftest import SIZES, confirm, seen, until

STEP = f"saliency:{MODEL}:{DATASET}"


def explain_more(workspace: Path, error: float = 0.25) -> None:
    """Replace the recorded result by one with two classes for its first image, and a quality."""
    with Store(workspace / "store") as store:
        first = store.read(KEYS["saliency"], SaliencyRecord)
        items = [replace(item, explained_classes=(item.explained,)) for item in first.record.items]
        items[0] = replace(
            items[0],
            explained_classes=("none", "smooth"),
            relative_error=error,
            mostly_noise=error > 0.5,
            quality=MapQuality(
                pointing=True,
                mass_lesion=0.31,
                area_lesion=0.08,
                insertion=0.7,
                deletion=0.2,
                insertion_curve=(0.0, 0.5, 1.0),
            ),
        )
        store.discard(f"result/{KEYS['saliency']}")
        record = replace(first.record, items=tuple(items))
        maps = np.stack([first.arrays["maps"], first.arrays["maps"][:, ::-1]], axis=1)
        store.put_result(KEYS["saliency"], {**first.arrays, "class_maps": maps}, record)


async def opened(pilot: Pilot[int]) -> None:
    await until(pilot, "81.2")
    await pilot.press("f6")


@pytest.mark.parametrize("size", SIZES)
async def test_a_map_tells_its_class_its_quality_and_its_error(make_app, tmp_path: Path, size) -> None:
    fill_store(tmp_path)
    explain_more(tmp_path)
    app, _ = make_app(done=True)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        screen = await until(pilot, "image 1 of 3")
        assert "explained none" in screen
        assert "the lesion holds 31 % of the mass (its area is 8 %)" in screen
        assert "mostly noise" not in screen
        assert "peak in the lesion" in screen
        if size[0] > 100:
            assert "standard error 0.25" in screen
            assert "insertion 0.70 of 1, more is better ▁▅█" in app.screen.query_one("#about").content.plain
        await pilot.press("c")
        assert "explained smooth" in await until(pilot, "explained smooth")
        await pilot.press("c")
        assert "explained none" in seen(app)


@pytest.mark.parametrize("size", SIZES)
async def test_a_map_that_is_mostly_noise_says_so(make_app, tmp_path: Path, size) -> None:
    fill_store(tmp_path)
    explain_more(tmp_path, error=0.72)
    app, _ = make_app(done=True)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        screen = await until(pilot, "image 1 of 3")
        assert "mostly noise: 0.72" in screen
        assert "+ adds masks" in screen
        frame = app.screen.query_one("#heat")
        assert frame.styles.border_title_color == Color.parse(app.theme_variables["warning"])


async def test_an_image_chosen_on_the_map_is_shown_or_offered(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    explain_more(tmp_path)
    app, client = make_app(done=True, hold=3)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(pilot, "81.2")
        app.selection.image = "spiculated/000.png"
        await pilot.press("f6")
        await until(pilot, "image 3 of 3")
        app.selection.image = "smooth/[/]9.png"
        await pilot.press("f2", "f6")
        await until(pilot, "has no map yet")
        await pilot.press("r")
        assert "the map of smooth/[/]9.png" in await confirm(pilot)
        await pilot.pause(0.1)
    (run,) = [command["request"] for command in client.sent if command["cmd"] == "run"]
    assert run["rise_images"] == "smooth/[/]9.png"
    assert (run["models"], run["datasets"]) == ((MODEL,), (DATASET,))


async def test_saving_writes_what_is_shown_and_runs_nothing(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    explain_more(tmp_path)
    with Store(tmp_path / "store", read_only=True) as store:
        stored = store.read(KEYS["saliency"], SaliencyRecord)
    app, client = make_app(done=True, hold=3)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await opened(pilot)
        await until(pilot, "image 1 of 3")
        await pilot.press("c", "x")
        await until(pilot, "saved", 3000)  # matplotlib is imported with the first picture
        await pilot.press("right", "x")
        for _ in range(1000):
            await pilot.pause(0.02)
            if len(found := sorted(tmp_path.glob("exports/saliency-*/*.png"))) == 2:
                break
    smooth = next(path for path in found if path.stem.endswith("_smooth"))
    second = next(path for path in found if path != smooth)
    assert second.name.startswith(f"rise_{MODEL}_{DATASET}_smooth-000.png")
    # The class that was chosen by `c`: its values, and no score, which is stored for the first class alone.
    np.testing.assert_array_equal(np.load(smooth.with_suffix(".npy")), stored.arrays["class_maps"][0, 1])
    np.testing.assert_array_equal(np.load(second.with_suffix(".npy")), stored.arrays["maps"][1])
    with Image.open(smooth) as picture:
        said = json.loads(picture.text["parameters"])
        assert (said["explained"], said["score"], said["masks"]) == ("smooth", None, 512)
        assert np.asarray(picture).std() > 20
    assert {command["cmd"] for command in client.sent} == {"survey"}


async def test_more_masks_are_asked_for_exactly_as_those_there(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    params = SaliencyParams(
        masks=900, cells=5, seed=3, images_per_class=2, estimator="reduced", fill="blur", stop_error=0.1, explain=("*",)
    )
    with Store(tmp_path / "store") as store:
        first = store.read(KEYS["saliency"], SaliencyRecord)
        store.put_result("tuned-probe", {}, replace(ProbeRecord.example(), protocol="tuned"))
        store.discard(f"result/{KEYS['saliency']}")
        # It stopped early, at its stated error.
        record = replace(first.record, masks=512, masks_asked=900, params=params, probe="tuned-probe")
        store.put_result(KEYS["saliency"], first.arrays, record)
    app, client = make_app(done=True, hold=3)
    async with app.run_test(size=(160, 48)) as pilot:
        await opened(pilot)
        await until(pilot, "image 1 of 3")
        await pilot.press("plus")
        screen = await confirm(pilot)
        assert "512 more masks for 3 images, added to the 512 there" in screen
        await pilot.pause(0.1)
    (run,) = [RunRequest.from_record(command["request"]) for command in client.sent if command["cmd"] == "run"]
    assert run.of(SaliencyParams) == replace(params, masks=1024, stop_error=0.0)
    assert run.protocols == ("tuned",)
    assert run.stages == ("extract", "probe", "saliency", "report")


def test_what_release_0_1_0_stored_of_its_parameters_is_asked_for_again() -> None:
    example = SaliencyRecord.example()
    item = replace(example.items[0], image="a.png", explained_classes=("none", "smooth"))
    record = replace(
        example,
        params=None,
        masks_asked=64,
        cells=4,
        seed=1,
        baseline="blur",
        estimator="reduced",
        items=(item, replace(item, image="b,c.png")),
    )
    expected = SaliencyParams(
        64, 4, seed=1, images=("a.png", "b,c.png"), estimator="reduced", fill="blur", explain=("none", "smooth")
    )
    assert asked(record) == expected
    assert RunRequest().having(expected).of(SaliencyParams) == expected


async def test_maps_grow_while_masks_come_in(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    app, client = make_app(hold=15)
    rng = np.random.default_rng(0)

    def so_far(masks: int, error: float = 0.01) -> None:
        item = {"image": "a/0.png", "label": "none", "predicted": "smooth", "explained": "smooth", "masks": masks}
        maps = rng.random((1, 32, 32)).astype(np.float32)
        arrays = {"images": np.full((1, 32, 32, 3), 90, np.uint8), "maps": maps, "errors": np.full_like(maps, error)}
        with Store(tmp_path / "store") as store:
            store.discard("result/far")
            store.put_result("far", arrays, {"items": [item], "masks_asked": 4096, "classes": ["none", "smooth"]})

    async with app.run_test(size=(160, 48)) as pilot:
        await until(pilot, "try the phantom")
        await pilot.press("enter")
        await confirm(pilot)
        await until(pilot, "probe")
        client.say(events.StepStarted(STEP))
        await pilot.press("f6")
        so_far(256)
        client.say(events.PreviewReady(STEP, "saliency", "far", 256))
        screen = await until(pilot, "256 / 4,096 masks · standard error 0.0")
        assert "masks come in" in screen
        assert "mostly noise" not in screen
        so_far(1536, error=0.2)  # of values whose spread is about 0.29
        client.say(events.PreviewReady(STEP, "saliency", "far", 1536))
        await until(pilot, "1,536 / 4,096 masks")
        screen = await until(pilot, "mostly noise so far")
        assert "mostly noise: 0." in screen
        await pilot.press("s", "x", "plus")  # nothing here ends the run or starts another
        await pilot.pause(0.1)
        assert app.screen.place == "saliency"
    assert [command["cmd"] for command in client.sent if command["cmd"] not in ("survey", "plan")] == ["run"]


def test_a_curve_is_a_line_of_bars_and_nothing_known_is_nothing_said() -> None:
    assert sparkline([0.0, 1.0, 0.5]) == "▁█▅"
    assert sparkline([2.0, 2.0]) == "▁▁"
    item = replace(SaliencyRecord.example().items[0], quality=MapQuality())
    assert quality(item).plain == ""
    assert quality(replace(item, constant=True)).plain.startswith("the map is flat")


def test_the_share_of_pixels_that_costs_half_the_probability() -> None:
    assert half_gone([0.8, 0.7, 0.4, 0.1, 0.0]) == 50
    assert half_gone([0.8, 0.7, 0.6]) is None
    assert half_gone([]) is None
    item = SaliencyRecord.example().items[0]
    said = quality(replace(item, quality=MapQuality(deletion=0.2, deletion_curve=(1.0, 0.4, 0.2)))).plain
    assert said.startswith("half the probability is gone after 50 % of the pixels   deletion 0.20 of 1, less is better")


async def test_lesion_error_and_scale_are_drawn(make_app, tmp_path: Path) -> None:
    fill_store(tmp_path)
    with Store(tmp_path / "store") as store:
        first = store.read(KEYS["saliency"], SaliencyRecord)
        store.discard(f"result/{KEYS['saliency']}")
        lesions = np.zeros((3, 64, 64), bool)
        lesions[0, 16:48, 16:48] = True
        maps = np.linspace(-0.5, 2.0, 3 * 64 * 64).reshape(3, 64, 64).astype(np.float32)
        arrays = {**first.arrays, "maps": maps, "errors": np.full_like(maps, 0.25), "lesions": lesions}
        store.put_result(KEYS["saliency"], arrays, first.record)
    app, _ = make_app(done=True)

    def pink() -> int:
        strips = [app.screen.query_one("#image").render_line(y) for y in range(20)]
        return sum(str(part.style).count("#ff40c8") for strip in strips for part in strip)

    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await opened(pilot)
        screen = await until(pilot, "image 1 of 3")
        assert f"{maps[0].min():.3g}" in screen, "the colour scale names its ends"
        assert f"{maps[0].max():.3g}" in screen
        assert pink() > 20
        await pilot.press("l")
        await pilot.pause(0.05)
        assert pink() == 0
        await pilot.press("e")
        assert "0.25" in await until(pilot, "standard error")
        await pilot.press("right", "l")
        await until(pilot, "no mask of a lesion is known")
