"""Every measure of texts and images together, for the images as they are and for resampled ones at once.

A resample is a row of weights over the images. The measures are sums over images, or follow from the weighted means of
classes, so that all resamples are a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.measures.language import geometry, retrieval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PRECISION_AT = 10
RECALL_AT = (1, 5)


@dataclass(frozen=True, slots=True)
class Vectors:
    """Unit vectors of images and texts in one space."""

    images: Floats
    """(n, d)"""
    codes: Ints
    """(n,) class of each image."""
    prompts: Floats
    """(m, d) every prompt."""
    classes: Floats
    """(k, d) the class vectors."""

    @property
    def cosines(self) -> Floats:
        """(n, k) of images and classes."""
        return np.asarray(self.images @ self.classes.T, dtype=np.float64)


def resampled_weights(codes: Ints, resamples: int, seed: int) -> Floats:
    """Return weights (1 + resamples, n) that sum to one: the images as they are, then drawn with replacement within
    each class, so that every class keeps its share."""
    random = np.random.default_rng(seed)
    weights = np.full((1 + resamples, len(codes)), 1.0)
    for number in np.unique(codes):
        rows = np.flatnonzero(codes == number)
        weights[1:, rows] = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    return weights / len(codes)


def gaps(vectors: Vectors, weights: Floats) -> dict[str, Floats]:
    """Return measure -> (R,) values: the modality gap and its companions."""
    means = weights @ vectors.images
    texts = vectors.prompts.mean(axis=0)
    gap = np.linalg.norm(means - texts, axis=1)
    within_images = 1.0 - (means**2).sum(axis=1)
    within_texts = 1.0 - float(texts @ texts)
    spread = (within_images + within_texts) / 2
    size = (np.sqrt(np.maximum(within_images, 0)) + np.sqrt(max(within_texts, 0.0))) / 2
    between = gap**2 / 4
    return {
        "modality_gap": gap,
        "modality_gap_share": between / np.maximum(between + spread, np.finfo(float).tiny),
        "modality_gap_relative": gap / np.maximum(size, np.finfo(float).tiny),
        "cosine_across": means @ texts,
        "cosine_within_images": (means**2).sum(axis=1),
        "cosine_within_texts": np.full(len(weights), float(texts @ texts)),
    }


def closeness(vectors: Vectors, weights: Floats) -> dict[str, Floats]:
    """Return measure -> (R,) values: alignment with the own class's text, and uniformity across modalities."""
    own = ((vectors.images - vectors.classes[vectors.codes]) ** 2).sum(axis=1)
    apart = np.exp(-2.0 * (2.0 - 2.0 * vectors.images @ vectors.prompts.T)).mean(axis=1)
    return {"alignment": weights @ own, "uniformity": np.log(weights @ apart)}


def found(vectors: Vectors, weights: Floats) -> dict[str, Floats]:
    """Return measure -> (R,) values: retrieval of an image's class text, and of a class's images."""
    cosines, codes = vectors.cosines, vectors.codes
    own = cosines[np.arange(len(codes)), codes][:, None]
    above, level = (cosines > own).sum(axis=1), (cosines == own).sum(axis=1)
    values = {f"text_recall_at_{count}": weights @ (above < count) for count in RECALL_AT if count < cosines.shape[1]}
    values["text_mean_rank"] = weights @ (1 + above + (level - 1) / 2)
    counts = np.rint(weights * len(codes)).astype(np.int64)
    rows = [np.repeat(np.arange(len(codes)), count) for count in counts]
    values["image_map"] = np.array([retrieval.mean_average_precision(codes[row], cosines[row]) or 0.0 for row in rows])
    values[f"image_precision_at_{PRECISION_AT}"] = np.array(
        [retrieval.precision_at(codes[row], cosines[row], PRECISION_AT) for row in rows]
    )
    return values


def class_geometry(vectors: Vectors, weights: Floats) -> dict[str, Floats]:
    """Return measure -> (R,) values: RSA and CKA of the classes' mean images and their texts; none where undefined."""
    k = len(vectors.classes)
    totals = [(vectors.codes == number) for number in range(k)]
    means = np.stack(
        [weights[:, mask] @ vectors.images[mask] / weights[:, mask].sum(axis=1, keepdims=True) for mask in totals],
        axis=1,
    )
    values = {}
    for name, measure in (("class_geometry_rsa", geometry.rsa), ("class_geometry_cka", geometry.linear_cka)):
        each = [measure(one, vectors.classes) for one in means]
        if each[0] is not None:
            values[name] = np.array([np.nan if value is None else value for value in each])
    return values


def every(vectors: Vectors, weights: Floats) -> dict[str, Floats]:
    """Return measure -> (R,) values of all of them."""
    return {
        **gaps(vectors, weights),
        **closeness(vectors, weights),
        **found(vectors, weights),
        **class_geometry(vectors, weights),
    }


def by_chance(vectors: Vectors) -> dict[str, float]:
    """Return measure -> its value where texts are given to classes at random."""
    k = len(vectors.classes)
    shares = np.bincount(vectors.codes, minlength=k) / len(vectors.codes)
    values = {f"text_recall_at_{count}": count / k for count in RECALL_AT if count < k}
    return {
        **values,
        "text_mean_rank": (k + 1) / 2,
        "image_map": float(shares.mean()),
        f"image_precision_at_{PRECISION_AT}": float(shares.mean()),
    }
