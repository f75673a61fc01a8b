"""Where things are: pixel centres, matrices between pixel grids, what two frames share.

Positions are pixel centres, the first pixel's at (0, 0); a pixel covers its centre +-0.5. A frame of `size` (width,
height) therefore covers [-0.5, width - 0.5] x [-0.5, height - 0.5]. A matrix is 3x3, float64, and takes HR pixels to
LR pixels unless its name says otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Points = NDArray[np.float64]
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
    """Return the matrix of a resize by `x` (and `y`): it takes p to (p + 0.5) * s - 0.5."""
    y = x if y is None else y
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]], np.float64)


def translation(x: float, y: float) -> Matrix:
    """Return the matrix that moves by (x, y) pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def mirroring(size: Size) -> Matrix:
    """Return the matrix that flips a frame of `size` left to right."""
    return np.array([[-1, 0, size[0] - 1], [0, 1, 0], [0, 0, 1]], np.float64)


def resize_matrix(old: Size, new: Size) -> Matrix:
    """Return the matrix from a frame of size `old` to its resized copy of size `new`."""
    return scaling(new[0] / old[0], new[1] / old[1])


def transform_points(matrix: Matrix, points: Points) -> Points:
    """Apply a 3x3 matrix to points of shape (n, 2)."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(mapped[:, :2] / mapped[:, 2:], np.float64)


def frame_corners(size: Size) -> Points:
    """Return the outer corners (4, 2) of a frame, clockwise from the top left: where its first and last pixels end."""
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]], np.float64)


def area_scale(matrix: Matrix, size: Size) -> float:
    """Return how many target pixels a source pixel becomes, signed (negative: mirrored), over a frame of `size`."""
    target = transform_points(matrix, frame_corners(size)).astype(np.float32)
    return float(cv2.contourArea(target, oriented=True)) / (size[0] * size[1])


def covered_share(matrix: Matrix, hr_size: Size, lr_size: Size) -> float:
    """Return the share (0..1) of the LR frame that the HR frame covers."""
    hr = transform_points(matrix, frame_corners(hr_size)).astype(np.float32)
    area, _ = cv2.intersectConvexConvex(hr, frame_corners(lr_size).astype(np.float32))
    return float(area) / (lr_size[0] * lr_size[1])


def common_rectangle(matrix: Matrix, hr_size: Size, lr_size: Size, tolerance: float = 0.0) -> Rect | None:
    """Return the largest rectangle of whole LR pixels that the HR frame covers, or None where there is none.

    A pixel counts as covered where none of it lies further than `tolerance` LR pixels outside the HR frame.
    """
    if _covers(matrix, hr_size, lr_size):
        return Rect(0, 0, *lr_size)
    left, right = _covered_columns(matrix, hr_size, lr_size, tolerance)
    best, best_area = None, 0
    for top in np.flatnonzero(left <= right):
        if (right[top] - left[top] + 1) * (lr_size[1] - top) <= best_area:
            continue
        # The HR frame is convex: what its first and last row have in common, every row between them has too.
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
    seen = transform_points(np.asarray(back, np.float64), corners)
    ahead = bool((corners @ back[2, :2] + back[2, 2] > 0).all())
    return ahead and bool((seen >= -0.5).all() and (seen <= np.array(hr_size) - 0.5).all())


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


def trimmed(wanted: NDArray[np.bool_]) -> Rect | None:
    """Return a large rectangle of only wanted pixels, or None: the side with most others is cut off until it is one."""
    top, bottom, left, right = 0, wanted.shape[0], 0, wanted.shape[1]
    while top < bottom and left < right:
        inner = wanted[top:bottom, left:right]
        sides = (inner[0], inner[-1], inner[:, 0], inner[:, -1])
        shares = [float(side.mean()) for side in sides]
        if min(shares) == 1 and inner.all():
            return Rect(left, top, right - left, bottom - top)
        worst = int(np.argmin(shares))
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return None
