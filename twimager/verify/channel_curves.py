"""An HR's colours as the gray that is nearest to an LR: of one channel, posterised, or through a colour filter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Levels of a curve's steps: posterised pictures have edges in their curves.
STEP = 8
STEPS = 256 // STEP
# Pixels with errors of more standard deviations than these have no weight in the next round.
OUTLIER, ROUNDS = 2.5, 3
# In pixels: steps of fewer are held near those beside them.
RIDGE = 4.0


def gray_by_channels(hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the sum of a curve of each of the HR's channels that is nearest to the LR.

    Iterated least squares without outliers; a curve is constant over STEP levels.

    Parameters
    ----------
    hr : (h, w, 3), on the LR's grid
    lr : (h, w)

    Returns
    -------
    (h, w) uint8

    Examples
    --------
    >>> hr = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    >>> posterised = np.where(hr[..., 1] < 128, 50, 200).astype(np.uint8)
    >>> bool(np.median(abs(gray_by_channels(hr, posterised) - posterised.astype(float))) < 1)
    True
    """
    bins = hr.reshape(-1, 3).astype(np.intp) // STEP + np.arange(3) * STEPS
    wanted = lr.ravel().astype(np.float64)
    weights, gray = np.ones_like(wanted), wanted
    smooth = _second_differences()
    for _ in range(ROUNDS):
        gram, moments = np.zeros((3 * STEPS, 3 * STEPS)), np.zeros(3 * STEPS)
        for first in range(3):
            moments += np.bincount(bins[:, first], weights * wanted, 3 * STEPS)
            for second in range(3):
                pairs = bins[:, first] * 3 * STEPS + bins[:, second]
                gram += np.bincount(pairs, weights, gram.size).reshape(gram.shape)
        curves = np.linalg.solve(gram + smooth, moments)
        gray = curves[bins].sum(axis=1)
        error = abs(wanted - gray)
        weights = (error <= OUTLIER * 1.4826 * np.median(error) + 1).astype(np.float64)
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8).reshape(lr.shape)


def _second_differences() -> NDArray[np.float64]:
    """Return what keeps steps without pixels in line with those beside them, and the curves' levels from drifting."""
    one = np.diff(np.eye(STEPS), 2, axis=0)
    return RIDGE * np.kron(np.eye(3), one.T @ one) / STEPS + 1e-3 * np.eye(3 * STEPS)
