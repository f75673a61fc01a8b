"""How far the colours of two aligned pictures are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Size
from twimager.image.colors import to_lab, unit
from twimager.image.pixels import Pixels, frame_size, shrink

# Colours are averaged over cells, so many along the shorter side: smaller ones would measure blur, noise and a shift by
# a pixel, larger ones less of where a colour is.
CELLS = 24
# A white balance changes no channel by more than this beyond the others; a recoloured picture of one hue, which a gain
# of each channel would make up for, is by more. Of 160 faded copies with a cast of a tenth and another gamma, half were
# less than 3 apart, 99 in 100 less than 7; six photographs with their hues rotated by 80 degrees 5 (a nearly gray one)
# and 11 to 50.
WHITE_BALANCE = 1.2


def color_difference(picture: Pixels, reference: Pixels, *, gain: bool = False) -> float:
    """Return how far the colours of two pictures are apart: the mean CIE 1976 Delta E of their local averages.

    About 2 is just noticeable, side by side; black and white are 100 apart. Colours are averaged over cells, 24 along
    the shorter side, so that detail, noise and sharpness have no influence.

    Parameters
    ----------
    picture, reference : (h, w, 3), BGR, uint8 or uint16, of one shape
    gain : fit exposure and white balance first: each channel of `picture` is multiplied by the number that brings it
        nearest to that of `reference`, but by no more than 1.2 times more or less than all would be together

    Examples
    --------
    >>> from twimager.verify.color import color_difference
    >>> gray, black = np.full((32, 32, 3), 128, np.uint8), np.zeros((32, 32, 3), np.uint8)
    >>> round(color_difference(gray, black), 1), round(color_difference(gray // 2, gray, gain=True), 1)
    (53.6, 0.0)
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
