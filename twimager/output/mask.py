"""The mask of a pair: where its LR and its HR agree, on the grid of either output."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Rect, Size
from twimager.pairs import VerifiedPair

AGREES = 255


def render_mask(pair: VerifiedPair, size: Size) -> NDArray[np.uint8]:
    """Return the mask of what is written of a pair, on a grid of `size` (width, height).

    Returns
    -------
    (height, width) : 255 where both agree, 0 where they differ or the HR shows nothing; in between, both agree
    """
    mask = np.zeros(size[::-1], np.uint8)
    common = _on_grid(pair.common, pair.window, size)
    if common:
        common.cut(mask)[:] = common.cut(pair.agreement.soft_mask(pair.window, size)) if pair.agreement else AGREES
    return mask


def hidden(pair: VerifiedPair) -> NDArray[np.bool_]:
    """Return which of the LR pixels that are written, (h, w), the mask has anything but fully agree."""
    return render_mask(pair, pair.window[2:]) < AGREES


def _on_grid(common: Rect, window: Rect, size: Size) -> Rect | None:
    """Return the pixels of a window's grid that lie in the common area as a whole."""
    scale, place = np.array(size) / window[2:], np.subtract(common[:2], window[:2])
    start, end = np.ceil(place * scale - 1e-9), np.floor((place + common[2:]) * scale + 1e-9)
    return Rect(*map(int, (*start, *(end - start)))).intersection(Rect(0, 0, *size))
