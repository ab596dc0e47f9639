"""RISE against its formula with every mask in memory, on a small network made here."""

import json
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize

from medvlm_tui.core.events import PreviewReady
from medvlm_tui.core.plan import Plan, Step
from medvlm_tui.core.store.contents import contents
from medvlm_tui.core.store.prune import Filter, choose, remove
from medvlm_tui.engine.saliency import explained_images, masking
from medvlm_tui.engine.saliency import preview as saliency_preview
from medvlm_tui.engine.saliency.masks import CHUNK, MaskStream
from medvlm_tui.engine.saliency.quality import STEPS
from medvlm_tui.errors import Cancelled, MedvlmError, UsageError
from medvlm_tui.report.results.run_results import Gathered, ReportInput
from medvlm_tui.report.saliency.one_map import draw_saliency
from medvlm_tui.stages.params.saliency import SaliencyParams
from medvlm_tui.stages.records.probe import ProbeRecord
from medvlm_tui.stages.records.saliency import SaliencyRecord
from medvlm_tui.stages.request import RunRequest
from medvlm_tui.tui.saliency.words import asked
from tests.made.saliency import KILLED, SIDE, StubEncoder, bench_of

CURVES = 2 * 2 * (STEPS + 1)  # images that two perturbation curves of two images take


@pytest.fixture
def encoder():
    return StubEncoder()


@pytest.fixture
def make_bench(tmp_path, encoder):
    return lambda name="bench", cancelled=lambda: False: bench_of(tmp_path, name, encoder, cancelled)


def plain_map(encoder, arrays, pixels, explained, params):
    """The formula, with all masks and masked images in memory."""
    stream = MaskStream(params.cells, params.probability, params.seed, SIDE, SIDE)
    chunks = range(-(-params.masks // CHUNK))
    masks = torch.cat([stream.masks(chunk, CHUNK, "cpu") for chunk in chunks])[: params.masks].double()
    features = encoder.encode((pixels[None] * masks[:, None]).float()).double().numpy()
    scaled = (features - arrays["final_mean"]) / arrays["final_scale"]
    scores = scaled @ arrays["final_coef"][explained] + arrays["final_intercept"][explained]
    weighted = scores[:, None, None] * masks.numpy()
    centred = scores[:, None, None] * (masks - masks.mean(dim=(1, 2), keepdim=True)).numpy()
    error = centred.std(axis=0, ddof=1) / np.sqrt(params.masks) / params.probability
    return weighted.sum(axis=0) / (params.masks * params.probability), error


def test_map_is_the_formula(make_bench, encoder):
    bench = make_bench()
    probe = bench.store.result("probe-key-0")
    params = SaliencyParams(masks=600, cells=5, seed=3, images_per_class=2)
    record, arrays, _ = bench.run("saliency", params, RunRequest(batch_size=50))
    assert arrays["images"].shape == (4, SIDE, SIDE, 3)
    assert arrays["images"].dtype == np.uint8
    assert arrays["maps"].shape == (4, SIDE, SIDE)
    assert encoder.largest_batch <= 50
    held = {f"i{row}" for row in probe.arrays["hold_out"]}
    for item, found, error in zip(record["items"], arrays["maps"], arrays["errors"], strict=True):
        assert item["image"] in held
        with Image.open(bench.dataset.samples[int(item["image"][1:])].path) as image:
            pixels = encoder.preprocess(image)
        explained = probe.record["classes"].index(item["explained"])
        wanted, wanted_error = plain_map(encoder, probe.arrays, pixels, explained, params)
        np.testing.assert_allclose(found, wanted, atol=1e-5)
        np.testing.assert_allclose(error, wanted_error, rtol=1e-4)
        assert item["predicted"] == item["explained"]
        row = np.flatnonzero(probe.arrays["hold_out"] == int(item["image"][1:]))[0]
        assert item["score"] == pytest.approx(probe.arrays["final_scores"][row, explained], abs=1e-5)
        assert item["score"] == pytest.approx(probe.arrays["final_scores"][row].max(), abs=1e-5)
    labels = [item["label"] for item in record["items"]]
    assert labels == ["a", "a", "b", "b"]
    assert (record["masks"], record["cells"], record["probability"]) == (600, 5, 0.5)
    assert (record["estimator"], record["baseline"]) == ("plain", "mean")
    stored = bench.store.read(bench.keys["saliency"], SaliencyRecord)
    assert asked(stored.record) == SaliencyParams(600, 5, seed=3, images_per_class=2)


def test_masks_depend_on_seed_and_number_alone():
    stream = MaskStream(7, 0.5, 0, SIDE, SIDE)
    third = stream.masks(2, CHUNK, "cpu")
    torch.testing.assert_close(third[:10], stream.masks(2, 10, "cpu"), rtol=0, atol=0)
    assert not torch.equal(third, stream.masks(1, CHUNK, "cpu"))
    assert not torch.equal(third, MaskStream(7, 0.5, 1, SIDE, SIDE).masks(2, CHUNK, "cpu"))
    assert third.shape == (CHUNK, SIDE, SIDE)
    assert float(third.min()) >= 0
    assert float(third.max()) <= 1


def test_masks_are_half_open_everywhere_and_shifted():
    stream = MaskStream(7, 0.5, 0, 70, 70)
    masks = torch.cat([stream.masks(chunk, CHUNK, "cpu") for chunk in range(4)])
    mean = masks.mean(dim=0)
    # 1024 masks: the standard error of an open share of 1/2 is 0.016 where a mask is 0 or 1.
    assert float((mean - 0.5).abs().max()) < 5 * 0.016
    _, shift = stream.draw(0)
    assert shift.min() >= 0
    assert shift.max() <= 9  # a cell is 10 px
    assert len(np.unique(shift[:, 0])) == 10
    assert float(MaskStream(7, 0.2, 0, 70, 70).masks(0, CHUNK, "cpu").mean()) == pytest.approx(0.2, abs=0.02)


def test_mask_is_the_up_sampled_grid_cut_at_its_shift():
    stream = MaskStream(4, 0.5, 5, 30, 30)  # cells of 8 px, up-sampled to 40 px
    grid, shift = stream.draw(0)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(grid[3][None, None]), (40, 40), mode="bilinear")[0, 0]
    y, x = shift[3]
    torch.testing.assert_close(stream.masks(0, 5, "cpu")[3], wanted[y : y + 30, x : x + 30], rtol=0, atol=1e-6)


def test_batch_size_changes_nothing_but_rounding(make_bench):
    params = SaliencyParams(masks=300, cells=5)
    small = make_bench("1").run("saliency", params, RunRequest(batch_size=7))[1]["maps"]
    large = make_bench("2").run("saliency", params, RunRequest(batch_size=256))[1]["maps"]
    np.testing.assert_allclose(small, large, atol=1e-5)


def test_an_interrupted_run_goes_on_and_gives_the_same_map(tmp_path, make_bench, encoder):
    params, request = KILLED
    whole, arrays, _ = make_bench("whole").run("saliency", params, request)
    # After both images' first ranges of 256 masks, in the first image's second range.
    encoder.seen = 0
    stopping = make_bench("stopped", lambda: encoder.seen > 2 + 2 * CHUNK + 64)
    with pytest.raises(Cancelled):
        stopping.run("saliency", params, request)
    stored = {key: stopping.store.get(key) for key in stopping.store.keys("rise/")}
    assert stored
    assert choose(list(contents(stopping.store, tmp_path)), Filter()) == []
    stopping.context = replace(stopping.context, cancelled=lambda: False)
    encoder.seen = 0
    again, resumed, _ = stopping.run("saliency", params, request)
    np.testing.assert_array_equal(arrays["maps"], resumed["maps"])
    np.testing.assert_array_equal(arrays["scores"], resumed["scores"])
    assert whole["items"] == again["items"]
    for key, value in stored.items():  # as a run leaves them that is killed after its result and before it tidies up
        stopping.store.put(key, value)
    remove(stopping.store, choose(list(contents(stopping.store, tmp_path)), Filter()))
    # What stays says of each image which result holds its scores.
    assert [key.rpartition("/")[2] for key in stopping.store.keys("rise/")] == ["result", "result"]
    assert encoder.seen == 2 + 2 * 700 - len(stored) * CHUNK + CURVES


def test_more_masks_cost_only_those_that_are_added(make_bench, encoder):
    fewer, more = SaliencyParams(masks=2 * CHUNK, cells=5), SaliencyParams(masks=4 * CHUNK, cells=5)
    _, at_once, _ = make_bench("whole").run("saliency", more)
    bench = make_bench("stepwise")
    bench.run("saliency", fewer)
    encoder.seen = 0
    _, added, _ = bench.run("saliency", more)
    assert encoder.seen == 2 + 2 * (4 - 2) * CHUNK + CURVES
    np.testing.assert_array_equal(at_once["scores"], added["scores"])
    np.testing.assert_array_equal(at_once["maps"], added["maps"])
    encoder.seen = 0  # and fewer masks, or other images among them, cost none
    bench.run("saliency", SaliencyParams(masks=CHUNK, cells=5))
    assert encoder.seen == 2 + CURVES
    encoder.seen = 0  # the larger result is still the one that is found
    bench.run("saliency", SaliencyParams(masks=5 * CHUNK, cells=5))
    assert encoder.seen == 2 + 2 * CHUNK + CURVES


def test_a_result_that_is_gone_is_not_gone_on_from(make_bench, encoder):
    bench = make_bench()
    bench.run("saliency", SaliencyParams(masks=CHUNK, cells=5))
    for key in bench.store.keys("result/"):
        if "saliency" in key:
            bench.store.discard(key)
    encoder.seen = 0
    bench.run("saliency", SaliencyParams(masks=2 * CHUNK, cells=5))
    assert encoder.seen == 2 + 2 * 2 * CHUNK + CURVES


def test_a_killed_run_goes_on_from_the_ranges_that_it_stored(tmp_path, make_bench, encoder):
    """SIGKILL inside the second image's second range: three ranges of 256 masks are kept."""
    _, arrays, _ = make_bench("whole").run("saliency", *KILLED)
    line = [sys.executable, "-m", "tests.made.saliency", tmp_path, str(2 + 3 * CHUNK + 100)]
    done = subprocess.run([str(part) for part in line], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    bench = make_bench("killed")
    assert len(bench.store.keys("rise/")) == 3
    encoder.seen = 0
    _, resumed, _ = bench.run("saliency", *KILLED)
    assert encoder.seen == 2 + 2 * 700 - 3 * CHUNK + CURVES
    np.testing.assert_array_equal(arrays["maps"], resumed["maps"])


def test_maps_grow_while_masks_come_in(make_bench, encoder, monkeypatch):
    monkeypatch.setattr(saliency_preview, "_EVERY_S", 0.0)
    monkeypatch.setattr(saliency_preview, "_SHARE", 1e9)
    monkeypatch.setattr(masking, "PROGRESS_S", 0.0)
    bench, seen = make_bench(), []
    for event in bench.stream("saliency", *KILLED):
        if isinstance(event, PreviewReady):
            found = bench.store.result(event.key)
            seen.append([item["masks"] for item in found.record["items"]])
            last = found.arrays["maps"], event.key
    assert seen[0] == [64, 0]
    assert [256, 64] in seen
    assert seen == sorted(seen, key=sum)
    final = bench.store.result(bench.keys["saliency"]).arrays["maps"]
    assert last[0].shape == final.shape
    np.testing.assert_allclose(last[0][0], final[0], atol=1e-6)  # all 700 masks of the first image
    assert not np.allclose(last[0][1], final[1], atol=1e-6)
    assert bench.store.result(last[1]) is None


def test_named_images_are_explained_and_others_refused(make_bench):
    bench = make_bench()
    probe = bench.store.result("probe-key-0").arrays
    held, trained = f"i{probe['hold_out'][2]}", f"i{np.flatnonzero(probe['fold'] >= 0)[0]}"
    record, _, _ = bench.run("saliency", SaliencyParams(masks=10, images=(held, held)))
    assert [item["image"] for item in record["items"]] == [held]
    with pytest.raises(UsageError, match=f"{trained} is in the training part") as refused:
        bench.run("saliency", SaliencyParams(masks=10, images=(trained,)))
    assert "hold-out images: i" in refused.value.hint
    with pytest.raises(UsageError, match="not among"):
        bench.run("saliency", SaliencyParams(masks=10, images=("nobody",)))


def test_asking_for_more_images_keeps_those_already_drawn(make_bench):
    bench = make_bench()
    probe = bench.store.read("probe-key-0", ProbeRecord)
    ids = [f"i{row}" for row in range(40)]
    one = explained_images.chosen_rows(SaliencyParams(images_per_class=1), ids, probe)
    three = explained_images.chosen_rows(SaliencyParams(images_per_class=3), ids, probe)
    assert set(one) <= set(three)
    assert len(three) == 6
    assert set(three) <= set(probe.arrays["hold_out"].tolist())
    assert len(explained_images.chosen_rows(SaliencyParams(images_per_class=99), ids, probe)) == len(
        probe.arrays["hold_out"]
    )


@pytest.mark.parametrize(
    "params", [SaliencyParams(masks=0), SaliencyParams(cells=0), SaliencyParams(images_per_class=0)]
)
def test_parameters_outside_their_range_are_refused(make_bench, params):
    with pytest.raises(UsageError):
        make_bench().run("saliency", params)


def test_out_of_memory_halves_the_batch(make_bench, encoder, monkeypatch):
    plain = encoder.encode

    def crowded(pixels):
        if len(pixels) > 20:
            raise RuntimeError("CUDA out of memory")
        return plain(pixels)

    monkeypatch.setattr(encoder, "encode", crowded)
    record, arrays, _ = make_bench().run("saliency", SaliencyParams(masks=60), RunRequest(batch_size=64))
    assert len(record["items"]) == 2
    assert np.isfinite(arrays["maps"]).all()


def test_the_reduced_map_agrees_with_the_plain_one_and_says_what_it_is(make_bench):
    plain = make_bench("plain").run("saliency", SaliencyParams(masks=4096, cells=5))[1]["maps"]
    params = SaliencyParams(masks=1024, cells=5, estimator="reduced")
    record, arrays, _ = make_bench("reduced").run("saliency", params)
    assert record["estimator"] == "reduced"
    assert "mean score" in record["offset"]
    for one, other in zip(plain, arrays["maps"], strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9


def test_a_run_stops_at_the_stated_error(make_bench, encoder):
    params = SaliencyParams(masks=4096, cells=5, estimator="reduced", stop_error=0.5)
    record, arrays, _ = make_bench().run("saliency", params)
    assert record["masks"] < 4096 == record["masks_asked"]
    assert arrays["scores"].shape[1] == record["masks"]
    assert all(item["relative_error"] <= 0.5 for item in record["items"])


def test_every_class_comes_from_the_same_forward_passes(make_bench, encoder):
    bench = make_bench()
    encoder.seen = 0
    record, arrays, _ = bench.run("saliency", SaliencyParams(masks=300, cells=5, explain=("*",)))
    assert encoder.seen == 2 + 2 * 300 + CURVES
    assert arrays["class_maps"].shape == (2, 2, SIDE, SIDE)
    np.testing.assert_allclose(arrays["class_maps"][:, 0], -arrays["class_maps"][:, 1], atol=1e-5)
    assert record["items"][0]["explained_classes"] == ["a", "b"]


def test_images_share_the_masks_of_one_stream(make_bench, encoder):
    """A map does not depend on which images are explained beside it."""
    bench = make_bench()
    record, both, _ = bench.run("saliency", SaliencyParams(masks=300, cells=5))
    name = record["items"][1]["image"]
    _, alone, _ = bench.run("saliency", SaliencyParams(masks=300, cells=5, images=(name,)))
    np.testing.assert_array_equal(both["maps"][1], alone["maps"][0])


def test_a_probe_of_another_feature_is_refused(make_bench):
    bench = make_bench()
    probe = bench.store.result(bench.keys["probe"])
    for name, changed in (
        ("final_mean", probe.arrays["final_mean"] + 1),
        ("final_coef", probe.arrays["final_coef"][:, :3]),
    ):
        bench.store.put_result(f"other-{name}", {**probe.arrays, name: changed}, probe.record)
        bench.keys["probe"] = f"other-{name}"
        with pytest.raises(MedvlmError, match="the probe was fitted to"):
            bench.run("saliency", SaliencyParams(masks=10))


def test_a_constant_map_says_so(make_bench):
    bench = make_bench()
    probe = bench.store.result(bench.keys["probe"])
    coef = np.zeros_like(probe.arrays["final_coef"])
    scores = np.tile(probe.arrays["final_intercept"], (len(probe.arrays["hold_out"]), 1))
    bench.store.put_result("flat", {**probe.arrays, "final_coef": coef, "final_scores": scores}, probe.record)
    bench.keys["probe"] = "flat"
    record, arrays, _ = bench.run("saliency", SaliencyParams(masks=64, cells=5, estimator="reduced"))
    assert all(item["constant"] for item in record["items"])
    assert np.ptp(arrays["maps"][0]) == 0
    assert not any(item["mostly_noise"] for item in record["items"])  # flat is another thing than noisy
    assert record["items"][0]["quality"]["insertion"] is None
    assert record["items"][0]["quality"]["mass_lesion"] is None
    assert "insertion" not in record["quality"]


def test_insertion_and_deletion_are_areas_under_the_curve_of_the_class_probability(make_bench, encoder):
    """Pixel by pixel: insertion starts from the blurred image, deletion ends at the fill, probability by Platt."""
    bench = make_bench()
    probe = bench.store.result(bench.keys["probe"])
    record, arrays, _ = bench.run("saliency", SaliencyParams(masks=300, cells=5, fill="black"))
    arrays_of = probe.arrays
    known = ~np.isnan(arrays_of["scores_validation"]).any(axis=1)
    sigmoids = [
        _sigmoid_of(arrays_of["scores_validation"][known, c], arrays_of["labels"][known] == c) for c in range(2)
    ]
    for item, values in zip(record["items"], arrays["maps"], strict=True):
        with Image.open(bench.dataset.samples[int(item["image"][1:])].path) as image:
            pixels = encoder.preprocess(image).numpy()
        explained = probe.record["classes"].index(item["explained"])
        black = np.full_like(pixels, -1.0)
        order = np.argsort(-values.astype(np.float64).ravel(), kind="stable")
        curves = {"insertion": [], "deletion": []}
        for step in range(STEPS + 1):
            first = np.zeros(SIDE * SIDE, dtype=bool)
            first[order[: int(np.ceil(step * SIDE * SIDE / STEPS))]] = True
            first = first.reshape(SIDE, SIDE)
            for name, (inside, outside) in {
                "insertion": (pixels, _blurred(pixels)), "deletion": (black, pixels),
            }.items():  # fmt: skip
                shown = torch.from_numpy(np.where(first, inside, outside)[None].astype(np.float32))
                scaled = (encoder.encode(shown).double().numpy() - arrays_of["final_mean"]) / arrays_of["final_scale"]
                scores = (scaled @ arrays_of["final_coef"].T + arrays_of["final_intercept"])[0]
                each = np.array([1 / (1 + np.exp(-(a * f + b))) for (a, b), f in zip(sigmoids, scores, strict=True)])
                curves[name].append(each[explained] / each.sum())
        for name, curve in curves.items():
            area = (np.sum(curve) - (curve[0] + curve[-1]) / 2) / STEPS
            assert item["quality"][name] == pytest.approx(area, abs=2e-3), name
            assert 0 <= item["quality"][name] <= 1
        # Both end at the image itself, whose probability the probe has stored.
        row = np.flatnonzero(arrays_of["hold_out"] == int(item["image"][1:]))[0]
        stored = arrays_of["final_probabilities"][row, explained]
        assert item["quality"]["insertion_curve"][-1] == pytest.approx(stored, abs=1e-5)
        assert item["quality"]["deletion_curve"][0] == pytest.approx(stored, abs=1e-5)
    assert record["curve_points"] == len(record["items"][0]["quality"]["insertion_curve"]) == STEPS + 1
    assert not any(name.endswith("_raw") for item in record["items"] for name in item["quality"])


def _sigmoid_of(scores, positive):
    """Slope and offset of Platt's sigmoid by scipy's minimiser, on the targets of Lin, Lin and Weng 2007."""
    n, m = positive.sum(), (~positive).sum()
    target = np.where(positive, (n + 1) / (n + 2), 1 / (m + 2))

    def loss(x):
        f = x[0] * scores + x[1]
        return np.sum(np.logaddexp(0, f) - target * f)

    return minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-9}).x


def _blurred(pixels):
    """A Gaussian of a twentieth of the side, cut at three standard deviations, edges repeated: by scipy."""
    sigma = 0.05 * SIDE
    axes = (0, sigma, sigma)
    return gaussian_filter(pixels.astype(np.float64), axes, mode="nearest", radius=(0, int(3 * sigma), int(3 * sigma)))


def test_a_map_whose_error_exceeds_half_its_spread_is_marked(make_bench):
    few, many = (
        make_bench(name).run("saliency", SaliencyParams(masks=count, cells=5, estimator=estimator))[0]["items"]
        for name, count, estimator in (("few", 16, "plain"), ("many", 1024, "reduced"))
    )
    assert all(item["relative_error"] > 0.5 and item["mostly_noise"] for item in few)
    assert not any(item["mostly_noise"] for item in many)
    (unknown, *_) = make_bench("one").run("saliency", SaliencyParams(masks=1))[0]["items"]
    assert (unknown["relative_error"], unknown["mostly_noise"]) == (None, True)


def test_more_cells_than_pixels(make_bench):
    record, arrays, _ = make_bench().run("saliency", SaliencyParams(masks=300, cells=40))
    assert record["cells"] == 40
    assert np.isfinite(arrays["maps"]).all()
    assert np.ptp(arrays["maps"][0]) > 0


def test_a_class_that_the_probe_does_not_know_is_refused(make_bench):
    with pytest.raises(UsageError, match="does not know the class c"):
        make_bench().run("saliency", SaliencyParams(masks=10, explain=("c",)))


@pytest.mark.parametrize("fill", ["black", "blur"])
def test_other_fills_give_other_maps(make_bench, fill):
    bench = make_bench()
    usual = bench.run("saliency", SaliencyParams(masks=64, cells=5))[1]["maps"]
    record, arrays, _ = bench.run("saliency", SaliencyParams(masks=64, cells=5, fill=fill))
    assert record["baseline"] == fill
    assert np.isfinite(arrays["maps"]).all()
    assert not np.allclose(usual, arrays["maps"])


def test_the_parameters_in_the_png_give_the_map_back_bit_for_bit(make_bench, tmp_path):
    bench = make_bench()
    asked = SaliencyParams(masks=300, cells=5, seed=4, estimator="reduced", explain=("b",), images_per_class=2)
    _, arrays, _ = bench.run("saliency", asked, RunRequest(batch_size=48))
    known = chunk_of(drawn_figure(bench, tmp_path, place=1))
    assert known["key"] == bench.keys["saliency"]
    again = SaliencyParams(
        masks=known["masks"], cells=known["cells"], probability=known["probability"], seed=known["seed"],
        images=(known["image"],), estimator=known["estimator"], fill=known["baseline"], explain=(known["explained"],),
    )  # fmt: skip
    assert (known["probe"], known["threads"]) == (bench.keys["probe"], torch.get_num_threads())
    _, found, _ = bench.run("saliency", again, RunRequest(batch_size=known["batch_size"]))
    np.testing.assert_array_equal(found["maps"][0], arrays["maps"][1])


def drawn_figure(bench, folder, place):
    """Draw one image of the last saliency result as the report does; return the PNG."""
    key = bench.keys["saliency"]
    job, result = bench.job("saliency", {}), bench.store.result(key)
    step = Step("saliency:stub:made", "saliency", "stub", "made", {}, key)
    models, datasets = {"stub": job.model}, {"made": bench.dataset}
    source = ReportInput("run", Plan("run", (step,)), RunRequest(), models, datasets, bench.store)
    explained = Gathered(source).explained[0]
    path = folder / "map.png"
    draw_saliency(path, explained, explained.items[place], result.arrays["images"][place], result.arrays["maps"][place])
    return path


def chunk_of(path):
    """Decompress the PNG's text chunk by hand: a reader that knows nothing of this program."""
    data, place = path.read_bytes(), 8
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        body = data[place + 8 : place + 8 + length]
        name, _, text = body.partition(b"\0")
        if name == b"parameters" and kind in (b"tEXt", b"zTXt"):
            return json.loads(zlib.decompress(text[1:]) if kind == b"zTXt" else text)
        place += 12 + length
    raise AssertionError("no parameters in the PNG")
