"""Carry pixels from one grid to another, once."""

from __future__ import annotations

import math

import cv2
import numpy as np

from twimager.geometry import Matrix, Size, frame_corners, scaling, transform_points
from twimager.images import Pixels, shrink


def resample(
    pixels: Pixels,
    matrix: Matrix,
    size: Size,
    outside: int = cv2.BORDER_REPLICATE,
    interpolation: int = cv2.INTER_CUBIC,
) -> Pixels:
    """Sample `pixels` on a new grid.

    Where the source is denser than the grid, a grid so much finer that nothing is skipped is sampled and averaged;
    elsewhere the source is interpolated.

    Parameters
    ----------
    pixels : (h, w) or (h, w, 3), uint8 or uint16
    matrix : takes positions in `pixels` to positions on the new grid
    size : (width, height) of the new grid
    outside : OpenCV's border mode, for positions outside `pixels`
    interpolation : OpenCV's; linear takes a third of the time, and ECC finds its way on it as well

    Returns
    -------
    (height, width) or (height, width, 3), of the source's type
    """
    zoom = max(1, math.ceil(source_density(matrix, size) - 1e-3))
    fine = (size[0] * zoom, size[1] * zoom)
    sampled = _warp(pixels, scaling(zoom) @ matrix, fine, outside, interpolation)
    return shrink(sampled, size) if zoom > 1 else sampled


def source_density(matrix: Matrix, size: Size) -> float:
    """Return how many source pixels lie along the side of a pixel of the new grid, where they are densest."""
    back, corners = np.asarray(np.linalg.inv(matrix), np.float64), frame_corners(size)
    here = transform_points(back, corners)
    steps = [transform_points(back, corners + step) - here for step in np.eye(2)]
    return float(np.linalg.norm(steps, axis=2).max())


def _warp(pixels: Pixels, matrix: Matrix, size: Size, outside: int, interpolation: int) -> Pixels:
    if np.array_equal(matrix[2], (0, 0, 1)):
        return np.asarray(cv2.warpAffine(pixels, matrix[:2], size, flags=interpolation, borderMode=outside))
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, flags=interpolation, borderMode=outside))
