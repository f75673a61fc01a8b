"""Line jitter: each line of an LR is shifted by an amount of its own, as by VHS without a time base corrector."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.verify.tone_fit import BIWEIGHT, NORMAL_QUANTILE, Picture, low_quantile

# (h,), in pixels of the pictures, one of each line.
Shifts = NDArray[np.float64]

# Of the detail, at either side: a quarter of the width may be a plain sky. Of 46 pictures with a jitter of 2 or 3
# pixels 43 agree then, by thirds as many, by halves 44; but by those, what has moved in the middle of plain lines
# explains itself.
OUTER = 0.25
# Coarse to fine: the Gaussians along the lines, in pixels. From 8 on, lines that are off by 14 pixels, as in the skew
# at the top of a tape, are found in 21 of 21 pictures; from 4 on in 18. Lines are averaged with their neighbours a
# little.
SIGMAS, ACROSS, STEPS = (8.0, 4.0, 2.0, 1.0), 0.8, 4
# The penalty of shifts that change from line to line, relative to what the median line says of its own: 0.03 is as
# good, from 0.3 on the error is half as large again.
STIFFNESS = 0.1
# Errors of fewer levels than this standard deviation are no outliers; and what no line is without, in squared levels.
LEAST_DEVIATION, LEAST_WEIGHT = 2.0, 1e-3
# The lines of a picture jitter if both sides say so independently: their shifts, less a cubic trend, correlate by 0.86
# and more in nearly all pictures with a jitter of 2 and 3 pixels, by 0.59 at most in 94 pairs of other moments.
CORRELATED, TREND = 0.8, 3
# And if their mean changes its sign so often, between so many pixels either way: what has moved before a plain ground
# shifts the lines that it is in, but once. Of 21 pictures whose jitter is smooth over 6 lines none has fewer than 6.
LEAST_CHANGES, CHANGE = 5, 0.25


def with_line_jitter(hr: NDArray[np.uint8], fitted: Picture, lr: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return an HR with its lines shifted as its LR's are; None if those don't jitter.

    Each half is shifted as the lines are in the outer quarter of the other, by what detail they hold: what has moved
    does not explain itself, unless it is wider than a quarter.

    Parameters
    ----------
    hr : (h, w), on the LR's grid
    fitted : (h, w) float32, the HR in the LR's tones, in levels
    lr : (h, w)
    """
    at = _share_of_detail(fitted)
    left, right = (line_shifts(fitted, lr, columns) for columns in (at < OUTER, at > 1 - OUTER))
    return np.where(at < 0.5, shifted(hr, right), shifted(hr, left)) if is_jitter(left, right) else None


def _share_of_detail(picture: Picture) -> NDArray[np.float32]:
    """Return the share (0..1) of a picture's detail that is left of the end of each column, (w,)."""
    detail = (np.diff(picture, axis=1, prepend=picture[:, :1]) ** 2).sum(axis=0)
    summed = np.cumsum(detail + LEAST_WEIGHT)
    return np.asarray(summed / summed[-1], np.float32)


def line_shifts(fitted: Picture, lr: NDArray[np.uint8], columns: NDArray[np.bool_]) -> Shifts:
    """Return by how much each line of an LR is shifted to the left against its HR's, (h,) in pixels.

    Gauss-Newton, coarse to fine, with Tukey's biweight: a shift a line, and a penalty of the squared differences
    between neighbouring lines. Lines with nothing to see have the shifts of those around them.

    Parameters
    ----------
    fitted : (h, w) float32, the HR in the LR's tones, in levels
    lr : (h, w)
    columns : (w,), those that count

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (60, 90)).astype(np.float32)
    >>> hr = cv2.GaussianBlur(noise, (0, 0), 2)
    >>> wave = 2 * np.sin(np.arange(60) / 4)
    >>> found = line_shifts(hr, np.rint(shifted(hr, wave)).astype(np.uint8), np.ones(90, bool))
    >>> bool(abs(found - wave).mean() < 0.2)
    True
    """
    shifts = np.zeros(len(lr))
    differences = np.diff(np.eye(len(lr)), axis=0)
    roughness = differences.T @ differences
    for sigma in SIGMAS:
        hr, reference = (
            cv2.GaussianBlur(np.asarray(picture, np.float32), (0, 0), sigmaX=sigma, sigmaY=ACROSS)
            for picture in (fitted, lr)
        )
        slope = cv2.Sobel(hr, cv2.CV_32F, 1, 0, ksize=1, scale=0.5)
        for _ in range(STEPS):
            error, gradient = (reference - shifted(hr, shifts))[:, columns], shifted(slope, shifts)[:, columns]
            deviation = max(low_quantile(abs(error)) / NORMAL_QUANTILE, LEAST_DEVIATION)
            weighted = gradient * np.maximum(1 - (error / (BIWEIGHT * deviation)) ** 2, 0) ** 2
            information = (weighted * gradient).sum(axis=1) + LEAST_WEIGHT
            penalty = STIFFNESS * float(np.median(information)) * roughness
            step = (weighted * error).sum(axis=1) - penalty @ shifts
            shifts = shifts + np.linalg.solve(np.diag(information) + penalty, step)
    return shifts


def shifted(picture: NDArray[Any], shifts: Shifts) -> NDArray[Any]:
    """Return a picture, (h, w) uint8 or float32, with each line moved to the left by its shift (pixels)."""
    height, width = picture.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x += shifts[:, None].astype(np.float32)
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def is_jitter(first: Shifts, second: Shifts) -> bool:
    """Return whether the lines' shifts, (h,) in pixels, of two parts of a picture agree, and are rough."""
    at = np.linspace(-1, 1, len(first))
    fine = [s - np.polynomial.Polynomial.fit(at, s, TREND)(at) for s in (first, second)]
    length = float(np.linalg.norm(fine[0]) * np.linalg.norm(fine[1]))
    mean = (fine[0] + fine[1]) / 2
    changes = np.count_nonzero(np.diff(np.sign(mean[abs(mean) > CHANGE])))
    return bool(fine[0] @ fine[1] > CORRELATED * length and changes >= LEAST_CHANGES)
