"""The crop of one picture that another one is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from twimager.geometry import Matrix, Size, frame_corners, mirroring, transform_points

# Crops whose corners are within this of upright, in pixels, are upright; frames that close are the same.
UPRIGHT = 0.5


class Crop(NamedTuple):
    """A rectangle of a picture, in its pixels: the first column and row, and how many; whole numbers if `exact`.

    Positions are those of pixel edges: 0 is where the first pixel begins. If not `upright`, the crop is rotated or in
    perspective, and this is its bounding box.
    """

    x: float
    y: float
    width: float
    height: float
    exact: bool
    upright: bool


def crop_of(matrix: Matrix, size: Size, whole: Size) -> Crop | None:
    """Return which part of a picture another one shows; None if it shows more than that, or all of it.

    Parameters
    ----------
    matrix : (3, 3), takes pixels of the part to pixels of the whole
    size, whole : (width, height) of the part and of the whole
    """
    corners = transform_points(matrix, frame_corners(size)) + 0.5
    low, high = corners.min(axis=0), corners.max(axis=0)
    if (low < -UPRIGHT).any() or (high > np.array(whole) + UPRIGHT).any():
        return None
    if (abs(low) <= UPRIGHT).all() and (abs(high - whole) <= UPRIGHT).all():
        return None
    spread = abs(np.sort(corners, axis=0) - np.repeat([low, high], 2, axis=0)).max()
    exact = is_whole(matrix, size)
    x, y, width, height = (float(round(n) if exact else n) for n in (*low, *(high - low)))
    return Crop(x, y, width, height, exact, bool(spread <= UPRIGHT))


def is_whole(matrix: Matrix, size: Size) -> bool:
    """Tell whether a matrix (3, 3) shifts a picture of `size` by whole pixels, and does nothing else, but mirror it."""
    plain = unmirrored(matrix, size)
    return bool(np.array_equal(plain[:, :2], np.eye(3)[:, :2]) and np.array_equal(plain, np.rint(plain)))


def unmirrored(matrix: Matrix, size: Size) -> Matrix:
    """Return the matrix (3, 3) for the picture flipped left to right, if it is mirrored; else the matrix itself."""
    return matrix @ mirroring(size) if np.linalg.det(matrix[:2, :2]) < 0 else matrix
