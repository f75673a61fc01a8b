"""Carry pixels from one grid to another, once."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.flow import Flow
from twimager.geometry import Matrix, Size, frame_corners, scaling, transform_points, translation
from twimager.images import Pixels, shrink

# Rows of the new grid that are sampled at a time where each pixel has a position of its own.
STRIP = 128


def resample(
    pixels: Pixels,
    matrix: Matrix,
    size: Size,
    outside: int = cv2.BORDER_REPLICATE,
    *,
    interpolation: int = cv2.INTER_CUBIC,
    flow: Flow | None = None,
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
    interpolation : OpenCV's; linear takes a third of the time, and is as good to align by
    flow : displacement on the new grid, on top of the matrix

    Returns
    -------
    (height, width) or (height, width, 3), of the source's type
    """
    zoom = max(1, math.ceil(source_density(matrix, size) - 1e-3))
    to_fine = scaling(zoom)
    if flow is None:
        fine = (size[0] * zoom, size[1] * zoom)
        sampled = _warp(pixels, to_fine @ matrix, fine, outside, interpolation)
        return shrink(sampled, size) if zoom > 1 else sampled
    strips = []
    for top in range(0, size[1], STRIP):
        rows = min(STRIP, size[1] - top)
        to_strip = to_fine @ translation(0, -top)
        maps = _sources(to_strip @ matrix, flow.on(to_strip), (size[0] * zoom, rows * zoom))
        sampled = np.asarray(cv2.remap(pixels, *maps, interpolation, borderMode=outside))
        strips.append(shrink(sampled, (size[0], rows)) if zoom > 1 else sampled)
    return np.concatenate(strips)


def _sources(matrix: Matrix, flow: Flow, size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where in the source, right and down, each pixel of a grid of `size` is to be found."""
    x, y = flow.shifts(size)
    x += np.arange(size[0], dtype=np.float32)
    y += np.arange(size[1], dtype=np.float32)[:, None]
    right, down, depth = (row[0] * x + row[1] * y + row[2] for row in np.linalg.inv(matrix).astype(np.float32))
    return right / depth, down / depth


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
