"""Carry pixels from one grid to another, once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.flow import Flow
from twimager.geometry import Matrix, Size, frame_corners, scaling, transform_points, translation
from twimager.images import Pixels, shrink

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Rows of the new grid that are made at a time where they need more than themselves.
STRIP = 128
# What makes OpenCV's cubic interpolation one of the sharper: Keys's a (IEEE ASSP 1981).
SHARPNESS = -0.75


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


def _is_upright(matrix: Matrix) -> bool:
    """Tell whether a matrix takes rows to rows and columns to columns."""
    return not matrix[[0, 1, 2, 2], [1, 0, 0, 1]].any()


def _upright(pixels: Pixels, matrix: Matrix, size: Size, outside: int) -> Pixels:
    """Interpolate an upright picture cubically, first along its rows, then its columns: in a third of OpenCV's time."""
    height, width, *channels = pixels.shape
    rows, row_weights = _taps(matrix[1, [1, 2]], height, size[1], outside)
    across = _mixture(*_taps(matrix[0, [0, 2]], width, size[0], outside), width)
    made = np.empty((size[1], size[0], *channels), pixels.dtype)
    for top in range(0, size[1], STRIP):
        wanted = rows[top : top + STRIP]
        first, last = wanted.min(), wanted.max() + 1
        columns = cv2.transpose(pixels[first:last]).reshape(width, -1).astype(np.float32)
        lines = cv2.transpose((across @ columns).reshape(size[0], last - first, *channels))
        down = _mixture(wanted - first, row_weights[top : top + STRIP], last - first)
        strip = (down @ lines.reshape(last - first, -1)).reshape(-1, size[0], *channels)
        made[top : top + STRIP] = _rounded(strip, pixels.dtype)
    return made


def _rounded(values: NDArray[np.float32], kind: np.dtype[Any]) -> Pixels:
    """Return float32 pixels as others are: whole numbers, none beyond those of their kind."""
    if kind == np.uint8:  # in half of NumPy's time
        return np.asarray(cv2.convertScaleAbs(cv2.threshold(values, 0, 0, cv2.THRESH_TOZERO)[1]))
    return values if kind == np.float32 else np.clip(np.rint(values), 0, np.iinfo(kind).max)


def _taps(
    line: NDArray[np.float64], sources: int, targets: int, outside: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return which source pixels of a line go into each target pixel, (targets, 4), and with what weights.

    `line` is the scale and the shift that take source pixels to target pixels.
    """
    where = ((np.arange(targets) - line[1]) / line[0])[:, None]
    taps = np.floor(where).astype(np.int32) + np.arange(-1, 3, dtype=np.int32)
    weights = _cubic(abs(where - taps))
    if outside == cv2.BORDER_CONSTANT:
        weights[(taps < 0) | (taps >= sources)] = 0
    return np.clip(taps, 0, sources - 1), weights.astype(np.float32)


def _mixture(taps: NDArray[np.int32], weights: NDArray[np.float32], sources: int) -> csr_array:
    """Return taps and their weights as a matrix, (targets, sources)."""
    # Imported here, as it takes its time, and pictures that are turned do without.
    from scipy.sparse import csr_array

    starts = np.arange(len(taps) + 1, dtype=np.int32) * taps.shape[1]
    return csr_array((weights.ravel(), taps.ravel(), starts), shape=(len(taps), sources))


def _cubic(away: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of a source pixel so far away, 0 to 2."""
    near = ((SHARPNESS + 2) * away - (SHARPNESS + 3)) * away * away + 1
    far = SHARPNESS * (((away - 5) * away + 8) * away - 4)
    return np.where(away <= 1, near, far)


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
    if interpolation == cv2.INTER_CUBIC and _is_upright(matrix):
        return _upright(pixels, matrix, size, outside)
    if np.array_equal(matrix[2], (0, 0, 1)):
        return np.asarray(cv2.warpAffine(pixels, matrix[:2], size, flags=interpolation, borderMode=outside))
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, flags=interpolation, borderMode=outside))
