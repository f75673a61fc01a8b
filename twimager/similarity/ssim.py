"""The usual measures of how alike two pictures are: MSE, L2 norm, SSIM, histogram correlation."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.colors import unit
from twimager.image.pixels import Gray, Pixels
from twimager.verify.overlay import correlation

# Sigma and radius, in pixels, of SSIM's Gaussian window, and its stabilising constants (Wang et al., IEEE TIP 2004).
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
SSIM_K1, SSIM_K2 = 0.01, 0.03
# Bins of a colour histogram, along each of blue, green and red.
BINS = 8


def mse(a: Pixels, b: Pixels) -> float:
    """Return the mean squared difference of two arrays of one shape, in their own levels."""
    difference = a.astype(np.float64) - b
    return float((difference * difference).mean())


def l2_norm(a: Pixels, b: Pixels) -> float:
    """Return the root of the summed squared differences of two arrays of one shape, in their own levels."""
    return float(np.linalg.norm((a.astype(np.float64) - b).ravel()))


def ssim(a: Gray, b: Gray, levels: float = 255.0) -> float:
    """Return the mean structural similarity of two gray pictures, -1..1; 1 if they are equal.

    As in [1]_, and as scikit-image's `structural_similarity` has it with `gaussian_weights`, `sigma=1.5` and
    `use_sample_covariance=False`: the rim of five pixels, where the window reaches beyond, is left out, unless the
    picture has nothing else.

    Parameters
    ----------
    a, b : (h, w), of one shape
    levels : the difference between white and black

    References
    ----------
    .. [1] Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004

    Examples
    --------
    >>> from twimager.similarity.ssim import ssim
    >>> ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    >>> ssim(ramp, ramp), round(ssim(ramp, ramp[:, ::-1]), 2) < 0
    (1.0, True)
    """
    x, y = (np.asarray(p, np.float64) for p in (a, b))
    mean_x, mean_y = _windowed_mean(x), _windowed_mean(y)
    variance_x, variance_y = _windowed_mean(x * x) - mean_x * mean_x, _windowed_mean(y * y) - mean_y * mean_y
    covariance = _windowed_mean(x * y) - mean_x * mean_y
    c1, c2 = (SSIM_K1 * levels) ** 2, (SSIM_K2 * levels) ** 2
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x * mean_x + mean_y * mean_y + c1) * (variance_x + variance_y + c2)
    )
    inner = similarity[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]
    return float((inner if inner.size else similarity).mean())


def _windowed_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean around each pixel, weighted by SSIM's window."""
    window = (2 * SSIM_RADIUS + 1,) * 2
    return np.asarray(cv2.GaussianBlur(values, window, SSIM_SIGMA, borderType=cv2.BORDER_REFLECT), np.float64)


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
