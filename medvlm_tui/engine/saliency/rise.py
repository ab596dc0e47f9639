"""From the scores of masked images to saliency maps and their standard errors (RISE, Petsiuk et al. 2018).

The scores are all that is kept of a forward pass: masks are functions of (seed, number), so that every class's map,
by either estimator, follows from the scores whenever it is asked for, to the same bits.

plain    sum_i s_i m_i / (N p)
reduced  cov(s, m) / p, which is the expectation of the plain map minus the mean score: a constant. Masks come in
         complementary pairs, whose odd part o = (s+ - s-) / 2 is all that such a covariance needs, and a linear
         function of the mask, fitted by ridge regression to the other folds' pairs, is a control variate whose
         own covariance with the mask is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medvlm_tui.engine.saliency.mask_sums import ShiftSums, mask_means
from medvlm_tui.engine.saliency.masks import CHUNK, MaskStream, up_sampling
from medvlm_tui.stages.params.saliency import Estimator

Floats = NDArray[np.float64]
FOLDS = 4
# With fewer pairs a fold's regression has nothing to learn from; the weight is then left at zero.
_FEWEST_PAIRS = 64
# Blocks of the regression a cell: w is constant on blocks of a third of a cell (441 of them for 7 x 7 cells).
_BLOCKS_A_CELL = 3
_RIDGES = np.geomspace(1e-4, 10.0, 11)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Maps and their standard errors."""

    maps: Floats
    """(r, H, W)"""
    errors: Floats
    """(r, H, W) standard error of each pixel of the centred map (the map less its mean over pixels, which is all
    that a picture shows); zero where there are too few masks to tell."""
    masks: int


def estimate(stream: MaskStream, scores: Floats, estimator: Estimator) -> Estimate:
    """Return the maps of scores (N, r) of the stream's first N masks, one map for each of r series."""
    return _plain(stream, scores) if estimator == "plain" else _reduced(stream, scores)


def relative_error(found: Estimate) -> Floats:
    """Return (r,) the root mean square standard error of the centred map over its standard deviation over pixels.

    The spread holds the error too, so that pure noise has 1. Infinite for a map that is flat, or of fewer than three
    masks, whose error is unknown; 0 for one without error.
    """
    if found.masks < 3:
        return np.full(len(found.maps), np.inf)
    noise = np.sqrt((found.errors**2).mean(axis=(1, 2)))
    spread = found.maps.std(axis=(1, 2))
    ratio: Floats = np.divide(noise, spread, out=np.full_like(noise, np.inf), where=spread > 0)
    ratio[noise == 0] = 0.0
    return ratio


class _Moments:
    """Sums over masks of w m and of (w (m - the mask's mean over pixels))^2, for r series of weights w."""

    def __init__(self, stream: MaskStream, series: int) -> None:
        self._stream = stream
        self._first, self._cross = ShiftSums(stream, series), ShiftSums(stream, series)
        self._second = ShiftSums(stream, series, squares=True)
        self._constant = np.zeros(series)

    def add(self, grids: NDArray[np.float32], shift: NDArray[np.int64], weights: Floats) -> None:
        """Add masks (m, c, c) at shifts (m, 2) with weights (m, r)."""
        means = mask_means(self._stream, grids, shift)[:, None]
        self._first.add(grids, shift, weights)
        self._second.add(grids, shift, weights**2)
        self._cross.add(grids, shift, weights**2 * means)
        self._constant += ((weights * means) ** 2).sum(axis=0)

    @property
    def weights(self) -> Floats:
        """(r,) sum of the weights."""
        return self._first.total

    def finish(self, n: int) -> tuple[Floats, Floats]:
        """Return (r, H, W) sum w m, and standard errors of the mean over n masks of w (m - the mask's mean)."""
        total = self._first.image()
        centred = total - total.mean(axis=(1, 2), keepdims=True)
        squares = self._second.image() - 2 * self._cross.image() + self._constant[:, None, None]
        return total, np.asarray(np.sqrt(_variance(centred, squares, n) / max(n, 1)))


def _plain(stream: MaskStream, scores: Floats) -> Estimate:
    n, series = scores.shape
    moments = _Moments(stream, series)
    for chunk, begin in enumerate(range(0, n, CHUNK)):
        part = scores[begin : begin + CHUNK]
        moments.add(*_drawn(stream, chunk, len(part)), part)
    total, errors = moments.finish(n)
    return Estimate(total / (n * stream.probability), errors / stream.probability, n)


def _reduced(stream: MaskStream, scores: Floats) -> Estimate:
    pairs = len(scores) // 2
    odd = 0.5 * (scores[0 : 2 * pairs : 2] - scores[1 : 2 * pairs : 2])
    fitted, weights = _control_variate(stream, odd)
    rest = odd - fitted
    moments = _Moments(stream, rest.shape[1])
    for chunk, begin in enumerate(range(0, pairs, CHUNK // 2)):
        part = rest[begin : begin + CHUNK // 2]
        moments.add(*_drawn(stream, chunk, len(part), 2), part)
    total, errors = moments.finish(pairs)
    known = covariance(stream, _spread_blocks(stream, weights))
    maps = (known + (total - 0.5 * moments.weights[:, None, None]) / max(pairs, 1)) / stream.probability
    return Estimate(maps, errors / stream.probability, 2 * pairs)


def covariance(stream: MaskStream, weights: Floats) -> Floats:
    """Return cov(<w, m>, m(x)) for weights (..., H, W) on the pixels, exactly, over all grids and shifts."""
    rows, columns = _autocovariance(stream.height_px, stream.cells), _autocovariance(stream.width_px, stream.cells)
    result: Floats = stream.probability * (1 - stream.probability) * (rows @ weights @ columns)
    return result


@lru_cache(maxsize=8)
def _autocovariance(length_px: int, cells: int) -> Floats:
    taps = up_sampling(length_px, cells)
    return np.asarray(np.einsum("sxa,sya->xy", taps, taps, optimize=True) / len(taps))


def _drawn(stream: MaskStream, chunk: int, count: int, step: int = 1) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return grids and shifts of the first `count` of a chunk's masks, or of its pairs' first halves (`step` 2)."""
    grids, shift = stream.draw(chunk)
    return grids[::step][:count], shift[::step][:count]


def _variance(total: Floats, squares: Floats, n: int) -> Floats:
    if n < 2:
        return np.zeros_like(total)
    result: Floats = np.maximum(squares - total**2 / n, 0.0) / (n - 1)
    return result


def _control_variate(stream: MaskStream, odd: Floats) -> tuple[Floats, Floats]:
    """Return the fitted odd parts (J, r), each by a fit that has not seen it, and the mean weights (r, blocks)."""
    pairs, series = odd.shape
    side_y, side_x = _blocks(stream.height_px, stream.cells), _blocks(stream.width_px, stream.cells)
    fitted, weights = np.zeros_like(odd), np.zeros((series, side_y * side_x))
    if pairs < _FEWEST_PAIRS:
        return fitted, weights
    fold = np.arange(pairs) % FOLDS
    gram, moment = np.zeros((FOLDS, weights.shape[1], weights.shape[1])), np.zeros((FOLDS, weights.shape[1], series))
    for begin, blocks in _block_means(stream, pairs):
        for f in range(FOLDS):
            mine = blocks[fold[begin : begin + len(blocks)] == f]
            gram[f] += mine.T @ mine
            moment[f] += mine.T @ odd[begin : begin + len(blocks)][fold[begin : begin + len(blocks)] == f]
    own = [
        _ridge(
            gram.sum(0) - gram[f], moment.sum(0) - moment[f], (odd[fold != f] ** 2).sum(axis=0), int((fold != f).sum())
        )
        for f in range(FOLDS)
    ]
    for begin, blocks in _block_means(stream, pairs):
        for f in range(FOLDS):
            rows = np.flatnonzero(fold[begin : begin + len(blocks)] == f)
            fitted[begin + rows] = blocks[rows] @ own[f]
    share = np.bincount(fold, minlength=FOLDS) / pairs
    return fitted, sum((share[f] * own[f].T for f in range(FOLDS)), start=weights)


def _ridge(gram: Floats, moment: Floats, energy: Floats, n: int) -> Floats:
    """Return (blocks, r) weights, the ridge of each series chosen by generalised cross-validation."""
    values, vectors = np.linalg.eigh(gram)
    values, turned = np.maximum(values, 0.0), vectors.T @ moment
    best, lowest = np.zeros_like(turned), energy / n  # no weight at all is a candidate
    for ridge in _RIDGES * values.max():
        shrunk = turned / (values + ridge)[:, None]
        rest = energy - 2 * (shrunk * turned).sum(axis=0) + (values[:, None] * shrunk**2).sum(axis=0)
        freedom = n - (values / (values + ridge)).sum()
        score = n * rest / max(freedom, 1.0) ** 2
        better = (score < lowest) & (freedom > 1)
        best[:, better], lowest[better] = shrunk[:, better], score[better]
    return np.asarray(vectors @ best)


def _block_means(stream: MaskStream, pairs: int) -> list[tuple[int, Floats]]:
    """Return (first pair, means (m, blocks) of mask - 1/2 over the blocks) of every chunk's first halves."""
    rows, columns = _pooled(stream.height_px, stream.cells), _pooled(stream.width_px, stream.cells)
    parts = []
    for chunk, begin in enumerate(range(0, pairs, CHUNK // 2)):
        grids, shift = _drawn(stream, chunk, pairs - begin, 2)
        means = rows[shift[:, 0]] @ (grids.astype(np.float64) - 0.5) @ columns[shift[:, 1]].transpose(0, 2, 1)
        parts.append((begin, means.reshape(len(means), -1)))
    return parts


def _blocks(length_px: int, cells: int) -> int:
    return min(length_px, _BLOCKS_A_CELL * cells)


@lru_cache(maxsize=8)
def _pooled(length_px: int, cells: int) -> Floats:
    """Return the up-sampling weights averaged over the blocks of an axis: (shift, blocks, cells)."""
    parts = np.array_split(up_sampling(length_px, cells), _blocks(length_px, cells), axis=1)
    return np.stack([part.mean(axis=1) for part in parts], axis=1)


def _spread_blocks(stream: MaskStream, weights: Floats) -> Floats:
    """Return weights (r, H, W) on the pixels for weights (r, blocks) on the blocks' means."""
    rows, columns = _membership(stream.height_px, stream.cells), _membership(stream.width_px, stream.cells)
    grid = weights.reshape(len(weights), rows.shape[1], columns.shape[1])
    return np.asarray(rows @ grid @ columns.T)


def _membership(length_px: int, cells: int) -> Floats:
    sizes = [len(part) for part in np.array_split(np.arange(length_px), _blocks(length_px, cells))]
    matrix = np.zeros((length_px, len(sizes)))
    matrix[np.arange(length_px), np.repeat(np.arange(len(sizes)), sizes)] = np.repeat(1 / np.array(sizes), sizes)
    return matrix
