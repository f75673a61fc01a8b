"""The largest rectangle in which an LR and its HR agree, to the pixel: for cuts, and for bars and frames at the rim."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Rect
from twimager.image.pixels import frame_size
from twimager.verify.agreement import LEVELS_ALLOWED, LOW, Agreement, Mask, Pixels, error_and_allowed
from twimager.verify.tone_fit import Picture

# A line is part of the rim if so much of it differs, or so much where lines were taken off before. What lies at one
# side alone is, if it takes no more than so much of the frame: frames and bars have several sides; what is wider is a
# caption, or another picture.
RIM_SHARE, AGAIN_SHARE, THIN_RIM = 0.75, 0.3, 0.1
# Left, top, right, bottom.
Sides = tuple[bool, bool, bool, bool]
NO_SIDES = (False, False, False, False)
# Its edge is searched for so many pixels of the map further out than the map has it, or further in, in lines along it:
# against so many inside. The map is blurred, and its regions reach rather too far.
REACH, TOO_FAR, INSIDE = 5, 1, 8


def to_the_pixel(coarse: Rect, found: Agreement, hr: Pixels, lr: Pixels) -> Rect | None:
    """Return a rectangle of an agreement map as whole pixels of the pictures, its edges where they cease to agree.

    Parameters
    ----------
    coarse : on the map
    found : the pictures' agreement
    hr, lr : (h, w) uint8 on one grid, the HR maybe (h, w, 3), as `agreement` had them

    Returns
    -------
    None where nothing is left
    """
    size, (rows, columns) = frame_size(lr), found.labels.shape
    across, down = size[0] / columns, size[1] / rows
    left, top = coarse.x * across, coarse.y * down
    rough = (left, top, left + coarse.width * across, top + coarse.height * down)
    x0, y0, x1, y1 = (_edge(found, hr, lr, rough, side) for side in range(4))
    return Rect(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


def inner_rectangle(differs: Mask, known: Sides = NO_SIDES, least: float = 0.3) -> Rect:
    """Return a map without its rim: frames, bars and junk lines, which most of the lines along an edge differ in.

    Parameters
    ----------
    differs : (h, w)
    known : left, top, right, bottom: whether a bar was taken off there before
    least : the share of the map that has to be left, else it has no rim: unlike pictures agree in some part

    Examples
    --------
    >>> differs = np.zeros((40, 60), bool)
    >>> differs[:9] = differs[-6:] = True
    >>> inner_rectangle(differs)
    Rect(x=0, y=9, width=60, height=25)
    """
    inner, rims = Rect(0, 0, *frame_size(differs)), np.array(known)
    while True:
        part = inner.cut(differs)
        across, down = part.mean(axis=0), part.mean(axis=1)
        ends = zip((across, down, across[::-1], down[::-1]), rims, strict=True)
        depths = np.array([_depth(lines, had_rim=bool(had_rim)) for lines, had_rim in ends])
        sizes = np.array([inner.width, inner.height] * 2)
        rims |= depths > 0
        others = rims.sum() - rims
        depths[(others == 0) & (depths > THIN_RIM * sizes)] = 0
        left, top, right, bottom = depths.tolist()
        if not depths.any():
            return inner
        width, height = inner.width - left - right, inner.height - top - bottom
        if min(width, height) <= 0 or width * height < least * differs.size:
            return Rect(0, 0, *frame_size(differs))
        inner = Rect(left, top, width, height).moved(inner.x, inner.y)


def _depth(share: NDArray[np.floating[Any]], *, had_rim: bool) -> int:
    """Return up to which line most of each, and of all before it, differs; where a rim was, a part of each will do."""
    least = AGAIN_SHARE if had_rim and share[0] >= AGAIN_SHARE else RIM_SHARE
    mean = share.cumsum() / np.arange(1, len(share) + 1)
    deep = np.flatnonzero((share >= least) & (mean >= least))
    return int(deep[-1]) + 1 if len(deep) else 0


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
