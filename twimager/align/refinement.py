"""Refine a transform to a hundredth of a pixel by Gauss-Newton steps on the pixels of the LR and of the HR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import Picture, blurs, fit_appearance, gaussian_blur, weighted_least_squares
from twimager.align.motion import Motion, MotionModel, steepest_descent_images
from twimager.fingerprint.working_image import WorkingImage, valid_in_both
from twimager.geometry import Matrix, Rect, common_rectangle
from twimager.image.pixels import frame_size
from twimager.image.warp import resample, source_density
from twimager.options import Method

# (h, w), the pixels that count.
Mask = NDArray[np.bool_]

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
    hr, lr : working images, of any size; only pixels that are `valid` in both have weight
    method : whether a perspective may be found
    levels : from coarse to fine

    Returns
    -------
    (3, 3) float64, or `matrix` itself where the two have too little in common, or too little contrast

    References
    ----------
    .. [1] Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004
    .. [2] Bartoli, "Groupwise geometric and photometric direct image registration", PAMI 2008

    Examples
    --------
    A transform that is off by half a pixel, of a picture and itself:

    >>> from twimager.align.refinement import FINE, refine
    >>> from twimager.fingerprint.working_image import WorkingImage
    >>> from twimager.geometry import translation
    >>> from twimager.options import Method
    >>> noise = np.random.default_rng(0).integers(0, 256, (90, 120), np.uint8)
    >>> image = WorkingImage(cv2.GaussianBlur(noise, (0, 0), 3), (120, 90))
    >>> matrix = refine(translation(0.4, -0.3), image, image, Method.TRANSFORM, FINE)
    >>> bool(abs(matrix - np.eye(3)).max() < 0.05)
    True
    """
    refined = matrix
    for level in levels:
        # Blurred pictures of what may be far off need no more pixels of the HR, and determine no perspective.
        source = _downsampled(hr, lr, refined) if level.sigma else hr
        model = MotionModel.AFFINE if method is Method.TRANSFORM or level.sigma else MotionModel.PERSPECTIVE
        reference = gaussian_blur(lr.gray.astype(np.float32), level.sigma)
        to_grid = lr.from_full @ refined @ np.linalg.inv(source.from_full)
        valid = valid_in_both(source, lr, to_grid)
        stepped = _gauss_newton(to_grid, source.gray.astype(np.float32), reference, model, level, valid=valid)
        if stepped is None:
            return matrix
        refined = np.asarray(np.linalg.inv(lr.from_full) @ stepped @ source.from_full, np.float64)
    return refined


def _downsampled(hr: WorkingImage, lr: WorkingImage, matrix: Matrix) -> WorkingImage:
    """Return the HR with no more pixels than the LR has of the same; as it is if there is no sensible density."""
    density = source_density(lr.from_full @ matrix @ np.linalg.inv(hr.from_full), frame_size(lr.gray))
    if not 1 < density < MAX_DENSITY:
        return hr
    return hr.limited(max(1, round(min(hr.gray.shape) / density)))


def _gauss_newton(
    start: Matrix, hr: Picture, lr: Picture, model: MotionModel, level: PyramidLevel, *, valid: Mask | None
) -> Matrix | None:
    """Return the matrix after a level's steps, `start` if the error has grown, None if the steps diverge."""
    to_grid, errors = start, list[float]()
    for _ in range(level.max_steps):
        step = _step(to_grid, hr, lr, model, level.sigma, valid=valid)
        if step is None:
            return None
        motion, error = step
        errors.append(error)
        to_grid = motion.matrix @ to_grid
        if motion.largest < SETTLED and not level.sigma:
            model, to_grid = _without_insignificant(motion, model, to_grid)
        if motion.largest < max(PRECISION, level.sigma / 20):
            break
    return to_grid if errors[-1] <= errors[0] * MAX_ERROR_RATIO else start


def _without_insignificant(motion: Motion, model: MotionModel, to_grid: Matrix) -> tuple[MotionModel, Matrix]:
    """Return the simplest model that keeps all significant parameters, and the matrix reduced to it."""
    while model.simpler and not motion.is_significant(to_grid, model):
        model = model.simpler
        to_grid = motion.simplified(to_grid, model)
    return model, to_grid


def _step(
    to_grid: Matrix, hr: Picture, lr: Picture, model: MotionModel, sigma: float, *, valid: Mask | None
) -> tuple[Motion, float] | None:
    """Return the next motion, and the weighted mean square error before it, in levels squared.

    None if both show too little in common, too little contrast, or the motion is too large.
    """
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
    seen = None if valid is None else frame.cut(valid)
    if seen is not None and np.count_nonzero(seen) < MIN_SIDE**2:
        return None
    fit = fit_appearance(frame.cut(warped), frame.cut(lr), [frame.cut(blurred) for blurred in blurs(warped)], seen)
    regressors = np.stack([*steepest_descent_images(fit.fitted, model), *fit.basis])
    coefficients, standard_errors = weighted_least_squares(regressors, fit.error, fit.weights)
    motion = Motion.of_model(model, coefficients, standard_errors, frame)
    return (motion, fit.mean_square) if motion.largest < MAX_STEP * min(grid) else None
