"""Colour transfer between pictures, and CIELAB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Pixels
from twimager.options import ColorTransfer

# (h, w, 3): 0 to 1 in BGR, or in CIELAB's own units.
Colors = NDArray[np.float32]
# From linear sRGB, blue first, to XYZ by its white point (IEC 61966-2-1), and from the cube roots of that to CIELAB.
_PRIMARIES = np.array([[0.1805, 0.3576, 0.4124], [0.0722, 0.7152, 0.2126], [0.9505, 0.1192, 0.0193]], np.float32)
BGR_TO_XYZ = _PRIMARIES / _PRIMARIES.sum(axis=1, keepdims=True)
ROOTS_TO_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32)
# Below this CIELAB is a straight line, of this slope, where the roots are below the third number.
DARK, DARK_SLOPE, DARK_ROOT = (6 / 29) ** 3, (29 / 6) ** 2 / 3, 6 / 29
# Histograms are compared at so many quantiles.
QUANTILES = 256


def transfer_color(pixels: Pixels, source: Pixels, reference: Pixels, how: ColorTransfer) -> Pixels:
    """Return pixels after the colour mapping that takes the distribution of `source` to that of `reference`.

    `plain`: per channel, the mean and the standard deviation of `source` become those of `reference`; `lab`: the same
    in CIELAB, where colours do not go along with brightness [1]_; `histogram`: per channel, every quantile of `source`
    becomes that of `reference`, so that any tone curve is followed.

    Parameters
    ----------
    pixels, source, reference : (h, w, 3), BGR, uint8 or uint16, each of a size of its own

    Returns
    -------
    (h, w, 3), of the size and type of `pixels`

    References
    ----------
    .. [1] Reinhard et al., "Color transfer between images", IEEE CG&A 2001
    """
    top = np.iinfo(pixels.dtype).max
    picture, before, after = (unit(p) for p in (pixels, source, reference))
    if how is ColorTransfer.HISTOGRAM:
        mapped = _match_quantiles(picture, before, after)
    elif how is ColorTransfer.LAB:
        mapped = _from_lab(_match_moments(*(to_lab(p) for p in (picture, before, after))))
    else:
        mapped = _match_moments(picture, before, after)
    return np.asarray(np.clip(np.rint(mapped * top), 0, top).astype(pixels.dtype))


def unit(pixels: Pixels) -> Colors:
    """Return pixels, (h, w, ...) uint8 or uint16, as float32 of 0 to 1."""
    return np.asarray(pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max))


def _match_moments(picture: Colors, before: Colors, after: Colors) -> Colors:
    """Match mean and standard deviation of each channel; a channel without any contrast is only shifted."""
    mean, sigma = (m.ravel() for m in cv2.meanStdDev(before))
    new_mean, new_sigma = (m.ravel() for m in cv2.meanStdDev(after))
    gain = np.divide(new_sigma, sigma, out=np.ones_like(sigma), where=sigma > 1e-6)
    return np.asarray((picture - mean) * gain + new_mean, np.float32)


def _match_quantiles(picture: Colors, before: Colors, after: Colors) -> Colors:
    """Match the quantiles of each channel; what lies beyond the outermost moves as far as they do."""
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    channels = []
    for channel in range(3):
        levels, first = np.unique(np.quantile(before[..., channel], shares), return_index=True)
        targets = np.quantile(after[..., channel], shares)
        # Where several quantiles are of one level, it becomes the mean of their targets.
        means = np.add.reduceat(targets, first) / np.diff(np.append(first, QUANTILES))
        values = picture[..., channel]
        channels.append(values + np.interp(values, levels, means - levels))
    return np.stack(channels, axis=-1).astype(np.float32)


def to_lab(picture: Colors) -> Colors:
    """Return a picture, (h, w, 3) float32 BGR of 0 to 1, in CIELAB, its L plus 16.

    OpenCV's own conversion has some hundred levels only.
    """
    low = picture <= 0.04045
    linear = np.where(low, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    xyz = cv2.transform(linear.astype(np.float32), BGR_TO_XYZ)
    roots = np.where(xyz > DARK, np.cbrt(xyz), xyz * DARK_SLOPE + 4 / 29)
    return np.asarray(cv2.transform(roots.astype(np.float32), ROOTS_TO_LAB))


def _from_lab(lab: Colors) -> Colors:
    roots = cv2.transform(lab, np.linalg.inv(ROOTS_TO_LAB.astype(np.float64)).astype(np.float32))
    xyz = np.where(roots > DARK_ROOT, roots**3, (roots - 4 / 29) / DARK_SLOPE).astype(np.float32)
    linear = np.clip(cv2.transform(xyz, np.linalg.inv(BGR_TO_XYZ.astype(np.float64)).astype(np.float32)), 0, 1)
    low = linear <= 0.0031308
    return np.asarray(np.where(low, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055), np.float32)
