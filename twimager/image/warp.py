"""Carry pixels from one grid to another, once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Matrix, Rect, Size, frame_corners, scaling, transform_points, translation
from twimager.image.displacement import Displacement
from twimager.image.pixels import Pixels, frame_size, shrink

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Rows of the new grid that are made at a time where they need more than themselves.
STRIP = 128
# Pixels of the fine grid that are sampled in one go, so that its size bounds no memory; larger grids are made in tiles.
TILE_PIXELS = 1 << 24
# OpenCV's warps take no source with a longer side; of a turned tile of half of it less is seen.
MAX_SOURCE_SIDE = 32_000
TILE_SIDE = MAX_SOURCE_SIDE // 2
# Source pixels around what a tile shows of it that cubic interpolation may reach.
REACH = 4
# Of what is stretched by more, the axes are sampled each as densely as it needs.
MAX_STRETCH = 2
# What makes OpenCV's cubic interpolation one of the sharper: Keys's a (IEEE ASSP 1981).
SHARPNESS = -0.75


def resample(
    pixels: Pixels,
    matrix: Matrix,
    size: Size,
    outside: int = cv2.BORDER_REPLICATE,
    *,
    interpolation: int = cv2.INTER_CUBIC,
    displacement: Displacement | None = None,
) -> Pixels:
    """Sample `pixels` on a new grid.

    Where the source is denser than the grid, a grid so much finer along each axis that nothing is skipped is sampled
    and averaged; elsewhere the source is interpolated. Beyond the result itself the memory needed is bounded: large
    grids are made in tiles, each from the part of the source that it shows.

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
    zoom = _zoom(matrix, size)
    tiles = list(_tiles(size, zoom, STRIP if displacement else size[1]))
    is_long = max(frame_size(pixels)) > MAX_SOURCE_SIDE
    if len(tiles) == 1 and not is_long:
        return _sampled(pixels, matrix, size, zoom, displacement, outside=outside, interpolation=interpolation)
    made = np.empty((size[1], size[0], *pixels.shape[2:]), pixels.dtype)
    for tile in tiles:
        to_tile = translation(-tile.x, -tile.y)
        from_source, shift = to_tile @ matrix, displacement and displacement.on(to_tile)
        part = _part(frame_size(pixels), from_source, tile[2:], shift) if is_long else Rect(0, 0, *frame_size(pixels))
        from_part = from_source @ translation(part.x, part.y)
        tile.cut(made)[:] = _sampled(
            part.cut(pixels), from_part, tile[2:], zoom, shift, outside=outside, interpolation=interpolation
        )
    return made


def _zoom(matrix: Matrix, size: Size) -> tuple[int, int]:
    """Return how many times finer, right and down, a grid must be so that no source pixel is skipped.

    As often along both axes, which averages better, unless that would be of no use along one of them.
    """
    right, down = (max(1, math.ceil(density - 1e-3)) for density in _densities(matrix, size))
    most = max(right, down)
    return (right, down) if most > MAX_STRETCH * min(right, down) else (most, most)


def _tiles(size: Size, zoom: tuple[int, int], most_rows: int) -> Iterator[Rect]:
    """Yield the parts of a grid that are sampled one after the other: whole rows, where these are not too long."""
    width = max(1, min(size[0], TILE_PIXELS // (zoom[0] * zoom[1]), TILE_SIDE // zoom[0]))
    height = max(1, min(most_rows, TILE_PIXELS // (width * zoom[0] * zoom[1]), TILE_SIDE // zoom[1]))
    for y in range(0, size[1], height):
        for x in range(0, size[0], width):
            yield Rect(x, y, min(width, size[0] - x), min(height, size[1] - y))


def _part(source: Size, matrix: Matrix, size: Size, displacement: Displacement | None) -> Rect:
    """Return the part of a source of which a grid of `size` shows something, or else the edge that is nearest."""
    reach = displacement.reach if displacement else 0.0
    low, high = np.array([-0.5 - reach] * 2), np.array(size) - 0.5 + reach
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    seen = transform_points(back, corners)
    first = np.clip(np.floor(seen.min(axis=0)) - REACH, 0, np.array(source) - 1).astype(int)
    last = np.clip(np.ceil(seen.max(axis=0)) + REACH, 0, np.array(source) - 1).astype(int)
    return Rect(int(first[0]), int(first[1]), *(int(side) for side in last - first + 1))


def _sampled(
    pixels: Pixels, matrix: Matrix, size: Size, zoom: tuple[int, int], displacement: Displacement | None, *,
    outside: int, interpolation: int,
) -> Pixels:  # fmt: skip
    """Sample a fine grid in one go, and average it."""
    to_fine, fine = scaling(*zoom), (size[0] * zoom[0], size[1] * zoom[1])
    if displacement is None:
        sampled = _warp(pixels, to_fine @ matrix, fine, outside, interpolation)
    else:
        maps = _sources(to_fine @ matrix, displacement.on(to_fine), fine)
        sampled = np.asarray(cv2.remap(pixels, *maps, interpolation, borderMode=outside))
    return shrink(sampled, size) if max(zoom) > 1 else sampled


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


def _sources(matrix: Matrix, displacement: Displacement, size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where in the source, right and down, each pixel of a grid of `size` is to be found."""
    x, y = displacement.shifts(size)
    x += np.arange(size[0], dtype=np.float32)
    y += np.arange(size[1], dtype=np.float32)[:, None]
    right, down, depth = (row[0] * x + row[1] * y + row[2] for row in np.linalg.inv(matrix).astype(np.float32))
    return right / depth, down / depth


def source_density(matrix: Matrix, size: Size) -> float:
    """Return how many source pixels lie along the side of a pixel of the new grid, where they are densest."""
    return max(_densities(matrix, size))


def _densities(matrix: Matrix, size: Size) -> tuple[float, float]:
    """Return how many source pixels lie along the width, and along the height, of a pixel of the new grid."""
    back, corners = np.asarray(np.linalg.inv(matrix), np.float64), frame_corners(size)
    here = transform_points(back, corners)
    steps = [transform_points(back, corners + step) - here for step in np.eye(2)]
    right, down = np.linalg.norm(steps, axis=2).max(axis=1).tolist()
    return right, down


def _warp(pixels: Pixels, matrix: Matrix, size: Size, outside: int, interpolation: int) -> Pixels:
    if interpolation == cv2.INTER_CUBIC and _is_upright(matrix):
        return _upright(pixels, matrix, size, outside)
    if np.array_equal(matrix[2], (0, 0, 1)):
        return np.asarray(cv2.warpAffine(pixels, matrix[:2], size, flags=interpolation, borderMode=outside))
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, flags=interpolation, borderMode=outside))
