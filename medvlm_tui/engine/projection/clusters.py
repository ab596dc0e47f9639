"""The clusters that a reader sees on a map: where points lie densely, whatever their class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.stages.records.projection import ClusterRecord

# A cluster holds a fiftieth of the points at least; smaller ones are specks of a map's layout.
_SMALLEST_SHARE, _SMALLEST = 0.02, 5


def find_clusters(xy: NDArray[np.float32], labels: Sequence[str]) -> tuple[NDArray[np.int32], list[ClusterRecord]]:
    """Return the cluster of each point (m,), -1 for none, and what each cluster is, the largest first.

    HDBSCAN (Campello et al. 2013) as scikit-learn has it, on the map (m, 2). A cluster is described by its size, its
    commonest class with that one's share, and the point nearest to its median.
    """
    found = _hdbscan(xy)
    sizes = Counter(found[found >= 0].tolist())
    number = {cluster: place for place, (cluster, _) in enumerate(sorted(sizes.items(), key=lambda s: (-s[1], s[0])))}
    clusters = np.array([number.get(cluster, -1) for cluster in found.tolist()], dtype=np.int32)
    return clusters, [_described(xy, labels, np.flatnonzero(clusters == c)) for c in range(len(sizes))]


def _hdbscan(xy: NDArray[np.float32]) -> NDArray[np.int64]:
    from sklearn.cluster import HDBSCAN

    smallest = max(_SMALLEST, round(_SMALLEST_SHARE * len(xy)))
    if len(xy) < 2 * smallest or not np.ptp(xy, axis=0).any():
        return np.full(len(xy), -1)
    found: NDArray[np.int64] = HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(xy.astype(np.float64))
    return found


def _described(xy: NDArray[np.float32], labels: Sequence[str], members: NDArray[np.int64]) -> ClusterRecord:
    (label, count), *_ = Counter(labels[row] for row in members.tolist()).most_common()
    middle = np.median(xy[members], axis=0)
    nearest = members[np.linalg.norm(xy[members] - middle, axis=1).argmin()]
    return ClusterRecord(size=len(members), label=label, share=count / len(members), middle=int(nearest))
