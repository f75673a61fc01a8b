"""Find the black bars around a picture."""

from __future__ import annotations

import cv2
import numpy as np

from twimager.geometry import Rect
from twimager.images import Gray, Pixels, frame_size, to_8_bit

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


def picture_area(pixels: Pixels) -> Rect:
    """Return the part of a frame, (h, w, 3) uint8 or uint16, that is not black bars: all of it where there are none."""
    width, height = frame_size(pixels)
    whole = Rect(0, 0, width, height)
    edges = (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])
    dark = DARK * (np.iinfo(pixels.dtype).max // 255)
    if min(width, height) <= 2 * (MIN_LINES + MIXED) or all(np.median(edge) > dark for edge in edges):
        return whole
    gray = np.asarray(cv2.cvtColor(to_8_bit(pixels), cv2.COLOR_BGR2GRAY))
    top, bottom = _bar(gray), _bar(gray[::-1])
    rows = gray[top : height - bottom].T
    left, right = _bar(rows), _bar(rows[::-1])
    area = Rect(left, top, width - left - right, height - top - bottom)
    return area if min(area.width / width, area.height / height) >= MIN_LEFT else whole


def _bar(lines: Gray) -> int:
    """Return how many of the first lines are no picture."""
    if len(lines) == 0 or (level := float(np.median(lines[0]))) > DARK:
        return 0
    flat = (np.abs(lines - np.float32(level)) <= FLAT).mean(axis=1) >= FLAT_SHARE
    count = int(np.argmin(flat))
    if flat.all() or count < MIN_LINES:
        return 0
    beyond = lines[count : count + 1 + 2 * MIXED].max(axis=0)
    return count + MIXED if (beyond > level + EDGE_RISE).mean() >= EDGE_SHARE else 0
