"""Photometric model of an LR given its HR: tone, blur and robust weights, by weighted least squares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# (k, h, w) or (k, n): k values of each pixel.
Regressors = NDArray[np.float32]
# (h, w), 0 to 255.
Picture = NDArray[np.float32]

# In pixels: an LR may be blurrier or sharper than its HR by any mixture of these Gaussians. Without them an alignment
# that blurs is preferred to the right one: errors (median, 90 %) of 0.008, 0.027 LR pixels instead of 0.006, 0.013.
BLUR_SIGMAS = (0.8, 1.6)
# Derivative of a picture along x, exact to 3 % for waves of six pixels and more: two steps take an error of 0.15 pixels
# to 0.006, where a central difference leaves 0.010 and needs four.
DERIVATIVE = np.array([[1, -8, 0, 8, -1]], np.float32) / 12
# Squares of this side over which the variance of the error is measured: inserts, dirt, hard compression and noise get
# less weight. The variance of a pixel is that of its square and of the whole picture, and no less than so many levels,
# squared: without noise, edges would have no weight before they are aligned.
VARIANCE_SIDE = 9
MIN_VARIANCE = 25.0
# Tone and blur are fitted to every so many pixels as well as to all (of rows or columns not so: a night sky was lost);
# the median of the variances is that of every so many each way.
STRIDE = 3
# Columns that are multiplied at a time: of long rows at once, BLAS takes two to three times as long.
CHUNK = 1024
# Eigenvalues of the normal equations below this share of the largest count as zero.
RANK_TOLERANCE = 1e-6


class AppearanceFit(NamedTuple):
    """How an LR differs from its HR, on the LR's grid, beyond tone and blur.

    Attributes
    ----------
    basis : (k, h, w) float32, the regressors: powers of the HR's tone, and its frequency bands
    fitted : (h, w) float32, in levels, the combination of them that is nearest to the LR
    error : (h, w) float32, in levels, the LR less `fitted`
    weights : (h, w) float32, in 1 / levels squared, the inverse variance of the error around each pixel
    """

    basis: Regressors
    fitted: Picture
    error: Picture
    weights: Picture

    @property
    def mean_square(self) -> float:
        """The weighted mean square of the error, in levels squared."""
        return float((self.error * self.error * self.weights).sum() / max(self.weights.sum(), 1e-12))


def fit_appearance(
    hr: Picture, lr: Picture, blurred: Sequence[Picture], valid: NDArray[np.bool_] | None = None
) -> AppearanceFit:
    """Fit tone (a cubic polynomial) and blur of an HR to an LR on the same grid.

    Parameters
    ----------
    hr, lr : (h, w) float32, 0 to 255
    blurred : the `blurs` of `hr`, of its shape
    valid : (h, w), the pixels that show the same; the others have zero weight. None: all
    """
    tone = (hr - hr.mean()) / 64
    bands = [fine - coarse for fine, coarse in pairwise((hr, *blurred))]
    basis = np.stack([np.ones_like(tone), tone, tone * tone, tone * tone * tone, *bands])
    sample = np.ascontiguousarray(basis.reshape(len(basis), -1)[:, ::STRIDE])  # BLAS is slow on strided rows
    sampled = None if valid is None else valid.ravel()[::STRIDE].astype(np.float32)
    coefficients, _ = weighted_least_squares(sample, lr.ravel()[::STRIDE], sampled)
    fitted = np.dot(coefficients.astype(np.float32), basis.reshape(len(basis), -1)).reshape(lr.shape)
    error = lr - fitted
    variance = cv2.blur(error * error, (VARIANCE_SIDE, VARIANCE_SIDE))
    usual = variance[::STRIDE, ::STRIDE]
    overall = np.median(usual if valid is None else usual[valid[::STRIDE, ::STRIDE]])
    weights = np.asarray(1 / (variance + (overall + MIN_VARIANCE)), np.float32)
    if valid is not None:
        weights *= valid
    return AppearanceFit(basis, fitted, error, weights)


def blurs(picture: Picture) -> list[Picture]:
    """Return a picture, (h, w) float32, blurred by each of `BLUR_SIGMAS`."""
    return [gaussian_blur(picture, sigma) for sigma in BLUR_SIGMAS]


def gaussian_blur(picture: Picture, sigma: float) -> Picture:
    """Return a picture, (h, w) float32, blurred by a Gaussian of `sigma` pixels; as it is if that is 0."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32) if sigma else picture


def gradients(picture: Picture) -> tuple[Picture, Picture]:
    """Return the derivatives of a picture, (h, w) float32, to the right and down, in levels per pixel."""
    right, down = (cv2.filter2D(picture, -1, kernel) for kernel in (DERIVATIVE, DERIVATIVE.T))
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def weighted_least_squares(
    regressors: Regressors, target: Picture, weights: Picture | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the coefficients of the weighted least-squares fit of `target` by `regressors`, and their standard errors.

    Of nearly collinear regressors, the solution of least norm (the pseudo-inverse of the scaled normal equations).

    Parameters
    ----------
    regressors : (k, h, w) or (k, n) float32
    target, weights : (h, w) or (n,) float32; the weight is the inverse variance of the target's error, 1 if None

    Returns
    -------
    coefficients, standard_errors : (k,) float64
    """
    weighted = regressors if weights is None else regressors * weights
    rows, weighted = (values.reshape(len(values), -1) for values in (regressors, weighted))
    gram, moments = gram_matrix(weighted, rows), np.dot(weighted, target.ravel()).astype(np.float64)
    length = np.sqrt(gram.diagonal()) + 1e-9
    eigenvalues, eigenvectors = np.linalg.eigh(gram / np.outer(length, length))
    kept = eigenvalues > RANK_TOLERANCE * eigenvalues[-1]
    inverse = np.dot(eigenvectors[:, kept] / eigenvalues[kept], eigenvectors[:, kept].T)
    return inverse @ (moments / length) / length, np.sqrt(inverse.diagonal()) / length


def gram_matrix(
    a: NDArray[np.float32] | NDArray[np.float64], b: NDArray[np.float32] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the scalar products, (k, k) float64, of the rows of `a` and `b`, (k, n) each."""
    whole = a.shape[1] // CHUNK * CHUNK
    first, second = (rows[:, :whole].reshape(len(rows), -1, CHUNK).swapaxes(0, 1) for rows in (a, b))
    summed = np.matmul(first, second.swapaxes(1, 2)).sum(axis=0, dtype=np.float64)
    return np.asarray(summed + np.dot(a[:, whole:], b[:, whole:].T), np.float64)
