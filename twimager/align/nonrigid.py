"""Non-rigid registration: the displacement field of lens distortion, film weave or a scan that was not flat."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import AppearanceFit, Picture, blurs, fit_appearance, gaussian_blur, gradients
from twimager.align.refinement import MIN_SIDE, PyramidLevel
from twimager.fingerprint.working_image import WorkingImage, valid_in_both
from twimager.geometry import Matrix, resize_matrix
from twimager.image.displacement import Displacement
from twimager.image.pixels import frame_size
from twimager.image.warp import resample

# Steps of the spline along the frame's shorter side, of no fewer than so many pixels: with 6 a random displacement of
# five waves a frame leaves 0.08 LR pixels, with 8 or 10 0.055.
STEPS = 8
MIN_STEP = 8
# The normal equations are summed up over squares of about this side first, within which the displacement hardly varies.
CELL = 8
# Regularisation: one by the expected variance, in pixels, of the spline's second differences, and of its controls. A
# stiffness of 0.1 to 1 leaves 0.058 to 0.068 LR pixels of random displacements of 3; without damping, skies drift (of
# displacements of 1 pixel, the worst tenth of the worst pictures by 1.1 pixels instead of 0.5).
STIFFNESS = 0.3
DAMPING = 1.0
# From coarse to fine; a level is done where no control moves by more than PRECISION, in pixels.
LEVELS = (PyramidLevel(3.0, 3), PyramidLevel(1.5, 3), PyramidLevel(0.0, 4))
PRECISION = 0.05
# A displacement must leave no more than this share of the error. Those of 0.1 to 0.2 LR pixels, in the median, left
# 0.34 to 0.89; of 159 undistorted pictures, one whose perspective did not fit was left with 0.33, the others with 0.89
# and more.
MAX_ERROR_RATIO = 0.87
# Where the first step predicts that less than this share of the error is explained, no further one is made: of the same
# pictures, the distorted ones had 0.08 and more, the others, but for that one and one more, 0.06 and less.
MIN_PREDICTED = 0.06
# The spline's slope is a mean of how much neighbouring controls differ, by their distance: at 1 a picture folds over or
# is pulled to nothing. Random displacements of 3 LR pixels, on LRs of 90 pixels and more, stay below 0.6.
MAX_STRAIN = 0.9


def register_nonrigid(matrix: Matrix, hr: WorkingImage, lr: WorkingImage) -> Displacement | None:
    """Return the smooth displacement field that minimises the difference between an LR and its HR aligned by `matrix`.

    A cubic B-spline found by Gauss-Newton steps [1]_, coarse to fine, with tone and blur fitted, pixels weighted by the
    inverse variance of the error around them, and bending energy and magnitude penalised. It has far less noise than
    OpenCV's dense optical flow (DIS) smoothed: 0.06 LR pixels against 0.2 on random displacements of 3.

    Parameters
    ----------
    matrix : (3, 3), takes positions in the full-size HR to positions in the full-size LR
    hr, lr : working images, of any size; only pixels that are `valid` in both have weight

    Returns
    -------
    on the full-size LR's grid, in LR pixels; None if it explains hardly more than the matrix alone

    References
    ----------
    .. [1] Szeliski and Coughlan, "Spline-based image registration", IJCV 1997
    """
    to_grid = lr.from_full @ matrix @ np.linalg.inv(hr.from_full)
    valid, size = valid_in_both(hr, lr, to_grid), frame_size(lr.gray)
    if valid is not None and np.count_nonzero(valid) < MIN_SIDE**2:
        return None
    step = max(MIN_STEP, min(size) / STEPS)
    displacement = Displacement.zero(size, (max(1, round(size[0] / step)), max(1, round(size[1] / step))))
    before = _fit(to_grid, hr, lr, displacement, 0)
    if _gauss_newton_step(displacement, before).predicted < MIN_PREDICTED:
        return None
    for level in LEVELS:
        displacement = _refined(displacement, to_grid, hr, lr, level)
    after = _fit(to_grid, hr, lr, displacement, 0)
    strain = max(float(abs(np.diff(displacement.controls, axis=axis)).max()) for axis in (1, 2)) / step
    if strain > MAX_STRAIN or after.mean_square > MAX_ERROR_RATIO * before.mean_square:
        return None
    return displacement.on(resize_matrix(size, lr.size))


def _refined(
    displacement: Displacement, to_grid: Matrix, hr: WorkingImage, lr: WorkingImage, level: PyramidLevel
) -> Displacement:
    """Return the displacement after the steps of one level."""
    for _ in range(level.max_steps):
        step = _gauss_newton_step(displacement, _fit(to_grid, hr, lr, displacement, level.sigma))
        displacement = Displacement(displacement.controls + step.controls, displacement.to_knots)
        if abs(step.controls).max() < PRECISION:
            break
    return displacement


def _fit(
    to_grid: Matrix, hr: WorkingImage, lr: WorkingImage, displacement: Displacement, sigma: float
) -> AppearanceFit:
    """Fit the appearance of the HR, brought to the LR's grid, to the LR; zero weight where it does not cover it."""
    size = frame_size(lr.gray)
    linear = partial(resample, interpolation=cv2.INTER_LINEAR, displacement=displacement)
    warped = linear(hr.gray, to_grid, size).astype(np.float32)
    frame = np.full_like(hr.gray, 255)
    covered = linear(frame, to_grid, size, cv2.BORDER_CONSTANT) == 255
    blurred = gaussian_blur(warped, sigma)
    valid = valid_in_both(hr, lr, to_grid, displacement)
    fit = fit_appearance(blurred, gaussian_blur(lr.gray.astype(np.float32), sigma), blurs(blurred), valid)
    return fit._replace(weights=fit.weights * covered)


class _Step(NamedTuple):
    """By how much the controls move, in pixels, and what share of the error that is predicted to explain."""

    controls: NDArray[np.float64]
    predicted: float


def _gauss_newton_step(displacement: Displacement, fit: AppearanceFit) -> _Step:
    """Solve for the next step: regularised least squares."""
    error, weights = fit.error, fit.weights
    size = frame_size(error)
    cells = max(2, round(size[0] / CELL)), max(2, round(size[1] / CELL))
    right, down = gradients(fit.fitted)
    products = (right * right, right * down, down * down, right * error, down * error)
    xx, xy, yy, x, y = (_cell_sums(product * weights, cells) for product in products)
    columns, rows = displacement.on(resize_matrix(size, cells)).basis(cells)
    basis = np.kron(rows, columns).astype(np.float64)
    penalty = _penalty(rows.shape[1], columns.shape[1])
    cross = basis.T @ (xy[:, None] * basis)
    equations = np.block(
        [
            [basis.T @ (xx[:, None] * basis) + penalty, cross],
            [cross, basis.T @ (yy[:, None] * basis) + penalty],
        ]
    )
    shares = zip((x, y), displacement.controls, strict=True)
    right_side = np.concatenate([basis.T @ sums - penalty @ control.ravel() for sums, control in shares])
    solution = np.linalg.solve(equations, right_side)
    total = float((error * error * weights).sum())
    return _Step(solution.reshape(displacement.controls.shape), float(solution @ right_side) / max(total, 1e-9))


def _cell_sums(picture: Picture, cells: tuple[int, int]) -> NDArray[np.float64]:
    """Return the sums of a picture over so many cells (across, down), (cells,)."""
    mean = cv2.resize(picture, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(mean.ravel() * (picture.size / mean.size), np.float64)


def _penalty(rows: int, columns: int) -> NDArray[np.float64]:
    """Return the matrix of the quadratic penalty: bending energy (of a thin plate) and magnitude."""
    (slope_y, bend_y), (slope_x, bend_x) = (
        [d.T @ d for d in (np.diff(np.eye(count), order, axis=0) for order in (1, 2))] for count in (rows, columns)
    )
    bending = np.kron(bend_y, np.eye(columns)) + 2 * np.kron(slope_y, slope_x) + np.kron(np.eye(rows), bend_x)
    return np.asarray(STIFFNESS * bending + DAMPING * np.eye(rows * columns), np.float64)
