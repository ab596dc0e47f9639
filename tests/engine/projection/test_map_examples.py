"""Examples of a map: which points, and their thumbnails."""

import numpy as np
from PIL import Image

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.projection.clusters import find_clusters
from medvlm_tui.engine.projection.examples import SIDE_PX, by_cluster, by_density, thumbnails


def crowds():
    rng = np.random.default_rng(2)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    return np.concatenate([rng.normal(scale=0.3, size=(50, 2)) + c for c in centres]).astype("f4")


def test_examples_lie_apart_and_where_points_are():
    crowd = crowds()
    lonely = np.concatenate([crowd, [[5.0, 30.0]]]).astype("f4")
    chosen = by_density(crowd, 4)
    assert sorted(point // 50 for point in chosen) == [0, 1, 2, 3]
    assert by_density(crowd, 4) == chosen
    assert 200 not in by_density(lonely, 3)
    assert by_density(np.zeros((9, 2), "f4"), 4) == [0]
    assert by_density(np.zeros((0, 2), "f4"), 4) == []


def test_each_cluster_has_as_many_examples():
    crowd = crowds()
    clusters, described = find_clusters(crowd, ["a"] * 200)
    assert [cluster.size for cluster in described] == [50] * 4
    assert np.bincount(clusters[by_cluster(crowd, clusters, 12)]).tolist() == [3, 3, 3, 3]
    assert len(by_cluster(crowd, clusters, 2)) == 2
    assert by_cluster(crowd, np.full(200, -1, dtype=np.int32)) == []


def test_thumbnails_are_the_whole_of_what_can_be_read(tmp_path):
    pixels = np.full((40, 80, 3), 200, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    samples = {name: Sample(name, tmp_path / name, "x") for name in ("a.png", "b.png")}
    ids = ["b.png", "a.png", "unknown"]
    points, found = thumbnails([0, 1, 2], ids, samples, lambda: None)
    assert points == [1]
    assert found.shape == (1, SIDE_PX, SIDE_PX, 3)
    assert (found[0, 24:72] == 200).all()
    assert not found[0, :20].any()
    assert thumbnails([], ids, samples, lambda: None)[1].shape == (0, SIDE_PX, SIDE_PX, 3)
