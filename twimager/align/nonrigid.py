"""Bend an HR onto its LR where no transform can: lens distortion, weave, a scan that was not flat."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import Likeness, Picture, blurred, blurs, compare, slopes
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Matrix, resize_matrix
from twimager.image.displacement import Displacement
from twimager.image.pixels import Gray, frame_size
from twimager.image.warp import resample

# Steps of the spline along the frame's shorter side, of no fewer than so many pixels: with 6 a random bend of five
# waves a frame leaves 0.08 LR pixels, with 8 or 10 0.055.
STEPS = 8
MIN_STEP = 8
# The equations are summed up over squares of about this side first, over which the flow hardly changes.
CELL = 8
# How little the spline is expected to bend, and to displace: one by the variance, in pixels, of its second differences
# and of its controls. A stiffness of 0.1 to 1 leaves 0.058 to 0.068 LR pixels of random bends of 3; without the calm,
# skies drift (of bends of 1 pixel, the worst tenth of the worst pictures by 1.1 pixels instead of 0.5).
STIFFNESS = 0.3
CALM = 1.0
# Gauss-Newton steps on pictures softened by so many pixels; done where no control moves by more than PRECISION.
PASSES = ((3.0, 3), (1.5, 3), (0.0, 4))
PRECISION = 0.05
# A flow must leave no more than this share of the error. Bends by 0.1 to 0.2 LR pixels, in the median, left 0.34 to
# 0.89; of 159 pictures that were not bent, one whose perspective did not fit was left with 0.33, the others with 0.89
# and more.
WORTH = 0.87
# Where the first step alone promises to explain less than this share of the error, no further one is made: of the
# same pictures, the bent ones were promised 0.08 and more, the others, but for that one and one more, 0.06 and less.
PROMISING = 0.06
# The spline's slope is a mean of how much neighbouring controls differ, by their distance: at 1 a picture folds over or
# is pulled to nothing. Random bends of 3 LR pixels, on LRs of 90 pixels and more, stay below 0.6.
MAX_STRAIN = 0.9


def register_nonrigid(matrix: Matrix, hr: WorkingImage, lr: WorkingImage) -> Displacement | None:
    """Find the smooth displacement that makes an LR and its HR, aligned by `matrix`, differ least.

    A cubic B-spline found by Gauss-Newton steps (Szeliski and Coughlan, IJCV 1997), coarse to fine, with tone and
    sharpness fitted, pixels weighed by the error around them and the spline kept from bending without need. It has far
    less noise than OpenCV's dense flow (DIS) smoothed: 0.06 LR pixels against 0.2 on random bends of 3.

    `matrix` takes positions in the full-size HR to positions in the full-size LR. Returns the flow in LR pixels, or
    None where it explains hardly more than the matrix alone.
    """
    to_grid = lr.from_full @ matrix @ np.linalg.inv(hr.from_full)
    size = frame_size(lr.gray)
    step = max(MIN_STEP, min(size) / STEPS)
    displacement = Displacement.none(size, (max(1, round(size[0] / step)), max(1, round(size[1] / step))))
    before = _difference(to_grid, hr.gray, lr.gray, displacement, 0)
    if _toward(displacement, before).promise < PROMISING:
        return None
    for sigma, steps in PASSES:
        for _ in range(steps):
            move = _toward(displacement, _difference(to_grid, hr.gray, lr.gray, displacement, sigma))
            displacement = Displacement(displacement.controls + move.controls, displacement.to_knots)
            if abs(move.controls).max() < PRECISION:
                break
    after = _difference(to_grid, hr.gray, lr.gray, displacement, 0)
    steepest = max(float(abs(np.diff(displacement.controls, axis=axis)).max()) for axis in (1, 2)) / step
    if steepest > MAX_STRAIN or after.mean_square > WORTH * before.mean_square:
        return None
    return displacement.on(resize_matrix(size, lr.size))


def _difference(to_grid: Matrix, hr: Gray, lr: Gray, displacement: Displacement, sigma: float) -> Likeness:
    """Compare the LR with the HR brought to its grid; what the HR does not cover has no weight."""
    size = frame_size(lr)
    shown = resample(hr, to_grid, size, interpolation=cv2.INTER_LINEAR, displacement=displacement).astype(np.float32)
    frame = np.full_like(hr, 255)
    covered = (
        resample(frame, to_grid, size, cv2.BORDER_CONSTANT, interpolation=cv2.INTER_LINEAR, displacement=displacement)
        == 255
    )
    soft = blurred(shown, sigma)
    likeness = compare(soft, blurred(lr.astype(np.float32), sigma), blurs(soft))
    return likeness._replace(weights=likeness.weights * covered)


class _Move(NamedTuple):
    """How the controls should move, and what share of the error that promises to explain."""

    controls: NDArray[np.float64]
    promise: float


def _toward(displacement: Displacement, likeness: Likeness) -> _Move:
    """Solve for the next step: least squares in the pixels, and in the spline's bending."""
    error, weights = likeness.error, likeness.weights
    size = frame_size(error)
    cells = max(2, round(size[0] / CELL)), max(2, round(size[1] / CELL))
    right, down = slopes(likeness.fitted)
    products = (right * right, right * down, down * down, right * error, down * error)
    xx, xy, yy, x, y = (_summed(product * weights, cells) for product in products)
    columns, rows = displacement.on(resize_matrix(size, cells)).weights(cells)
    basis = np.kron(rows, columns).astype(np.float64)
    stiff = _stiffness(rows.shape[1], columns.shape[1])
    cross = basis.T @ (xy[:, None] * basis)
    equations = np.block(
        [
            [basis.T @ (xx[:, None] * basis) + stiff, cross],
            [cross, basis.T @ (yy[:, None] * basis) + stiff],
        ]
    )
    wanted = [
        basis.T @ share - stiff @ control.ravel() for share, control in zip((x, y), displacement.controls, strict=True)
    ]
    right_side = np.concatenate(wanted)
    found = np.linalg.solve(equations, right_side)
    total = float((error * error * weights).sum())
    return _Move(found.reshape(displacement.controls.shape), float(found @ right_side) / max(total, 1e-9))


def _summed(picture: Picture, cells: tuple[int, int]) -> NDArray[np.float64]:
    """Return the sums over so many cells (across, down) of a picture."""
    mean = cv2.resize(picture, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(mean.ravel() * (picture.size / mean.size), np.float64)


def _stiffness(rows: int, columns: int) -> NDArray[np.float64]:
    """Return the matrix of what bending costs (as a thin plate does), and displacing."""
    (slope_y, bend_y), (slope_x, bend_x) = (
        [d.T @ d for d in (np.diff(np.eye(count), order, axis=0) for order in (1, 2))] for count in (rows, columns)
    )
    bending = np.kron(bend_y, np.eye(columns)) + 2 * np.kron(slope_y, slope_x) + np.kron(np.eye(rows), bend_x)
    return np.asarray(STIFFNESS * bending + CALM * np.eye(rows * columns), np.float64)
