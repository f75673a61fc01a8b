"""Fill in what is not known of a picture with the nearest that is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Pixels, frame_size, limited, shrink

# Shorter side of the copy, at most, that what is not known is filled in from.
SIDE = 320
# In place of a weight of 0.
TINY = 1e-9


def inpainted(pixels: Pixels, known: NDArray[np.bool_]) -> Pixels:
    """Return pixels, (h, w) or (h, w, 3), with those that are not known, (h, w), like the nearest that are; smooth."""
    small = limited(pixels, SIDE)
    around = filled(small.astype(np.float32), shrunk_known(known, frame_size(small)))
    smooth = cv2.resize(np.rint(around).astype(pixels.dtype), frame_size(pixels), interpolation=cv2.INTER_LINEAR)
    return np.where(known if pixels.ndim == 2 else known[..., None], pixels, smooth)


def shrunk_known(known: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of a copy, (width, height), are made of nothing but known ones, (h, w)."""
    white = np.where(known, np.uint8(255), np.uint8(0))
    larger = size[0] > known.shape[1] or size[1] > known.shape[0]
    small = cv2.resize(white, size, interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA)
    return np.asarray(small == 255)


def filled(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return values, (h, w) or (h, w, c), with those that are not known averaged over the nearest that are.

    All is 0 where nothing is known.
    """
    weight = known.astype(np.float32)
    return _averaged((values.T * weight.T).T, weight)


def _averaged(sums: NDArray[Any], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sums by their weights, (h, w), and where these are 0 the same of a copy of half the size."""
    mean = np.asarray((sums.T / np.maximum(weight, TINY).T).T, np.float32)
    if weight.all() or weight.size == 1:
        return mean
    size = frame_size(sums)
    half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    around = cv2.resize(_averaged(shrink(sums, half), shrink(weight, half)), size, interpolation=cv2.INTER_LINEAR)
    return np.where(weight > 0 if mean.ndim == 2 else weight[..., None] > 0, mean, around)
