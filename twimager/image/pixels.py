"""Pixels of images: their types, sizes and depths, and copies that are gray, of 8 bit or smaller."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# (h, w, 3), BGR, uint8 or uint16.
Pixels = NDArray[Any]
# (h, w), 0 to 255: uint8, or float32 where roundings would matter.
Gray = NDArray[np.uint8] | NDArray[np.float32]

# The longer side of a copy is at most so many times what its shorter one may be: of a strip it could have any length.
MAX_ASPECT = 16


def to_gray(pixels: Pixels) -> Gray:
    """Return the gray of pixels, (h, w, 3) BGR, uint8 or uint16, as (h, w) of the same type."""
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))


def to_8_bit(pixels: Pixels) -> Pixels:
    """Return pixels, (h, w, ...) uint8 or uint16, as uint8; 16-bit ones by 257, so that white stays white."""
    return pixels if pixels.dtype == np.uint8 else np.asarray(cv2.convertScaleAbs(pixels, alpha=1 / 257))


def shrink(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return pixels, (h, w, ...), shrunk to `size` (width, height) by averaging areas; of the same type."""
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def limited(pixels: Pixels, side: int) -> Pixels:
    """Return pixels, shrunk so that the shorter side is at most `side`, and the other MAX_ASPECT times that.

    Parameters
    ----------
    pixels : (h, w) or (h, w, 3)
    side : in pixels

    Returns
    -------
    (h', w') or (h', w', 3), of the same type; `pixels` itself if it is small enough
    """
    width, height = frame_size(pixels)
    ratio = min(side / min(width, height), MAX_ASPECT * side / max(width, height))
    return shrink(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio)))) if ratio < 1 else pixels


def frame_size(pixels: Pixels) -> tuple[int, int]:
    """Return the (width, height) of pixels, (h, w, ...)."""
    return pixels.shape[1], pixels.shape[0]
