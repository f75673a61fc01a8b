"""Whether an HR is enlarged: what it shows beyond a smaller one, and how fine that is."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import Picture, gaussian_blur, gradients, weighted_least_squares
from twimager.image.pixels import frame_size, shrink

# What enlarges: together with blurs, of these sigmas in pixels, they predict any enlargement, sharpened afterwards too.
INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_NEAREST_EXACT, cv2.INTER_LINEAR, cv2.INTER_LANCZOS4)
BLUR_SIGMAS = (0.8, 1.6, 3.2)
# Power is compared in blocks of this side, in rows of them that have about so many pixels together; noise is what this
# quantile of them has.
BLOCK, ENOUGH_PIXELS, QUIET = 16, 100_000, 0.1
# A picture is larger than another from so many times its pixels along a side on; below, there is no telling what it
# shows beyond that.
LARGER = 1.1
# An enlargement by s has less than this / s of the detail that the smaller picture has over a copy s times smaller. Of
# 12 photographs, compressed, sharpened or noisy, originals had 1.4 / s and more, but for 2.2 / s at 1.1 to 1.3 times;
# enlargements had less than 0.4 / s, and up to 0.8 / s where they were sharpened or compressed hard after 1.5 times.
MAX_ENLARGED = 0.7
# Of pictures of one size, with a third of the other one's finest detail for its coarser detail one is enlarged by 1.5
# or more: enlargements of 17 photographs had 0.25 and less, and some sharpened ones 0.5; copies, compressed, brighter,
# faded or noisy, 0.35 and more, sharpened ones up to 2.3.
MIN_FINENESS = 0.33
# Of what an enlargement has more than its blur by this sigma, its original lacks less than this; a neighbouring frame,
# in which something moves, lacks more.
STRUCTURE_SIGMA, MAX_DIFFERENT = 8.0, 0.2
FINEST = np.array([[1, -4, 6, -4, 1]], np.float32) / 16


def is_enlarged(larger: Picture, smaller: Picture) -> bool:
    """Return whether the larger one of two pictures of the same frame shows no more than the smaller one, or less.

    It may lack detail that the smaller one has. Else what it shows beyond any enlargement of the smaller one is
    compared with what that shows beyond a copy that is as much smaller: pictures have about as much detail at every
    scale.

    Parameters
    ----------
    larger, smaller : (h, w) float32, in levels

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(512, 512))
    >>> waves = np.fft.fft2(noise) / np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(512, 1 / 512)])).clip(1)
    >>> picture = (np.fft.ifft2(waves).real * 3000).astype(np.float32)
    >>> small = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    >>> is_enlarged(picture, small), is_enlarged(cv2.resize(small, (512, 512)), small)
    (False, True)
    """
    width, height = frame_size(smaller)
    factor = math.sqrt(larger.size / smaller.size)
    if fineness(shrink(larger, (width, height))) < MIN_FINENESS * fineness(smaller):
        return _unpredicted(larger, smaller, STRUCTURE_SIGMA) < MAX_DIFFERENT
    if factor < LARGER:
        return False
    smallest = shrink(smaller, (max(1, round(width / factor)), max(1, round(height / factor))))
    gained, expected = _unpredicted(larger, smaller, factor), _unpredicted(smaller, smallest, factor)
    return gained * factor < MAX_ENLARGED * expected


def _unpredicted(larger: Picture, smaller: Picture, sigma: float) -> float:
    """Return how much of what a picture has more than its blur by `sigma` no enlargement of a smaller one has."""
    size, rows = frame_size(larger), _rows(larger)
    cubic = _enlarged(smaller, size, cv2.INTER_CUBIC)
    regressors = [np.ones_like(cubic[rows]), cubic[rows]]
    regressors += [(_enlarged(smaller, size, how) - cubic)[rows] for how in INTERPOLATIONS]
    regressors += [(cubic - gaussian_blur(cubic, sigma))[rows] for sigma in BLUR_SIGMAS]
    regressors += [slope[rows] for slope in gradients(cubic)]
    basis, target = np.stack(regressors), larger[rows]
    coefficients, _ = weighted_least_squares(basis, target)
    fitted = np.tensordot(coefficients.astype(np.float32), basis, 1)
    detail = larger - gaussian_blur(larger, sigma)
    return _power(target - fitted) / max(_power(detail[rows]), 1.0)


def fineness(picture: Picture) -> float:
    """Return how strong the finest detail of a picture, (h, w) float32, is to coarser detail, whatever its contrast."""
    lines = picture[_rows(picture)]
    finest = cv2.filter2D(lines, -1, FINEST)
    near, far = (cv2.GaussianBlur(lines, (0, 1), sigmaX=sigma, sigmaY=1e-3) for sigma in (1.0, 3.0))
    return _power(finest) / max(_power(near - far), 0.1)


def _enlarged(picture: Picture, size: tuple[int, int], how: int) -> Picture:
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.float32)


def _rows(picture: Picture) -> NDArray[np.intp]:
    """Return the rows, evenly spread in bands of BLOCK, that are looked at."""
    height, width = picture.shape
    bands = max(1, height // BLOCK)
    taken = min(bands, max(1, ENOUGH_PIXELS // (BLOCK * width)))
    starts = np.arange(taken) * bands // taken * BLOCK
    return np.asarray(np.minimum(starts[:, None] + np.arange(BLOCK), height - 1).ravel(), np.intp)


def _power(lines: Picture) -> float:
    """Return the mean power of rows without that of noise, which is as strong in quiet blocks."""
    height, width = lines.shape
    blocks = cv2.resize(lines * lines, (max(1, width // BLOCK), height // BLOCK), interpolation=cv2.INTER_AREA)
    return float(blocks.mean() - np.quantile(blocks, QUIET))
