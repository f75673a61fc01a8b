"""Positions, rectangles, matrices between pixel grids, and what two frames have in common.

Positions are pixel centres, the first pixel's at (0, 0); a pixel covers its centre +-0.5. A frame of `size` (width,
height) therefore covers [-0.5, width - 0.5] x [-0.5, height - 0.5]. A matrix is 3x3, float64, and takes HR pixels to
LR pixels unless its name says otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# (3, 3)
Matrix = NDArray[np.float64]
# (n, 2), of x and y
Points = NDArray[np.float64]
# (width, height)
Size = tuple[int, int]


class Rect(NamedTuple):
    """Whole pixels of a frame: the first column and row, then how many of them."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return these pixels of a frame (h, w, ...), as a view."""
        return pixels[self.y : self.y + self.height, self.x : self.x + self.width]

    def intersection(self, other: Rect) -> Rect | None:
        """Return the pixels that are in both, or None."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        width = min(self.x + self.width, other.x + other.width) - x
        height = min(self.y + self.height, other.y + other.height) - y
        return Rect(x, y, width, height) if min(width, height) > 0 else None

    def moved(self, x: int, y: int) -> Rect:
        """Return the rectangle of this size (x, y) further right and down."""
        return self._replace(x=self.x + x, y=self.y + y)


def scaling(x: float, y: float | None = None) -> Matrix:
    """Return the matrix, (3, 3), of a resize by `x` (and `y`): it takes p to (p + 0.5) * s - 0.5."""
    y = x if y is None else y
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]], np.float64)


def translation(x: float, y: float) -> Matrix:
    """Return the matrix, (3, 3), that moves by (x, y) pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def mirroring(size: Size) -> Matrix:
    """Return the matrix, (3, 3), that flips a frame of `size` left to right."""
    return np.array([[-1, 0, size[0] - 1], [0, 1, 0], [0, 0, 1]], np.float64)


def resize_matrix(old: Size, new: Size) -> Matrix:
    """Return the matrix, (3, 3), from a frame of size `old` to its resized copy of size `new`, both (width, height).

    Examples
    --------
    Pixel centres of the first and of the last column of four, in a copy of twice the size:

    >>> from twimager.geometry import resize_matrix, transform_points
    >>> transform_points(resize_matrix((4, 2), (8, 4)), np.array([[0, 0], [3, 0]])).tolist()
    [[0.5, 0.5], [6.5, 0.5]]
    """
    return scaling(new[0] / old[0], new[1] / old[1])


def transform_points(matrix: Matrix, points: Points) -> Points:
    """Return points moved by a matrix.

    Parameters
    ----------
    matrix : (3, 3), projective
    points : (n, 2)

    Returns
    -------
    (n, 2) float64

    Examples
    --------
    >>> from twimager.geometry import transform_points, translation
    >>> transform_points(translation(2, -1), np.array([[0, 0], [5, 5]])).tolist()
    [[2.0, -1.0], [7.0, 4.0]]
    """
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[:, :2] / mapped[:, 2:], np.float64)


def frame_corners(size: Size) -> Points:
    """Return the outer corners, (4, 2) float64, of a frame of `size`, clockwise from the top left.

    They are half a pixel beyond the centres of the outermost pixels.
    """
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]], np.float64)


def area_scale(matrix: Matrix, size: Size) -> float:
    """Return how many target pixels a source pixel becomes, on average over a source frame; negative if mirrored.

    Parameters
    ----------
    matrix : (3, 3), takes source pixels to target pixels
    size : (width, height) of the source frame
    """
    target = transform_points(matrix, frame_corners(size)).astype(np.float32)
    return float(cv2.contourArea(target, oriented=True)) / (size[0] * size[1])


def covered_share(matrix: Matrix, hr_size: Size, lr_size: Size) -> float:
    """Return the share, 0..1, of the LR frame that the HR frame covers.

    Parameters
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels
    hr_size, lr_size : (width, height)

    Examples
    --------
    An HR of twice the density that shows the right half of the LR:

    >>> from twimager.geometry import covered_share, scaling, translation
    >>> covered_share(translation(40, 0) @ scaling(0.5), (80, 120), (80, 60))
    0.5
    """
    hr = transform_points(matrix, frame_corners(hr_size)).astype(np.float32)
    area, _ = cv2.intersectConvexConvex(hr, frame_corners(lr_size).astype(np.float32))
    return float(area) / (lr_size[0] * lr_size[1])


def common_rectangle(matrix: Matrix, hr_size: Size, lr_size: Size, tolerance: float = 0.0) -> Rect | None:
    """Return the largest rectangle of whole LR pixels that the HR frame covers, or None where there is none.

    Parameters
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels
    hr_size, lr_size : (width, height)
    tolerance : how far, in LR pixels, a covered pixel may lie outside the HR frame

    Examples
    --------
    >>> from twimager.geometry import common_rectangle, translation
    >>> common_rectangle(translation(2.5, -1), (10, 10), (10, 10))
    Rect(x=3, y=0, width=7, height=9)
    >>> common_rectangle(translation(2.5, -1), (10, 10), (10, 10), tolerance=0.5)
    Rect(x=2, y=0, width=8, height=9)
    """
    if _covers(matrix, hr_size, lr_size):
        return Rect(0, 0, *lr_size)
    left, right = _covered_columns(matrix, hr_size, lr_size, tolerance)
    best, best_area = None, 0
    for top in np.flatnonzero(left <= right):
        if (right[top] - left[top] + 1) * (lr_size[1] - top) <= best_area:
            continue
        # The HR frame is convex: what the first and the last row have in common, every row between them has too.
        x0 = np.maximum(left[top], left[top:])
        width = np.minimum(right[top], right[top:]) - x0 + 1
        area = width * np.arange(1, len(width) + 1)
        last = int(np.argmax(area))
        if area[last] > best_area:
            best, best_area = Rect(int(x0[last]), int(top), int(width[last]), last + 1), area[last]
    return best


def _covers(matrix: Matrix, hr_size: Size, lr_size: Size) -> bool:
    """Tell whether the HR frame covers the whole LR frame."""
    try:
        back = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return False
    corners = frame_corners(lr_size)
    in_hr = transform_points(np.asarray(back, np.float64), corners)
    ahead = bool((corners @ back[2, :2] + back[2, 2] > 0).all())
    return ahead and bool((in_hr >= -0.5).all() and (in_hr <= np.array(hr_size) - 0.5).all())


def _covered_columns(
    matrix: Matrix, hr_size: Size, lr_size: Size, tolerance: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last covered column of every LR row; first > last where a row has none."""
    quad = transform_points(matrix, frame_corners(hr_size))
    if area_scale(matrix, hr_size) < 0:
        quad = quad[::-1]
    low, high = np.full(lr_size[1], -0.5), np.full(lr_size[1], lr_size[0] - 0.5)
    rows = np.arange(lr_size[1], dtype=np.float64)
    for (x0, y0), (x1, y1) in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        dx, dy = x1 - x0, y1 - y0
        slack = tolerance * np.hypot(dx, dy)
        # Inside is dx * (y - y0) - dy * (x - x0) >= 0, at the pixel row's less favourable edge.
        edge = dx * (rows - y0) - abs(dx) / 2 + slack
        if dy > 0:
            high = np.minimum(high, x0 + edge / dy)
        elif dy < 0:
            low = np.maximum(low, x0 + edge / dy)
        else:
            high = np.where(edge < 0, -1.0, high)
    return np.ceil(low + 0.5 - 1e-9).astype(np.int64), np.floor(high - 0.5 + 1e-9).astype(np.int64)


def trimmed(mask: NDArray[np.bool_]) -> Rect | None:
    """Return a large rectangle of only true pixels of a mask, (h, w) bool, or None.

    The side with the smallest share of them is cut off until there is nothing else.
    """
    top, bottom, left, right = 0, mask.shape[0], 0, mask.shape[1]
    while top < bottom and left < right:
        inner = mask[top:bottom, left:right]
        sides = (inner[0], inner[-1], inner[:, 0], inner[:, -1])
        shares = [float(side.mean()) for side in sides]
        if min(shares) == 1 and inner.all():
            return Rect(left, top, right - left, bottom - top)
        worst = int(np.argmin(shares))
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return None
