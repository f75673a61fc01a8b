"""Move an HR the last fraction of a pixel: align its pixels, not its features, with those of the LR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.fingerprints import Copy
from twimager.geometry import Matrix, Rect, common_rectangle, translation
from twimager.images import Gray, frame_size
from twimager.options import Method
from twimager.resampling import resample, source_density

# (k, n): k values of each of n pixels.
Columns = NDArray[np.float32]
# (h, w), 0 to 255.
Picture = NDArray[np.float32]

# Rim of what both show that has no say, in pixels: blurred by the interpolation from beyond.
RIM = 2
# Below this many pixels a side, or with less contrast (deviation, in levels), there is nothing to align by.
MIN_SIDE = 16
MIN_CONTRAST = 1.0
# An LR may be blurrier or sharper than its HR by any mixture of these (Gaussian, in pixels). Without them an alignment
# that blurs is preferred to the right one: errors (median, 90 %) of 0.018, 0.076 LR pixels instead of 0.006, 0.013.
BLURS = (0.8, 1.6)
# Derivative of a picture along x, exact to 3 % for waves of six pixels and more: two steps take an error of 0.15 pixels
# to 0.007, where a central difference leaves 0.018.
DERIVATIVE = np.array([[1, -8, 0, 8, -1]], np.float32) / 12
# Where the pictures differ, over squares of this side, they have less say: inserts, dirt, hard compression, noise. The
# variance of the error there is that of the square and of the whole, and no less than so many levels, squared: without
# noise, edges would have no say before they are in place.
LOCAL_SIDE = 9
LEAST_VARIANCE = 25.0
# In pixels: done where a step moves no part of the frame by more. The next one would move it by a tenth of that.
PRECISION = 0.01
# Lost: a step by more than this share of the frame, or an HR with more pixels along the side of an LR's than this.
MAX_STEP = 0.25
MAX_DENSITY = 64.0
# What the equations say less of, relative to the strongest, is left alone.
RANK = 1e-6
# The six ways in which an affine transform moves a picture, the two more of a perspective one, and the four of an HR
# that is not turned, in the order of `_motions`.
AFFINE = (0, 1, 2, 3, 4, 5)
PERSPECTIVE = (*AFFINE, 6, 7)
UPRIGHT = (0, 1, 3, 5)
# A turn of less than so many times its uncertainty is none: of 350 pairs without any, two were above; of 220 turned by
# up to 20 degrees, all.
CERTAIN_TURN = 3.0


class Pass(NamedTuple):
    """So many steps at most on pictures softened by a Gaussian (its deviation in pixels; 0: as they are)."""

    softness: float
    steps: int


FINE = (Pass(0, 12),)
# For what may be off by a tenth of the frame.
COARSE = (Pass(3, 6), Pass(1.5, 6), Pass(0, 6))


def refine(matrix: Matrix, hr: Copy, lr: Copy, method: Method, passes: Sequence[Pass]) -> Matrix:
    """Make an LR and its HR differ least, over the transform and over what else may tell them apart.

    Gauss-Newton steps (Lucas-Kanade, forwards compositional: Baker and Matthews, IJCV 2004), each on the HR resampled
    anew; brightness, contrast, gamma and blur are solved for along with the motion (as in Bartoli, PAMI 2008), and
    each pixel weighs what the error around it allows (iteratively reweighted least squares).

    `matrix` takes positions in the full-size HR to positions in the full-size LR. Returns the refined one, or `matrix`
    itself where the two have too little in common to tell.
    """
    to_grid = lr.from_full @ matrix @ np.linalg.inv(hr.from_full)
    last: _Step | None = None
    for stage in passes:
        reference = _softened(lr.gray.astype(np.float32), stage.softness)
        ways = PERSPECTIVE if method is Method.WARP else AFFINE
        to_grid, last = _stepped(to_grid, hr.gray, reference, ways, stage)
        if last is None:
            return matrix
    if last and method is Method.TRANSFORM and not last.turns(to_grid):
        to_grid, _ = _stepped(last.turned_back(to_grid), hr.gray, reference, UPRIGHT, stage)
    return np.asarray(np.linalg.inv(lr.from_full) @ to_grid @ hr.from_full, np.float64)


class _Step(NamedTuple):
    """How what is seen of an HR in `frame`, on the LR's grid, moves, with what deviation, and why.

    `motion` and `deviation` are in pixels at the frame's edges, in the order of `_motions`; `error` is the weighted
    mean square, in levels, of what the two pictures differed by before.
    """

    motion: NDArray[np.float64]
    deviation: NDArray[np.float64]
    frame: Rect
    error: float

    @property
    def matrix(self) -> Matrix:
        """The matrix on the LR's grid that takes the HR there, to first order."""
        half = (self.frame.width - 1) / 2, (self.frame.height - 1) / 2
        to_unit = np.diag([1 / half[0], 1 / half[1], 1]) @ translation(-self.frame.x - half[0], -self.frame.y - half[1])
        sampled = np.eye(3)
        sampled[0] += self.motion[[1, 2, 0]] / half[0]
        sampled[1] += self.motion[[4, 5, 3]] / half[1]
        sampled[2, :2] -= self.motion[6:] / max(half)
        return np.asarray(np.linalg.inv(to_unit) @ np.linalg.inv(sampled) @ to_unit, np.float64)

    def turns(self, to_grid: Matrix) -> bool:
        """Tell whether it is certain that `to_grid` turns or skews the HR."""
        drift = (
            to_grid[0, 1] / to_grid[1, 1] * self.frame.height / 2,
            to_grid[1, 0] / to_grid[0, 0] * self.frame.width / 2,
        )
        return bool((abs(np.array(drift)) > CERTAIN_TURN * self.deviation[[2, 4]]).any())

    def turned_back(self, to_grid: Matrix) -> Matrix:
        """Return `to_grid` without turn and skew, the middle of the frame where it was."""
        middle = np.array([self.frame.x + self.frame.width / 2, self.frame.y + self.frame.height / 2, 1])
        there = np.linalg.inv(to_grid) @ middle
        upright = np.diag(to_grid.diagonal())
        upright[:2, 2] = middle[:2] - upright[:2, :2] @ there[:2]
        return upright


def _stepped(start: Matrix, hr: Gray, lr: Picture, ways: Sequence[int], stage: Pass) -> tuple[Matrix, _Step | None]:
    """Return the matrix after the stage's steps, `start` where they did not help, and the last step, None if lost."""
    to_grid, taken = start, list[_Step]()
    for _ in range(stage.steps):
        step = _step(to_grid, hr, lr, ways, stage.softness)
        if step is None:
            return start, None
        taken.append(step)
        to_grid = step.matrix @ to_grid
        if abs(step.motion).max() < PRECISION:
            break
    return (to_grid if taken[-1].error <= taken[0].error else start), taken[-1]


def _step(to_grid: Matrix, hr: Gray, lr: Picture, ways: Sequence[int], softness: float) -> _Step | None:
    grid = frame_size(lr)
    both = common_rectangle(to_grid, frame_size(hr), grid)
    if both is None or min(both.width, both.height) < MIN_SIDE + 2 * RIM:
        return None
    if not source_density(to_grid, grid) < MAX_DENSITY:
        return None
    frame = Rect(both.x + RIM, both.y + RIM, both.width - 2 * RIM, both.height - 2 * RIM)
    shown = _softened(resample(hr, to_grid, grid, interpolation=cv2.INTER_LINEAR).astype(np.float32), softness)
    wanted = frame.cut(lr)
    if min(frame.cut(shown).std(), wanted.std()) < MIN_CONTRAST:
        return None
    looks = _looks(shown, frame)
    fitted = (_solved(looks, wanted.ravel())[0] @ looks).reshape(wanted.shape).astype(np.float32)
    error = wanted - fitted
    weights = _certainty(error)
    found, deviation = _solved(np.concatenate([_motions(fitted, ways), looks]), error.ravel(), weights.ravel())
    if not abs(found[: len(ways)]).max() < MAX_STEP * min(grid):
        return None
    motion, uncertainty = np.zeros((2, len(PERSPECTIVE)))
    motion[list(ways)], uncertainty[list(ways)] = found[: len(ways)], deviation[: len(ways)]
    return _Step(motion, uncertainty, frame, float((error * error * weights).sum() / weights.sum()))


def _looks(shown: Picture, frame: Rect) -> Columns:
    """Return what, mixed, gives all that the picture may look like in the LR."""
    blurred = [shown, *(cv2.GaussianBlur(shown, (0, 0), blur) for blur in BLURS)]
    plain, *softer = (frame.cut(picture).ravel() for picture in blurred)
    tone = (plain - plain.mean()) / 64
    bands = [finer - coarser for finer, coarser in zip([plain, *softer[:-1]], softer, strict=True)]
    return np.stack([np.ones_like(tone), tone, tone * tone, tone * tone * tone, *bands])


def _motions(picture: Picture, ways: Sequence[int]) -> Columns:
    """Return how each pixel changes per pixel of motion at the frame's edge, for each way in which it can move."""
    height, width = picture.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    right, down = cv2.filter2D(picture, -1, DERIVATIVE), cv2.filter2D(picture, -1, DERIVATIVE.T)
    motions = [right, right * x, right * y, down, down * x, down * y]
    if len(ways) > len(motions):
        outwards = (width * right * x + height * down * y) / max(width, height)
        motions += [outwards * x * width / max(width, height), outwards * y * height / max(width, height)]
    return np.stack([motions[way].ravel() for way in ways])


def _solved(
    columns: Columns, wanted: NDArray[np.float32], weights: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much of each column makes up, in the weighted least squares, what is wanted, and its deviation.

    Deviations are those of errors of a variance of one by the weight.
    """
    length = np.sqrt((columns * columns).mean(axis=1)) + np.float32(1e-9)
    weighted = columns if weights is None else columns * weights
    gram, share = (weighted @ columns.T).astype(np.float64), (weighted @ wanted).astype(np.float64)
    inverse = np.linalg.pinv(gram / np.outer(length, length), rcond=RANK, hermitian=True)
    return inverse @ (share / length) / length, np.sqrt(inverse.diagonal()) / length


def _certainty(error: Picture) -> Picture:
    """Return the weight of each pixel of a picture: one by the variance of the error around it."""
    variance = cv2.blur(error * error, (LOCAL_SIDE, LOCAL_SIDE))
    return np.asarray(1 / (variance + np.median(variance) + LEAST_VARIANCE), np.float32)


def _softened(picture: Picture, softness: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), softness), np.float32) if softness else picture
