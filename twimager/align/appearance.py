"""What an LR may look like, seen what its HR looks like: another tone, another sharpness, and errors here and there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# (k, h, w) or (k, n): k values of each pixel.
Columns = NDArray[np.float32]
# (h, w), 0 to 255.
Picture = NDArray[np.float32]

# An LR may be blurrier or sharper than its HR by any mixture of these (Gaussian, in pixels). Without them an alignment
# that blurs is preferred to the right one: errors (median, 90 %) of 0.008, 0.027 LR pixels instead of 0.006, 0.013.
BLURS = (0.8, 1.6)
# Derivative of a picture along x, exact to 3 % for waves of six pixels and more: two steps take an error of 0.15 pixels
# to 0.006, where a central difference leaves 0.010 and needs four.
DERIVATIVE = np.array([[1, -8, 0, 8, -1]], np.float32) / 12
# Where the pictures differ, over squares of this side, they have less say: inserts, dirt, hard compression, noise. The
# variance of the error there is that of the square and of the whole, and no less than so many levels, squared: without
# noise, edges would have no say before they are in place.
LOCAL_SIDE = 9
LEAST_VARIANCE = 25.0
# Tone and sharpness are told by every so many pixels as well as by all (of rows or columns not so: a night sky was
# lost); and of variances, which are those of squares, by every so many each way.
SAMPLED = 3
# So many pixels at a time are multiplied: of long rows at once, BLAS takes two to three times as long.
CHUNK = 1024
# What the equations say less of, relative to the strongest, is left alone.
RANK = 1e-6


class Likeness(NamedTuple):
    """How an LR differs from its HR, brought to its grid, beyond tone and sharpness.

    `looks` are what was mixed to make the HR look like the LR, `fitted` is the result, `error` what it lacks, and
    `weights` are one by the variance of the error around each pixel.
    """

    looks: Columns
    fitted: Picture
    error: Picture
    weights: Picture

    @property
    def mean_square(self) -> float:
        """The weighted mean square of the error, in levels."""
        return float((self.error * self.error * self.weights).sum() / max(self.weights.sum(), 1e-12))


def compare(shown: Picture, lr: Picture, blurred: Sequence[Picture]) -> Likeness:
    """Fit tone and sharpness of an HR to those of an LR on the same grid; `blurred` are the `blurs` of `shown`."""
    tone = (shown - shown.mean()) / 64
    bands = [fine - coarse for fine, coarse in pairwise((shown, *blurred))]
    looks = np.stack([np.ones_like(tone), tone, tone * tone, tone * tone * tone, *bands])
    sample = np.ascontiguousarray(looks.reshape(len(looks), -1)[:, ::SAMPLED])  # BLAS knows no other
    mixture, _ = solve(sample, lr.ravel()[::SAMPLED])
    fitted = np.dot(mixture.astype(np.float32), looks.reshape(len(looks), -1)).reshape(lr.shape)
    error = lr - fitted
    variance = cv2.blur(error * error, (LOCAL_SIDE, LOCAL_SIDE))
    overall = np.median(variance[::SAMPLED, ::SAMPLED])
    weights = np.asarray(1 / (variance + (overall + LEAST_VARIANCE)), np.float32)
    return Likeness(looks, fitted, error, weights)


def blurs(picture: Picture) -> list[Picture]:
    """Return the picture in the blurs that an LR may have on top of its own."""
    return [blurred(picture, blur) for blur in BLURS]


def blurred(picture: Picture, deviation: float) -> Picture:
    """Return the picture blurred by a Gaussian; as it is where that is none."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), deviation), np.float32) if deviation else picture


def slopes(picture: Picture) -> tuple[Picture, Picture]:
    """Return by how much the picture rises, in levels a pixel, to the right and down."""
    right, down = (cv2.filter2D(picture, -1, kernel) for kernel in (DERIVATIVE, DERIVATIVE.T))
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def solve(
    columns: Columns, wanted: Picture, weights: Picture | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much of each column makes up, in the weighted least squares, what is wanted, and its deviation.

    Deviations are those of errors of a variance of one by the weight.
    """
    weighted = columns if weights is None else columns * weights
    columns, weighted = (rows.reshape(len(rows), -1) for rows in (columns, weighted))
    gram, share = products(weighted, columns), np.dot(weighted, wanted.ravel()).astype(np.float64)
    length = np.sqrt(gram.diagonal()) + 1e-9
    strengths, directions = np.linalg.eigh(gram / np.outer(length, length))
    told = strengths > RANK * strengths[-1]
    inverse = np.dot(directions[:, told] / strengths[told], directions[:, told].T)
    return inverse @ (share / length) / length, np.sqrt(inverse.diagonal()) / length


def products(
    a: NDArray[np.float32] | NDArray[np.float64], b: NDArray[np.float32] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the scalar products (k, k) of the rows of `a` and `b`, (k, n) each."""
    whole = a.shape[1] // CHUNK * CHUNK
    here, there = (rows[:, :whole].reshape(len(rows), -1, CHUNK).swapaxes(0, 1) for rows in (a, b))
    summed = np.matmul(here, there.swapaxes(1, 2)).sum(axis=0, dtype=np.float64)
    return np.asarray(summed + np.dot(a[:, whole:], b[:, whole:].T), np.float64)
