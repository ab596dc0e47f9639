"""Measures of the full feature space and of its classes, one function per measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, davies_bouldin_score, normalized_mutual_info_score

from medvlm_tui.engine.features.neighbours import Floats, Neighbours
from medvlm_tui.measures.silhouette import cosine_silhouette

Ints = NDArray[np.int64]
Wide = NDArray[np.float64]


def silhouette(units: Floats, codes: Ints) -> float | None:
    """Mean silhouette by cosine distance (Rousseeuw 1987), as `sklearn.metrics.silhouette_score`; -1 to 1."""
    return cosine_silhouette(units, codes)


def davies_bouldin(features: Wide, codes: Ints) -> float | None:
    """Davies-Bouldin index (1979) by Euclidean distance: scikit-learn's; 0 is best."""
    if not 2 <= len(np.unique(codes)) < len(codes):
        return None
    value = float(davies_bouldin_score(features, codes))
    return value if np.isfinite(value) else None


def knn_purity(near: Neighbours, codes: Ints) -> float | None:
    """Mean share of a row's neighbours (itself left out) that have its class; see `purity_by_chance`."""
    if len(np.unique(codes)) < 2 or near.indices.shape[1] < 2:
        return None
    return float((codes[near.indices[:, 1:]] == codes[:, None]).mean())


def purity_by_chance(codes: Ints) -> float | None:
    """Return the mean of `knn_purity` over all orders of the classes: the share of pairs of rows with one class.

    A row is no neighbour of itself: sum of n_c (n_c - 1) over n (n - 1); None for fewer than two rows.
    """
    size, n = np.bincount(codes).astype(float), len(codes)
    return float((size * (size - 1)).sum() / (n * (n - 1.0))) if n > 1 else None


def fisher_ratio(features: Wide, codes: Ints) -> float | None:
    """Trace of the between-class over the trace of the within-class scatter (Fisher 1936, Fukunaga 1990, ch. 10)."""
    member, size = _members(codes)
    if len(size) < 2:
        return None
    centred = features - features.mean(axis=0)
    means = (member.T @ centred) / size[:, None]
    between = float((size[:, None] * means**2).sum())
    within = float((centred**2).sum()) - between
    return between / within if within > 1e-12 * max(between, 1e-300) else None


def clusters(rows: Wide, codes: Ints, seed: int) -> Ints | None:
    """Return the k-means cluster of each row, as many as classes: scikit-learn's, 10 starts; None with too few rows."""
    classes = len(np.unique(codes))
    if not 2 <= classes < len(codes) or classes > len(np.unique(rows, axis=0)):
        return None
    found: Ints = KMeans(classes, n_init=10, random_state=seed).fit_predict(rows)
    return found


def cluster_ari(found: Ints | None, codes: Ints) -> float | None:
    """Adjusted Rand index of clusters and classes (Hubert and Arabie 1985), as scikit-learn's; 0 by chance, 1 equal."""
    return None if found is None else float(adjusted_rand_score(codes, found))


def cluster_nmi(found: Ints | None, codes: Ints) -> float | None:
    """Mutual information of clusters and classes over the mean of their entropies, as scikit-learn's; 0 to 1."""
    return None if found is None else float(normalized_mutual_info_score(codes, found))


def rank_me(singular: Wide) -> float | None:
    """Effective rank, exp of the entropy of the normalised singular values (RankMe, Garrido et al. 2023)."""
    if singular.sum() <= 0:
        return None
    share = singular / singular.sum() + 1e-7  # the paper's epsilon
    return float(np.exp(-(share * np.log(share)).sum()))


def participation_ratio(singular_centred: Wide) -> float | None:
    """(sum of the covariance's eigenvalues)^2 over the sum of their squares (Gao et al. 2017): dimensions in use."""
    eigenvalues = singular_centred**2
    return float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum()) if eigenvalues.sum() > 0 else None


def two_nn(first: Wide, second: Wide, discard: float = 0.1) -> float | None:
    """Intrinsic dimension from the ratio of the two nearest distances (TwoNN, Facco et al. 2017).

    `first` and `second` are Euclidean distances (n,). Rows with a duplicate are left out; the largest ratios
    (a share of `discard`) too, as in the paper; the slope through the origin is fitted to the rest.
    """
    apart = first > 0
    ratio = np.sort(second[apart] / first[apart])
    n = len(ratio)
    kept = int(np.floor(n * (1.0 - discard)))
    if kept < 2:
        return None
    x, y = np.log(ratio[:kept]), -np.log(1.0 - np.arange(1, kept + 1) / n)
    return float((x @ y) / (x @ x)) if (x @ x) > 0 else None


def alignment(units: Wide, codes: Ints) -> float | None:
    """Mean squared distance of unit rows of the same class (Wang and Isola 2020, alpha = 2; a class is the positive).

    By |u - v|^2 = 2 - 2 u.v the sum over pairs needs the class sums alone.
    """
    member, size = _members(codes)
    pairs = float((size * (size - 1)).sum())
    if pairs == 0:
        return None
    squared = (units**2).sum(axis=1)
    sums = member.T @ units
    total = 2.0 * (size * (member.T @ squared)).sum() - 2.0 * (sums**2).sum()
    return float(max(0.0, total) / pairs)


def uniformity(units: Wide, t: float = 2.0) -> float | None:
    """Log of the mean Gaussian potential exp(-t |u - v|^2) over pairs of unit rows (Wang and Isola 2020); 0 worst."""
    n = len(units)
    if n < 2:
        return None
    squared, total = (units**2).sum(axis=1), 0.0
    for start in range(0, n, 512):
        block = squared[start : start + 512, None] + squared[None] - 2.0 * units[start : start + 512] @ units.T
        total += float(np.exp(-t * np.maximum(block, 0.0)).sum())
    return float(np.log(max(total - n, 1e-300) / (n * (n - 1.0))))


def hubness(near: Neighbours) -> float | None:
    """Skewness of how often a row is among the others' neighbours (N_k, Radovanovic et al. 2010); 0 has no hubs."""
    n, k = near.indices.shape
    counts = np.bincount(near.indices[:, 1:].ravel(), minlength=n).astype(float)
    spread = counts.std()
    return float((((counts - counts.mean()) / spread) ** 3).mean()) if k > 1 and spread > 0 else None


def _members(codes: Ints) -> tuple[Wide, Wide]:
    """Return (n, classes) membership and (classes,) sizes."""
    number = np.unique(codes, return_inverse=True)[1]
    member = np.eye(number.max() + 1)[number]
    return member, member.sum(axis=0)
