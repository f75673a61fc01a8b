"""Refine a transform to a hundredth of a pixel by Gauss-Newton steps on the pixels of the LR and of the HR."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import (
    Picture,
    blurs,
    fit_appearance,
    gaussian_blur,
    gradients,
    weighted_least_squares,
)
from twimager.fingerprint.fingerprint import WorkingImage, limited
from twimager.geometry import Matrix, Rect, common_rectangle, transform_points, translation
from twimager.image.files import frame_size
from twimager.image.warp import resample, source_density
from twimager.options import Method

# Rim of what both show that is left out, in pixels: blurred by the interpolation from beyond.
RIM = 2
# Below this many pixels a side, or with less contrast (standard deviation, in levels), there is nothing to align by.
MIN_SIDE = 16
MIN_CONTRAST = 1.0
# In pixels: done where a step moves no part of the frame by more (or than a twentieth of the sigma). The next one
# would move it by a tenth of that.
PRECISION = 0.01
# Once a step moves no more than this, it is clear whether the motion model can be simplified; to do so at once saves a
# step.
SETTLED = 0.1
# In the end the error must not be greater than at first, but for this: a simpler model leaves a trace more.
MAX_ERROR_RATIO = 1.02
# Diverged: a step by more than this share of the frame, or an HR with more pixels along the side of an LR's than this.
MAX_STEP = 0.25
MAX_DENSITY = 64.0
# A rotation or skew, or a perspective, of less than so many standard errors is none: of 444 pairs that are not rotated
# 13 kept a rotation; of 234 that are, by up to 20 degrees, one lost it, and of 80 in perspective none.
SIGNIFICANT = 3.0


class MotionModel(Enum):
    """The motions that are estimated, by the indices of their parameters; see `_steepest_descent_images`."""

    PERSPECTIVE = (0, 1, 2, 3, 4, 5, 6, 7)
    AFFINE = (0, 1, 2, 3, 4, 5)
    UPRIGHT = (0, 1, 3, 5)

    @property
    def parameters(self) -> list[int]:
        """The indices of the parameters, out of eight."""
        return list(self.value)

    @property
    def simpler(self) -> MotionModel | None:
        """The next simpler model; None if there is none."""
        return {MotionModel.PERSPECTIVE: MotionModel.AFFINE, MotionModel.AFFINE: MotionModel.UPRIGHT}.get(self)


class PyramidLevel(NamedTuple):
    """So many steps at most on pictures blurred by a Gaussian of `sigma` pixels; 0: as they are."""

    sigma: float
    max_steps: int


FINE = (PyramidLevel(0, 12),)
# For what may be off by a fiftieth of the frame.
NEAR = (PyramidLevel(2, 4),)
# For what may be off by a tenth of it; small copies suffice.
COARSE = (PyramidLevel(3, 4), PyramidLevel(1.5, 3), PyramidLevel(0, 3))


def refine(
    matrix: Matrix, hr: WorkingImage, lr: WorkingImage, method: Method, levels: Sequence[PyramidLevel]
) -> Matrix:
    """Return the transform that minimises the difference between an LR and its HR, from a start nearby.

    Gauss-Newton steps (Lucas-Kanade, forwards compositional [1]_), each on the HR resampled anew; brightness, contrast,
    gamma and blur are solved for along with the motion (as in [2]_), and each pixel has the inverse variance of the
    error around it for a weight (iteratively reweighted least squares). A perspective, or a rotation, that is not
    significant is taken out again, as every needless parameter adds to the error.

    Parameters
    ----------
    matrix : (3, 3), takes positions in the full-size HR to positions in the full-size LR
    hr, lr : working images, of any size
    method : whether a perspective may be found
    levels : from coarse to fine

    Returns
    -------
    (3, 3) float64, or `matrix` itself where the two have too little in common, or too little contrast

    References
    ----------
    .. [1] Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004
    .. [2] Bartoli, "Groupwise geometric and photometric direct image registration", PAMI 2008
    """
    refined = matrix
    for level in levels:
        # Blurred pictures of what may be far off need no more pixels of the HR, and determine no perspective.
        source = _downsampled(hr, lr, refined) if level.sigma else hr
        model = MotionModel.AFFINE if method is Method.TRANSFORM or level.sigma else MotionModel.PERSPECTIVE
        reference = gaussian_blur(lr.gray.astype(np.float32), level.sigma)
        to_grid = lr.from_full @ refined @ np.linalg.inv(source.from_full)
        stepped = _gauss_newton(to_grid, source.gray.astype(np.float32), reference, model, level)
        if stepped is None:
            return matrix
        refined = np.asarray(np.linalg.inv(lr.from_full) @ stepped @ source.from_full, np.float64)
    return refined


def _downsampled(hr: WorkingImage, lr: WorkingImage, matrix: Matrix) -> WorkingImage:
    """Return the HR with no more pixels than the LR has of the same; as it is if there is no sensible density."""
    density = source_density(lr.from_full @ matrix @ np.linalg.inv(hr.from_full), frame_size(lr.gray))
    if not 1 < density < MAX_DENSITY:
        return hr
    return WorkingImage(limited(hr.gray, max(1, round(min(hr.gray.shape) / density))), hr.size)


class _Step(NamedTuple):
    """One Gauss-Newton step of the part of an HR in `frame`, on the LR's grid.

    `motion` and `standard_errors` (8,) are in pixels at the frame's edges, in the order of `_steepest_descent_images`;
    `error` is the weighted mean square of the difference before the step, in levels squared.
    """

    motion: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    frame: Rect
    error: float

    @property
    def half(self) -> NDArray[np.float64]:
        """Half the frame's width and height."""
        return np.array([self.frame.width - 1, self.frame.height - 1]) / 2

    @property
    def middle(self) -> NDArray[np.float64]:
        """The middle of the frame."""
        return np.array([self.frame.x, self.frame.y]) + self.half

    @property
    def matrix(self) -> Matrix:
        """The motion as a matrix on the LR's grid, to first order."""
        to_unit = np.diag([*(1 / self.half), 1]) @ translation(*-self.middle)
        sampled = np.eye(3)
        sampled[0] += self.motion[[1, 2, 0]] / self.half[0]
        sampled[1] += self.motion[[4, 5, 3]] / self.half[1]
        sampled[2, :2] -= self.motion[6:] / self.half.max()
        return np.asarray(np.linalg.inv(to_unit) @ np.linalg.inv(sampled) @ to_unit, np.float64)

    def is_significant(self, model: MotionModel, to_grid: Matrix) -> bool:
        """Tell whether those parameters of `to_grid` are significant that the model has and the next simpler one lacks.

        Those are the perspective, or else rotation and skew.
        """
        back = np.linalg.inv(to_grid)
        if model is MotionModel.PERSPECTIVE:
            depth = back[2] @ [*self.middle, 1]
            values, errors = back[2, :2] / depth * self.half * self.half.max(), self.standard_errors[6:]
        else:
            values = self.half[::-1] * (back[0, 1] / back[0, 0], back[1, 0] / back[1, 1])
            errors = self.standard_errors[[2, 4]]
        return bool((abs(values) > SIGNIFICANT * errors).any())

    def simplified(self, to_grid: Matrix, model: MotionModel) -> Matrix:
        """Return `to_grid` reduced to an affine or upright model, with the middle of the frame where it was."""
        source = transform_points(np.asarray(np.linalg.inv(to_grid), np.float64), self.middle[None])
        steps = transform_points(to_grid, source + np.eye(2) / 2) - transform_points(to_grid, source - np.eye(2) / 2)
        reduced = np.eye(3)
        reduced[:2, :2] = steps.T if model is MotionModel.AFFINE else np.diag(steps.diagonal())
        reduced[:2, 2] = self.middle - reduced[:2, :2] @ source[0]
        return reduced


def _gauss_newton(start: Matrix, hr: Picture, lr: Picture, model: MotionModel, level: PyramidLevel) -> Matrix | None:
    """Return the matrix after a level's steps, `start` if the error has grown, None if the steps diverge."""
    to_grid, taken = start, list[_Step]()
    for _ in range(level.max_steps):
        step = _step(to_grid, hr, lr, model, level.sigma)
        if step is None:
            return None
        taken.append(step)
        to_grid = step.matrix @ to_grid
        moved = abs(step.motion).max()
        if moved < SETTLED and not level.sigma:
            model, to_grid = _without_insignificant(step, model, to_grid)
        if moved < max(PRECISION, level.sigma / 20):
            break
    return to_grid if taken[-1].error <= taken[0].error * MAX_ERROR_RATIO else start


def _without_insignificant(step: _Step, model: MotionModel, to_grid: Matrix) -> tuple[MotionModel, Matrix]:
    """Return the simplest model that keeps all significant parameters, and the matrix reduced to it."""
    while model.simpler and not step.is_significant(model, to_grid):
        model = model.simpler
        to_grid = step.simplified(to_grid, model)
    return model, to_grid


def _step(to_grid: Matrix, hr: Picture, lr: Picture, model: MotionModel, sigma: float) -> _Step | None:
    """Return the next Gauss-Newton step; None if too little is shown by both, or the step is too large."""
    grid = frame_size(lr)
    if not source_density(to_grid, grid) < MAX_DENSITY:
        return None
    both = common_rectangle(to_grid, frame_size(hr), grid)
    if both is None or min(both.width, both.height) < MIN_SIDE + 2 * RIM:
        return None
    frame = Rect(both.x + RIM, both.y + RIM, both.width - 2 * RIM, both.height - 2 * RIM)
    warped = gaussian_blur(resample(hr, to_grid, grid, interpolation=cv2.INTER_LINEAR), sigma)
    if min(frame.cut(warped).std(), frame.cut(lr).std()) < MIN_CONTRAST:
        return None
    fit = fit_appearance(frame.cut(warped), frame.cut(lr), [frame.cut(blurred) for blurred in blurs(warped)])
    regressors = np.stack([*_steepest_descent_images(fit.fitted, model), *fit.basis])
    coefficients, errors = weighted_least_squares(regressors, fit.error, fit.weights)
    count = len(model.parameters)
    if not abs(coefficients[:count]).max() < MAX_STEP * min(grid):
        return None
    motion, standard_errors = np.zeros((2, len(MotionModel.PERSPECTIVE.parameters)))
    motion[model.parameters], standard_errors[model.parameters] = coefficients[:count], errors[:count]
    return _Step(motion, standard_errors, frame, fit.mean_square)


def _steepest_descent_images(picture: Picture, model: MotionModel) -> list[Picture]:
    """Return the derivative of each pixel by each of the model's parameters, in levels per pixel at the frame's edge.

    In order: shift, stretch and shear to the right, shift, shear and stretch down, perspective along x and along y.
    """
    height, width = picture.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    right, down = gradients(picture)
    images = [right, right * x, right * y, down, down * x, down * y]
    if model is MotionModel.PERSPECTIVE:
        outwards = (width * right * x + height * down * y) / max(width, height)
        images += [outwards * x, outwards * y]
    return [images[index] for index in model.parameters]
