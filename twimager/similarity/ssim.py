"""How alike two pictures of one shape are, in the field's usual numbers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Size
from twimager.image.colors import to_lab, unit
from twimager.image.pixels import Gray, Pixels, frame_size, shrink
from twimager.verify.overlay import correlation

# Deviation and reach, in pixels, of the window that SSIM is measured through, and what keeps it from dividing by next
# to nothing (Wang et al., IEEE TIP 2004).
SSIM_DEVIATION, SSIM_REACH = 1.5, 5
SSIM_K1, SSIM_K2 = 0.01, 0.03
# Bins of a colour histogram, along each of blue, green and red.
BINS = 8
# Colours are averaged over cells, so many along the shorter side: smaller ones would tell of blur, noise and a shift
# by a pixel, larger ones less of where a colour is.
CELLS = 24
# A white balance changes no channel by more than this beyond the others; a recoloured picture of one hue, which a gain
# of each channel would make up for, is by more. Of 160 faded copies with a cast of a tenth and another gamma, half were
# less than 3 apart, 99 in 100 less than 7; six photographs with their hues turned by 80 degrees 5 (a nearly gray one)
# and 11 to 50.
WHITE_BALANCE = 1.2


def mse(a: Pixels, b: Pixels) -> float:
    """Return the mean squared difference of two arrays of one shape, in their own levels."""
    difference = a.astype(np.float64) - b
    return float((difference * difference).mean())


def l2_norm(a: Pixels, b: Pixels) -> float:
    """Return the root of the summed squared differences of two arrays of one shape, in their own levels."""
    return float(np.linalg.norm((a.astype(np.float64) - b).ravel()))


def ssim(a: Gray, b: Gray, levels: float = 255.0) -> float:
    """Return the mean structural similarity of two gray pictures, -1..1; 1 if they are equal.

    As in Wang et al., IEEE TIP 2004, and as scikit-image's `structural_similarity` has it with `gaussian_weights`,
    `sigma=1.5` and `use_sample_covariance=False`: the rim of five pixels, where the window reaches beyond, has no say,
    unless the picture has nothing else.

    Parameters
    ----------
    a, b : (h, w), of one shape
    levels : what lies between black and white
    """
    x, y = (np.asarray(p, np.float64) for p in (a, b))
    mean_x, mean_y = _seen(x), _seen(y)
    variance_x, variance_y = _seen(x * x) - mean_x * mean_x, _seen(y * y) - mean_y * mean_y
    covariance = _seen(x * y) - mean_x * mean_y
    c1, c2 = (SSIM_K1 * levels) ** 2, (SSIM_K2 * levels) ** 2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2)
    )
    inner = similarity[SSIM_REACH:-SSIM_REACH, SSIM_REACH:-SSIM_REACH]
    return float((inner if inner.size else similarity).mean())


def _seen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means under SSIM's window."""
    window = (2 * SSIM_REACH + 1,) * 2
    return np.asarray(cv2.GaussianBlur(values, window, SSIM_DEVIATION, borderType=cv2.BORDER_REFLECT), np.float64)


def histogram_correlation(a: Pixels, b: Pixels) -> float:
    """Return the correlation of the colour histograms of two pictures, -1..1; 1 if they are equal.

    Of 8 x 8 x 8 bins of equal width in blue, green and red (sRGB as stored).

    Parameters
    ----------
    a, b : (h, w, 3), BGR, uint8 or uint16, each of a size of its own
    """
    first, second = (
        cv2.calcHist([unit(p)], [0, 1, 2], None, [BINS] * 3, [0, 1 + 1e-6] * 3) / (p.shape[0] * p.shape[1])
        for p in (a, b)
    )
    return correlation(first.ravel(), second.ravel())


def color_difference(picture: Pixels, reference: Pixels, *, gain: bool = False) -> float:
    """Return how far the colours of two pictures are apart: the mean CIE 1976 Delta E of their local averages.

    About 2 is just noticeable, side by side; black and white are 100 apart. Colours are averaged over cells, 24 along
    the shorter side, so that detail, noise and sharpness have no say.

    Parameters
    ----------
    picture, reference : (h, w, 3), BGR, uint8 or uint16, of one shape
    gain : fit exposure and white balance first: each channel of `picture` is multiplied by the number that brings it
        nearest to that of `reference`, but by no more than 1.2 times more or less than all would be together
    """
    first, second = (_local_colors(p) for p in (picture, reference))
    if gain:
        first = np.clip(first * _gains(first, second), 0, 1)
    return float(np.linalg.norm(to_lab(first) - to_lab(second), axis=-1).mean())


def _local_colors(pixels: Pixels) -> NDArray[np.float32]:
    return np.asarray(shrink(unit(pixels), _cells(frame_size(pixels))), np.float32)


def _gains(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what each channel is to be multiplied by."""
    products, squares = ((first * other).reshape(-1, 3).sum(axis=0) for other in (second, first))
    overall = products.sum() / max(squares.sum(), 1e-9)
    gains = products / np.maximum(squares, 1e-9)
    return np.asarray(np.clip(gains, overall / WHITE_BALANCE, overall * WHITE_BALANCE), np.float32)


def _cells(size: Size) -> Size:
    """Return how many cells a frame of `size` is averaged over, (across, down)."""
    ratio = min(1.0, CELLS / min(size))
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
