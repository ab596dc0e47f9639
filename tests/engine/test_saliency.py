"""RISE against its formula with every mask in memory, on a small network made here."""

import numpy as np
import pytest
import torch
from made_jobs import Bench, table_of
from PIL import Image

from medvlm_tui.core.params import ProbeParams, RunRequest, SaliencyParams
from medvlm_tui.engine import saliency
from medvlm_tui.engine.masks import CHUNK, MaskStream
from medvlm_tui.engine.saliency_quality import STEPS
from medvlm_tui.errors import Cancelled, UsageError

SIDE = 32
DIM = 4


class StubEncoder:
    """Four fixed nonlinear readings of a 32 x 32 image; counts what it is given."""

    device = "cpu"

    def __init__(self):
        self.weights = torch.randn(3 * SIDE * SIDE, DIM, generator=torch.Generator().manual_seed(0)) / 30
        self.seen = 0
        self.largest_batch = 0

    def preprocess(self, image):
        pixels = torch.from_numpy(np.array(image.resize((SIDE, SIDE)), dtype=np.float32))
        return pixels.permute(2, 0, 1) / 127.5 - 1

    def display(self, pixels):
        return ((pixels.permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8).numpy()

    def encode(self, pixels):
        self.seen += len(pixels)
        self.largest_batch = max(self.largest_batch, len(pixels))
        return torch.tanh(pixels.flatten(1) @ self.weights)


@pytest.fixture
def encoder(monkeypatch):
    stub = StubEncoder()
    monkeypatch.setattr(saliency, "load_encoder", lambda *_: stub)
    return stub


@pytest.fixture
def make_bench(tmp_path, encoder):
    """A bench whose probe is done on 40 made images of two classes."""
    rng = np.random.default_rng(0)
    paths, rows = {}, []
    codes = np.arange(40) % 2
    for i, code in enumerate(codes):
        pixels = rng.integers(0, 120, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[8:20, 8:20] += np.uint8(100 * code)
        paths[f"i{i}"] = tmp_path / f"{i}.png"
        Image.fromarray(pixels).save(paths[f"i{i}"])
        rows.append(encoder.encode(encoder.preprocess(Image.fromarray(pixels))[None])[0].numpy())
    table = table_of(np.stack(rows), codes, names=("a", "b"))

    def make(name="bench", cancelled=lambda: False):
        bench = Bench(tmp_path / name, table, paths=paths)
        bench.run("probe", ProbeParams())
        bench.context = type(bench.context)(bench.store, cancelled)
        return bench

    return make


def plain_map(encoder, arrays, pixels, explained, params):
    """The formula, with all masks and masked images in memory."""
    stream = MaskStream(params.cells, params.probability, params.seed, SIDE, SIDE)
    chunks = range(-(-params.masks // CHUNK))
    masks = torch.cat([stream.masks(chunk, CHUNK, "cpu") for chunk in chunks])[: params.masks].double()
    features = encoder.encode((pixels[None] * masks[:, None]).float()).double().numpy()
    scaled = (features - arrays["final_mean"]) / arrays["final_scale"]
    scores = scaled @ arrays["final_coef"][explained] + arrays["final_intercept"][explained]
    weighted = scores[:, None, None] * masks.numpy()
    error = weighted.std(axis=0, ddof=1) / np.sqrt(params.masks) / params.probability
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


def test_an_interrupted_run_goes_on_and_gives_the_same_map(make_bench, encoder):
    params, request = SaliencyParams(masks=700, cells=5), RunRequest(batch_size=64)
    whole, arrays, _ = make_bench("whole").run("saliency", params, request)
    asked = []
    stopping = make_bench("stopped", lambda: len(asked) > 12 or asked.append(1) is not None)
    encoder.seen = 0
    with pytest.raises(Cancelled):
        stopping.run("saliency", params, request)
    first = encoder.seen
    stored = stopping.store.keys("rise/")
    assert len(stored) == 1
    stopping.context = type(stopping.context)(stopping.store, lambda: False)
    encoder.seen = 0
    again, resumed, _ = stopping.run("saliency", params, request)
    np.testing.assert_array_equal(arrays["maps"], resumed["maps"])
    np.testing.assert_array_equal(arrays["scores"], resumed["scores"])
    assert whole["items"] == again["items"]
    curves = 2 * 2 * (STEPS + 1)
    assert encoder.seen == 2 + 2 * (700 - CHUNK) + curves
    assert first > 2 * CHUNK
    assert stopping.store.keys("rise/") == []


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
    probe = bench.store.result("probe-key-0")
    ids = [f"i{row}" for row in range(40)]
    one = saliency.chosen_rows(SaliencyParams(images_per_class=1), ids, probe)
    three = saliency.chosen_rows(SaliencyParams(images_per_class=3), ids, probe)
    assert set(one) <= set(three)
    assert len(three) == 6
    assert set(three) <= set(probe.arrays["hold_out"].tolist())
    assert len(saliency.chosen_rows(SaliencyParams(images_per_class=99), ids, probe)) == len(probe.arrays["hold_out"])


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
    assert encoder.seen == 2 + 2 * 300 + 2 * 2 * (STEPS + 1)
    assert arrays["class_maps"].shape == (2, 2, SIDE, SIDE)
    np.testing.assert_allclose(arrays["class_maps"][:, 0], -arrays["class_maps"][:, 1], atol=1e-5)
    assert record["items"][0]["explained_classes"] == ["a", "b"]


def test_two_workers_share_the_masks(make_bench, encoder):
    params = SaliencyParams(masks=600, cells=5)
    alone = make_bench("alone").run("saliency", params)[1]["maps"]
    bench = make_bench("shared")
    jobs = []
    original = saliency.prepare

    def caught(job, context, chosen):
        jobs.append(job)
        return original(job, context, chosen)

    saliency.prepare, before = caught, saliency.prepare
    try:
        with pytest.raises(UsageError):
            bench.run("saliency", SaliencyParams(masks=0))
    finally:
        saliency.prepare = before
    from dataclasses import asdict, replace

    job = replace(jobs[0], step=replace(jobs[0].step, params=asdict(params)))
    assert list(saliency.score_share(job, bench.context, 0, 2)) == [0, 2]
    assert list(saliency.score_share(job, bench.context, 1, 2)) == [1]
    encoder.seen = 0
    together = bench.run("saliency", params)[1]["maps"]
    assert encoder.seen == 2 + 2 * 2 * (STEPS + 1)
    np.testing.assert_array_equal(alone, together)


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
