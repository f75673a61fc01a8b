"""Transparency: which pixels are picture, and colours with alpha divided out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Pixels

# What has so much less alpha than the most opaque pixels is no picture: what lies below shows through.
OPAQUE = 0.95


def is_opaque(alpha: Pixels) -> NDArray[np.bool_]:
    """Return which pixels are picture, by their alpha, (h, w): those that are as opaque as any, or nearly."""
    return np.asarray(alpha >= max(1.0, OPAQUE * float(alpha.max())))


def straight(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Return colours, (h, w, 3), that were multiplied by alpha, (h, w) of the same type, as they were before."""
    top = np.iinfo(pixels.dtype).max
    gain = top / np.maximum(alpha, 1).astype(np.float32)
    return np.asarray(np.minimum(np.rint(pixels * gain[..., None]), top).astype(pixels.dtype))
