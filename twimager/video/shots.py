"""Where one shot of a video ends and the next one begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twimager.video.signatures import Signatures, Thumbnails

# A shot begins with a frame that differs from the one before by so many levels, and so many times what neighbouring
# frames do, REACH of them on either side: pans and shakes differ steadily. Half of that suffices where frames before
# and after it hardly correlate: those of fast pans do so by 0.6 and more.
MIN_CUT, CUT_RATIO, REACH = 4.0, 3.0, 6
UNLIKE_RATIO, UNLIKE = 1.5, 0.5
# Thumbnails that are shrunk at once.
CHUNK = 4096


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
    ratio = np.where(_alike(video.thumbnails) < UNLIKE, UNLIKE_RATIO, CUT_RATIO)
    cut = (difference >= MIN_CUT) & (difference >= ratio * usual) & (difference == windows.max(axis=1))
    cut[0] = True
    return np.flatnonzero(cut)


def _alike(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Return how the frames before and after each correlate, (n,): the frame itself may be of two fields."""
    pixels = coarse_pixels(thumbnails)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True) + 1e-3
    padded = np.concatenate([pixels[:1], pixels, pixels[-1:]])
    return np.asarray(np.einsum("np,np->n", padded[:-2], padded[2:]), np.float32)


def coarse_pixels(thumbnails: Thumbnails) -> NDArray[np.float32]:
    """Return thumbnails as 64 pixels each, (n, 64), without their mean: those of hours fit in memory."""
    pixels = np.empty((len(thumbnails), 64), np.float32)
    for start in range(0, len(pixels), CHUNK):
        blocks = thumbnails[start : start + CHUNK].reshape(-1, 8, 4, 8, 4)
        pixels[start : start + CHUNK] = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(-1, 64)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels
