"""What each pixel is like over many frames, summed up a frame at a time, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Gray, Pixels, to_8_bit, to_gray

Array = NDArray[np.float32]

# Neighbouring frames of one shot show nearly the same. Of so many stretches of frames each counts as one sample of the
# gradients, so that an edge of one shot's background does not count as often as it has frames.
STRETCHES = 12
# Gradients are clipped to so many levels a pixel: else a few frames with strong edges there decide their mean.
STEEP = 16.0
# Pixels around one whose variance counts too; and the variance of what rounding to whole levels leaves of a gradient.
AROUND_SIGMA = 1.5
ROUNDING = 0.05
# Sobel's weights sum up to this for a slope of one level a pixel.
SOBEL_SCALE = 1 / 8


class Statistics(NamedTuple):
    """What the pixels of frames are like.

    Attributes
    ----------
    mean : (h, w, 3) float32, BGR of 0 to 255
    variance : (h, w) float32, in squared levels, the mean of the channels'
    consistency : (h, w) float32, how many standard errors long the mean gradient of the gray is
    """

    mean: Array
    variance: Array
    consistency: Array


def frame_statistics(frames: Iterable[Pixels], count: int) -> Statistics:
    """Return the statistics of `count` frames of one size, (h, w, 3) BGR, uint8 or uint16."""
    stretches = min(STRETCHES, count)
    ends = np.linspace(0, count, stretches + 1).astype(int)[1:]
    begun = 0
    for number, pixels in enumerate(frames, start=1):
        frame = to_8_bit(pixels).astype(np.float32)
        gradient = _clipped_gradient(to_gray(frame))
        if number == 1:
            total, squares = np.zeros_like(frame), np.zeros_like(frame)
            of_stretch, gradients, gradient_squares = (np.zeros_like(gradient) for _ in range(3))
        cv2.accumulate(frame, total)
        cv2.accumulateSquare(frame, squares)
        cv2.accumulate(gradient, of_stretch)
        if number in ends:
            of_stretch /= number - begun
            cv2.accumulate(of_stretch, gradients)
            cv2.accumulateSquare(of_stretch, gradient_squares)
            of_stretch[:], begun = 0, number
    mean = np.asarray(total / count, np.float32)
    variance = np.asarray(np.maximum(squares / count - mean * mean, 0).mean(axis=2), np.float32)
    return Statistics(mean, variance, _consistency(gradients / stretches, gradient_squares / stretches, stretches))


def _clipped_gradient(gray: Gray) -> Array:
    """Return the gradient, (h, w, 2), in levels a pixel, no longer than STEEP."""
    x, y = (cv2.Sobel(gray, cv2.CV_32F, *axis, scale=SOBEL_SCALE) for axis in ((1, 0), (0, 1)))
    share = STEEP / cv2.max(cv2.magnitude(x, y), STEEP)
    return np.asarray(cv2.merge([x * share, y * share]))


def _consistency(gradient: NDArray[Any], squares: NDArray[Any], stretches: int) -> Array:
    """Return how many standard errors long the mean gradient is.

    A dozen samples tell little of a variance, which varies slowly over a picture: that around each pixel counts too.
    """
    variance = np.maximum(squares - gradient * gradient, 0).sum(axis=2)
    around = cv2.GaussianBlur(variance, (0, 0), AROUND_SIGMA)
    error = np.sqrt((np.maximum(variance, around / 2) + ROUNDING) / (stretches - 1))
    return np.asarray(np.hypot(gradient[..., 0], gradient[..., 1]) / error, np.float32)
