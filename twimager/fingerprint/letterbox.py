"""Find the black bars around a picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Rect
from twimager.image.pixels import Gray, frame_size, to_8_bit

# A bar is dark, and flat but for noise and compression: levels of 255, over nearly all of each of its lines ...
DARK = 32
FLAT = 12
FLAT_SHARE = 0.98
# ... of which there are some, and it ends at once: over this share of the line the picture is so much brighter.
MIN_LINES = 2
EDGE_SHARE = 0.3
EDGE_RISE = 16
# The picture begins so many lines further inside: the first one is a mixture.
MIXED = 1
# What is left must be this share of the frame, along each side; else it is a dark picture, not one with bars.
MIN_LEFT = 0.25
# Lines that are tested in one go, until one is no bar.
BAND = 64


def picture_area(frame: Gray) -> Rect:
    """Return the part of a frame that is not black bars: all of it where there are none.

    Parameters
    ----------
    frame : (h, w), uint8 or uint16
    """
    gray = to_8_bit(frame)
    width, height = frame_size(gray)
    whole = Rect(0, 0, width, height)
    edges = (gray[0], gray[-1], gray[:, 0], gray[:, -1])
    if min(width, height) <= 2 * (MIN_LINES + MIXED) or all((edge > DARK).mean() > 0.5 for edge in edges):
        return whole
    top, bottom = _bar(gray), _bar(gray[::-1])
    rows = gray[top : height - bottom].T
    left, right = _bar(rows), _bar(rows[::-1])
    area = Rect(left, top, width - left - right, height - top - bottom)
    return area if min(area.width / width, area.height / height) >= MIN_LEFT else whole


def _bar(lines: Gray) -> int:
    """Return how many of the first lines are no picture."""
    if len(lines) == 0 or (level := float(np.median(lines[0]))) > DARK:
        return 0
    if not _flat(lines[:MIN_LINES], level).all():
        return 0
    count = next((top + int(np.argmin(flat)) for top, flat in _bands(lines, level) if not flat.all()), None)
    if count is None:
        return 0
    beyond = lines[count : count + 1 + 2 * MIXED].max(axis=0)
    return count + MIXED if (beyond > level + EDGE_RISE).mean() >= EDGE_SHARE else 0


def _bands(lines: Gray, level: float) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield the first of some lines, and which of these are flat; all lines in order."""
    for top in range(0, len(lines), BAND):
        yield top, _flat(lines[top : top + BAND], level)


def _flat(lines: Gray, level: float) -> NDArray[np.bool_]:
    """Tell which lines are of one level nearly everywhere."""
    return np.asarray((np.abs(lines - np.float32(level)) <= FLAT).mean(axis=1) >= FLAT_SHARE)
