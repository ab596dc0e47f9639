"""What is said of maps over images: masses beside the areas of the same images, shares with their own intervals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from medvlm_tui.engine.saliency.quality import MEASURES, Regions, map_quality, quality_table
from medvlm_tui.stages.records.saliency import MapQuality, SaliencyRecord

SIDE = 20


def regions(lesion=None, text=None):
    found = []
    for box in (lesion, text):
        inside = np.zeros((SIDE, SIDE), dtype=bool)
        if box is not None:
            inside[box[1] : box[3], box[0] : box[2]] = True
        found.append(inside)
    return Regions(*found)


def item(quality, label="a", predicted="a", noise=False):
    return replace(
        SaliencyRecord.example().items[0],
        quality=MapQuality(**quality),
        label=label,
        predicted=predicted,
        mostly_noise=noise,
    )


def test_an_area_is_defined_where_there_is_a_region_only():
    values = np.random.default_rng(0).random((SIDE, SIDE))
    found = map_quality(values, regions(lesion=(2, 2, 7, 6)))
    positive = np.maximum(values - values.mean(), 0)
    mass = positive[2:6, 2:7].sum() / positive.sum()
    assert found["area_lesion"] == 20 / 400
    assert found["mass_lesion"] == pytest.approx(mass)
    assert found["mass_over_area_lesion"] == pytest.approx(mass - 0.05)
    assert found["mass_text"] is found["area_text"] is found["mass_over_area_text"] is None


def test_mass_and_area_are_averaged_over_the_same_images():
    """Ten images with a lesion, five without, maps that know nothing of it: no finding, where an area of 0 for the
    five would have made one."""
    rng, items, masses, areas = np.random.default_rng(1), [], [], []
    for number in range(15):
        values = rng.random((SIDE, SIDE))
        side = int(rng.integers(4, 14))
        box = (1, 1, 1 + side, 1 + side) if number < 10 else None
        items.append(item(map_quality(values, regions(lesion=box))))
        if box is not None:
            positive = np.maximum(values - values.mean(), 0)
            masses.append(positive[1 : 1 + side, 1 : 1 + side].sum() / positive.sum())
            areas.append(side * side / SIDE**2)
    table = quality_table(items)
    assert table["mass_lesion"].mean == pytest.approx(np.mean(masses))
    assert table["area_lesion"].mean == pytest.approx(np.mean(areas))
    assert table["area_lesion"].n == table["mass_lesion"].n == table["mass_over_area_lesion"].n == 10
    difference = np.subtract(masses, areas)
    wanted = stats.t.interval(0.95, 9, loc=difference.mean(), scale=stats.sem(difference))
    over = table["mass_over_area_lesion"]
    assert (over.mean, over.low, over.high) == pytest.approx((difference.mean(), *wanted))
    assert over.low < 0 < over.high


def test_a_flat_map_counts_as_nothing():
    flat = map_quality(np.full((SIDE, SIDE), 0.3), regions(lesion=(0, 0, 5, 5)))
    assert flat["pointing"] is flat["mass_lesion"] is flat["mass_over_area_lesion"] is None
    peaked = np.zeros((SIDE, SIDE))
    peaked[2, 2] = 1.0
    table = quality_table([item(flat), item(map_quality(peaked, regions(lesion=(0, 0, 10, 10))))])
    assert table["mass_lesion"].mean == 1.0
    assert (table["area_lesion"].mean, table["area_lesion"].n) == (0.25, 1)
    assert table["mass_lesion"].low is None  # one image


def test_pointing_is_a_share_with_wilsons_interval():
    table = quality_table([item({"pointing": False}) for _ in range(12)])
    low, high = proportion_confint(0, 12, method="wilson")
    found = table["pointing"]
    assert (found.mean, found.low, found.high) == pytest.approx((0.0, low, high), abs=1e-12)
    assert found.high == pytest.approx(0.2425, abs=1e-4)


def test_a_mean_says_how_many_maps_are_noise_and_how_many_predictions_wrong():
    items = [item({"insertion": 0.1 * n}, predicted="ab"[n % 2], noise=n == 4) for n in range(6)]
    found = quality_table([*items, item({"insertion": None}, predicted="b", noise=True)])["insertion"]
    assert (found.n, found.misclassified, found.mostly_noise) == (6, 3, 1)
    assert set(quality_table(items)) <= set(MEASURES)
