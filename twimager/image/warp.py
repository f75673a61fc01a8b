"""Resample pixels from one grid to another, once."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Matrix, Rect, Size, frame_corners, scaling, transform_points, translation
from twimager.image.displacement import Displacement
from twimager.image.pixels import Pixels, frame_size, shrink
from twimager.image.separable import interpolate_upright, is_upright

# Rows of the new grid that are made at a time where a displacement takes memory of its own.
STRIP = 128
# Pixels of the supersampled grid that are sampled in one go, which bounds the memory; larger grids are made in tiles.
TILE_PIXELS = 1 << 24
# OpenCV's warps take no source with a longer side; a rotated tile of half of it shows less than that.
MAX_SOURCE_SIDE = 32_000
TILE_SIDE = MAX_SOURCE_SIDE // 2
# Source pixels beyond what a tile shows that cubic interpolation may use.
MARGIN = 4
# Beyond this ratio of their densities, the axes are supersampled by factors of their own.
MAX_STRETCH = 2


def resample(
    pixels: Pixels,
    matrix: Matrix,
    size: Size,
    border: int = cv2.BORDER_REPLICATE,
    *,
    interpolation: int = cv2.INTER_CUBIC,
    displacement: Displacement | None = None,
) -> Pixels:
    """Return pixels resampled onto a new grid.

    Where the source is denser than the grid, a grid so much finer along each axis that no source pixel is skipped is
    sampled and averaged (supersampling); elsewhere the source is interpolated. Beyond the result itself the memory
    needed is bounded: large grids are made in tiles, each from the part of the source that it shows.

    Parameters
    ----------
    pixels : (h, w) or (h, w, 3), uint8, uint16 or float32
    matrix : (3, 3), takes positions in `pixels` to positions on the new grid
    size : (width, height) of the new grid
    border : OpenCV's border mode, for positions outside `pixels`
    interpolation : OpenCV's; linear takes a third of the time, and is as good to align by
    displacement : on the new grid, on top of the matrix

    Returns
    -------
    (height, width) or (height, width, 3), of the source's type

    Examples
    --------
    Half the size, each pixel the mean of four:

    >>> from twimager.geometry import scaling
    >>> from twimager.image.warp import resample
    >>> pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    >>> resample(pixels, scaling(0.5), (3, 2))
    array([[ 4,  6,  8],
           [16, 18, 20]], dtype=uint8)
    """
    factors = _supersampling(matrix, size)
    tiles = list(_tiles(size, factors, STRIP if displacement else size[1]))
    is_long = max(frame_size(pixels)) > MAX_SOURCE_SIDE
    if len(tiles) == 1 and not is_long:
        return _sampled(pixels, matrix, size, factors, displacement, border=border, interpolation=interpolation)
    whole, made = Rect(0, 0, *frame_size(pixels)), np.empty((size[1], size[0], *pixels.shape[2:]), pixels.dtype)
    for tile in tiles:
        to_tile = translation(-tile.x, -tile.y)
        from_source, shift = to_tile @ matrix, displacement and displacement.on(to_tile)
        part = _source_window(whole[2:], from_source, tile[2:], shift) if is_long else whole
        from_part = from_source @ translation(part.x, part.y)
        tile.cut(made)[:] = _sampled(
            part.cut(pixels), from_part, tile[2:], factors, shift, border=border, interpolation=interpolation
        )
    return made


def _supersampling(matrix: Matrix, size: Size) -> tuple[int, int]:
    """Return how many times finer, right and down, a grid must be so that no source pixel is skipped.

    The same along both axes, which averages better, unless one of them needs far less.
    """
    right, down = (max(1, math.ceil(density - 1e-3)) for density in _densities(matrix, size))
    most = max(right, down)
    return (right, down) if most > MAX_STRETCH * min(right, down) else (most, most)


def _tiles(size: Size, factors: tuple[int, int], max_rows: int) -> Iterator[Rect]:
    """Yield the parts of a grid that are sampled one after the other: whole rows, where these are not too long."""
    width = max(1, min(size[0], TILE_PIXELS // (factors[0] * factors[1]), TILE_SIDE // factors[0]))
    height = max(1, min(max_rows, TILE_PIXELS // (width * factors[0] * factors[1]), TILE_SIDE // factors[1]))
    for y in range(0, size[1], height):
        for x in range(0, size[0], width):
            yield Rect(x, y, min(width, size[0] - x), min(height, size[1] - y))


def _source_window(source: Size, matrix: Matrix, size: Size, displacement: Displacement | None) -> Rect:
    """Return the part of a source that a grid of `size` shows, or else the edge that is nearest."""
    shift = displacement.max_shift if displacement else 0.0
    low, high = np.array([-0.5 - shift] * 2), np.array(size) - 0.5 + shift
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    shown = transform_points(back, corners)
    first = np.clip(np.floor(shown.min(axis=0)) - MARGIN, 0, np.array(source) - 1).astype(int)
    last = np.clip(np.ceil(shown.max(axis=0)) + MARGIN, 0, np.array(source) - 1).astype(int)
    return Rect(int(first[0]), int(first[1]), *(int(side) for side in last - first + 1))


def _sampled(
    pixels: Pixels, matrix: Matrix, size: Size, factors: tuple[int, int], displacement: Displacement | None, *,
    border: int, interpolation: int,
) -> Pixels:  # fmt: skip
    """Sample a supersampled grid in one go, and average it."""
    to_fine, fine = scaling(*factors), (size[0] * factors[0], size[1] * factors[1])
    if displacement is None:
        sampled = _warp(pixels, to_fine @ matrix, fine, border, interpolation)
    else:
        maps = _source_positions(to_fine @ matrix, displacement.on(to_fine), fine)
        sampled = np.asarray(cv2.remap(pixels, *maps, interpolation, borderMode=border))
    return shrink(sampled, size) if max(factors) > 1 else sampled


def _source_positions(
    matrix: Matrix, displacement: Displacement, size: Size
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the position in the source, right and down, of each pixel of a grid of `size`: (height, width) each."""
    x, y = displacement.shifts(size)
    x += np.arange(size[0], dtype=np.float32)
    y += np.arange(size[1], dtype=np.float32)[:, None]
    right, down, depth = (row[0] * x + row[1] * y + row[2] for row in np.linalg.inv(matrix).astype(np.float32))
    return right / depth, down / depth


def source_density(matrix: Matrix, size: Size) -> float:
    """Return how many source pixels lie along the side of a pixel of a new grid, where they are densest.

    Parameters
    ----------
    matrix : (3, 3), takes source pixels to the new grid
    size : (width, height) of the new grid
    """
    return max(_densities(matrix, size))


def _densities(matrix: Matrix, size: Size) -> tuple[float, float]:
    """Return how many source pixels lie along the width, and along the height, of a pixel of the new grid."""
    back, corners = np.asarray(np.linalg.inv(matrix), np.float64), frame_corners(size)
    start = transform_points(back, corners)
    steps = [transform_points(back, corners + step) - start for step in np.eye(2)]
    right, down = np.linalg.norm(steps, axis=2).max(axis=1).tolist()
    return right, down


def _warp(pixels: Pixels, matrix: Matrix, size: Size, border: int, interpolation: int) -> Pixels:
    if interpolation == cv2.INTER_CUBIC and is_upright(matrix):
        return interpolate_upright(pixels, matrix, size, border)
    if np.array_equal(matrix[2], (0, 0, 1)):
        return np.asarray(cv2.warpAffine(pixels, matrix[:2], size, flags=interpolation, borderMode=border))
    return np.asarray(cv2.warpPerspective(pixels, matrix, size, flags=interpolation, borderMode=border))
