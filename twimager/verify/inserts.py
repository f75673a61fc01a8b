"""Inserts: what one of two aligned pictures alone shows, such as a logo or a subtitle."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.estimation import MEDIAN_TO_SIGMA
from twimager.image.pixels import Gray

# Both blurred by this sigma, in pixels, an insert differs by so many levels and standard deviations ...
BLUR_SIGMA = 1.5
MIN_LEVELS = 25.0
MIN_SIGMAS = 6.0
# ... in squares of this side around each such pixel, over no more of the frame than this; where more differs, it is
# another picture.
MARGIN = 9
MAX_SHARE = 0.15
# The tone curve between the pictures is fitted to every so many pixels, in so many rounds, without those that are off
# by more than three standard deviations.
STRIDE = 7
FIT_ROUNDS = 3
FIT_SIGMAS = 3


def without_inserts(picture: Gray, other: Gray) -> Gray:
    """Return a picture with its inserts replaced by what another one shows there, in the tones of the first.

    Parameters
    ----------
    picture, other : (h, w) uint8, aligned
    """
    blurred, reference = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), BLUR_SIGMA) for p in (picture, other))
    gain, offset, sigma = _robust_line(reference.ravel()[::STRIDE], blurred.ravel()[::STRIDE])
    threshold = max(MIN_LEVELS, MIN_SIGMAS * sigma)
    differs = (abs(blurred - (gain * reference + offset)) > threshold).astype(np.uint8)
    inserts = np.asarray(cv2.dilate(differs, np.ones((MARGIN, MARGIN), np.uint8))) > 0
    if not 0 < inserts.mean() <= MAX_SHARE:
        return picture
    mended = picture.copy()
    mended[inserts] = np.clip(gain * other[inserts] + offset, 0, 255)
    return mended


def _robust_line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float, np.floating[Any]]:
    """Return gain and offset of the line y = gain x + offset, fitted without outliers, and the standard deviation."""
    inliers = np.ones(x.shape, bool)
    for _ in range(FIT_ROUNDS):
        gain, offset = _line(x[inliers], y[inliers])
        error = abs(y - (gain * x + offset))
        sigma = MEDIAN_TO_SIGMA * np.median(error[inliers])
        inliers = error <= FIT_SIGMAS * sigma + 1
    return gain, offset, sigma


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Return gain and offset of the least-squares line y = gain x + offset."""
    spread = float(((x - x.mean()) ** 2).sum())
    gain = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
    return gain, float(y.mean() - gain * x.mean())
