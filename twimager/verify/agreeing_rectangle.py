"""The largest rectangle in which an LR and its HR agree, to the pixel: for cuts, and for bars and frames at the rim."""

from __future__ import annotations

import cv2
import numpy as np

from twimager.geometry import Rect
from twimager.image.pixels import frame_size
from twimager.verify.agreement import LEVELS_ALLOWED, LOW, Agreement, Mask, Pixels, error_and_allowed
from twimager.verify.tone_fit import Picture

# A region that takes up so much of a side of the frame is a bar, or part of a frame; logos do not.
BAR_SHARE = 0.5
# Its edge is searched for so many pixels of the map further out than the map has it, or further in, in lines along it:
# against so many inside. The map is blurred, and its regions reach rather too far.
REACH, TOO_FAR, INSIDE = 5, 1, 8


def agreeing_rectangle(found: Agreement, hr: Pixels, lr: Pixels, *, bars_only: bool = False) -> Rect | None:
    """Return the largest rectangle of whole pixels in which nothing differs, or None.

    With `bars_only` only what takes up half of a side of the frame is kept out: bars, frames, junk lines.

    Parameters
    ----------
    found : the pictures' agreement
    hr, lr : (h, w) uint8 on one grid, the HR maybe (h, w, 3), as `agreement` had them
    bars_only : whether other differences may lie in the rectangle
    """
    differs = bars(found.differs) if bars_only else found.differs
    coarse = largest_rectangle(~differs)
    if coarse is None:
        return None
    size, (rows, columns) = frame_size(lr), found.labels.shape
    across, down = size[0] / columns, size[1] / rows
    left, top = coarse.x * across, coarse.y * down
    rough = (left, top, left + coarse.width * across, top + coarse.height * down)
    x0, y0, x1, y1 = (_edge(found, hr, lr, rough, side) for side in range(4))
    return Rect(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


def bars(differs: Mask) -> Mask:
    """Return the regions of a mask (h, w) that take up at least half of one of its sides."""
    count, numbers = cv2.connectedComponents(differs.astype(np.uint8), connectivity=4)
    kept = np.zeros(count, bool)
    for side in (numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]):
        kept |= np.bincount(side, minlength=count) >= BAR_SHARE * len(side)
    kept[0] = False
    return np.asarray(kept[numbers])


def largest_rectangle(wanted: Mask) -> Rect | None:
    """Return the largest rectangle of only wanted pixels of a mask (h, w), or None where there are none.

    For each row, the largest rectangle in the histogram of how many wanted pixels in a row end in it, by a stack.

    Examples
    --------
    >>> largest_rectangle(np.array([[True, True, False], [True, True, True]]))
    Rect(x=0, y=0, width=2, height=2)
    """
    best, best_area = None, 0
    heights = np.zeros(wanted.shape[1], np.int64)
    for row, is_wanted in enumerate(wanted):
        heights = np.where(is_wanted, heights + 1, 0)
        rising: list[tuple[int, int]] = []
        for x, height in enumerate([*heights.tolist(), 0]):
            start = x
            while rising and rising[-1][1] >= height:
                start, tall = rising.pop()
                if tall * (x - start) > best_area:
                    best, best_area = Rect(start, row + 1 - tall, x - start, tall), tall * (x - start)
            rising.append((start, height))
    return best


def _edge(found: Agreement, hr: Pixels, lr: Pixels, rough: tuple[float, ...], side: int) -> int:
    """Return where the pictures begin (side 0: x, 1: y) or cease (2, 3) to agree, near a side of a rough rectangle."""
    axis, is_last, size = side % 2, side > 1, frame_size(lr)
    if round(rough[side]) == (size[axis] if is_last else 0):
        return round(rough[side])
    pixel = size[axis] / found.tones.size[axis]
    before, after = (INSIDE, REACH) if is_last else (REACH, INSIDE)
    start = max(0, round(rough[side] - before * pixel))
    stop = min(size[axis], round(rough[side] + after * pixel))
    first, last = round(rough[1 - axis]), round(rough[3 - axis])
    strip = Rect(first, start, last - first, stop - start) if axis else Rect(start, first, stop - start, last - first)
    outwards = _unexplained_lines(found, strip, hr, lr)[axis]
    outwards = outwards if is_last else outwards[::-1]
    inside, from_here = round(INSIDE * pixel), round((INSIDE - TOO_FAR) * pixel)
    beyond = np.flatnonzero(outwards[from_here:] > LOW * np.median(outwards[:inside]))
    agreeing = from_here + int(beyond[0]) if len(beyond) else len(outwards)
    return start + agreeing if is_last else stop - agreeing


def _unexplained_lines(found: Agreement, strip: Rect, hr: Pixels, lr: Pixels) -> tuple[Picture, Picture]:
    """Return the mean squared error by what is allowed of it, for every column and every row of a strip."""
    source, reference = (strip.cut(pixels).astype(np.float32) for pixels in (hr, lr))
    fitted = found.tones.apply(source, strip, frame_size(lr))
    error, allowed = (reference - fitted) ** 2, error_and_allowed(fitted, reference)[1] + LEVELS_ALLOWED**2
    return error.mean(axis=0) / allowed.mean(axis=0), error.mean(axis=1) / allowed.mean(axis=1)
