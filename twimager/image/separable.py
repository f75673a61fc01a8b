"""Separable cubic interpolation, where rows stay rows and columns columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Matrix, Size
from twimager.image.pixels import Pixels

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Rows of the new grid that are made at a time, which bounds the memory of float32 copies.
STRIP = 128
# Keys's a (IEEE ASSP 1981): that of OpenCV's cubic interpolation, one of the sharper.
SHARPNESS = -0.75


def is_upright(matrix: Matrix) -> bool:
    """Tell whether a matrix, (3, 3), takes rows to rows and columns to columns."""
    return not matrix[[0, 1, 2, 2], [1, 0, 0, 1]].any()


def interpolate_upright(pixels: Pixels, matrix: Matrix, size: Size, border: int) -> Pixels:
    """Return pixels interpolated cubically on a new grid, along rows, then along columns: in a third of OpenCV's time.

    Parameters
    ----------
    pixels : (h, w) or (h, w, 3), uint8, uint16 or float32
    matrix : (3, 3), upright, takes positions in `pixels` to positions on the new grid
    size : (width, height) of the new grid
    border : OpenCV's border mode: constant (black) or replicate

    Returns
    -------
    (height, width) or (height, width, 3), of the source's type
    """
    height, width, *channels = pixels.shape
    rows, row_weights = _taps(matrix[1, [1, 2]], height, size[1], border)
    across = _weight_matrix(*_taps(matrix[0, [0, 2]], width, size[0], border), width)
    made = np.empty((size[1], size[0], *channels), pixels.dtype)
    for top in range(0, size[1], STRIP):
        taps = rows[top : top + STRIP]
        first, last = taps.min(), taps.max() + 1
        columns = cv2.transpose(pixels[first:last]).reshape(width, -1).astype(np.float32)
        lines = cv2.transpose((across @ columns).reshape(size[0], last - first, *channels))
        down = _weight_matrix(taps - first, row_weights[top : top + STRIP], last - first)
        strip = (down @ lines.reshape(last - first, -1)).reshape(-1, size[0], *channels)
        made[top : top + STRIP] = _rounded(strip, pixels.dtype)
    return made


def _rounded(values: NDArray[np.float32], dtype: np.dtype[Any]) -> Pixels:
    """Return float32 pixels rounded and clipped to a type; as they are if it is float32."""
    if dtype == np.uint8:  # in half of NumPy's time
        return np.asarray(cv2.convertScaleAbs(cv2.threshold(values, 0, 0, cv2.THRESH_TOZERO)[1]))
    return values if dtype == np.float32 else np.clip(np.rint(values), 0, np.iinfo(dtype).max)


def _taps(
    line: NDArray[np.float64], sources: int, targets: int, border: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the source pixels of a line that each target pixel is interpolated from, (targets, 4), and their weights.

    `line` is the scale and the shift that take source pixels to target pixels.
    """
    positions = ((np.arange(targets) - line[1]) / line[0])[:, None]
    taps = np.floor(positions).astype(np.int32) + np.arange(-1, 3, dtype=np.int32)
    weights = _cubic(abs(positions - taps))
    if border == cv2.BORDER_CONSTANT:
        weights[(taps < 0) | (taps >= sources)] = 0
    return np.clip(taps, 0, sources - 1), weights.astype(np.float32)


def _weight_matrix(taps: NDArray[np.int32], weights: NDArray[np.float32], sources: int) -> csr_array:
    """Return taps and their weights as a sparse matrix, (targets, sources)."""
    # Imported here, as it takes its time, and pictures that are rotated do without.
    from scipy.sparse import csr_array

    starts = np.arange(len(taps) + 1, dtype=np.int32) * taps.shape[1]
    return csr_array((weights.ravel(), taps.ravel(), starts), shape=(len(taps), sources))


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of a source pixel at a distance of 0 to 2 pixels: Keys's cubic convolution."""
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance * distance + 1
    far = SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, far)
