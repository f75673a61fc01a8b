"""Where one shot of a video ends and the next one begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twimager.video.signatures import Signatures

# A shot begins with a frame that differs from the one before by so many levels, and so many times what neighbouring
# frames do, REACH of them on either side: pans and shakes differ steadily.
MIN_CUT, CUT_RATIO, REACH = 4.0, 3.0, 6


def shot_starts(video: Signatures) -> NDArray[np.int64]:
    """Return the first frame of each shot, (k,), 0 among them.

    Cuts are found; fades and dissolves belong to the shots on either side.
    """
    difference = video.difference.astype(np.float64)
    padded = np.pad(difference, REACH, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1)
    around = np.delete(windows, REACH, axis=1)
    # The second largest: two cuts may be close to each other.
    usual = np.partition(around, -2, axis=1)[:, -2]
    cut = (difference >= MIN_CUT) & (difference >= CUT_RATIO * usual)
    cut[0] = True
    return np.flatnonzero(cut)
