"""Draw a layer on frames that have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twimager.image.pixels import Pixels, limited, shrink, to_8_bit

# Shorter side, at most, of a frame as it is drawn.
DRAWN_SIDE = 360
# How what a mask leaves out is drawn: in this colour (BGR), to this share.
TINT, TINT_SHARE = (255.0, 0.0, 255.0), 0.7
GAP = 8


def draw_layer(frames: Sequence[Pixels], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return frames, and below each the same with what the mask leaves out tinted; (h, w, 3) uint8 BGR.

    Parameters
    ----------
    frames : (h, w, 3) BGR, uint8 or uint16, of one size
    mask : (h, w) uint8, 0 where the layer is
    """
    columns = []
    for frame in frames:
        small = limited(to_8_bit(frame), DRAWN_SIDE)
        tint = TINT_SHARE * (1 - shrink(mask, (small.shape[1], small.shape[0]))[..., None] / 255)
        tinted = np.rint(small * (1 - tint) + np.array(TINT) * tint).astype(np.uint8)
        columns.append(np.pad(np.vstack([small, tinted]), ((0, 0), (0, GAP), (0, 0)), constant_values=255))
    return np.hstack(columns)[:, :-GAP]
