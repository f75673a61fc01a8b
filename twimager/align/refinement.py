"""Move an HR the last fraction of a pixel: align its pixels, not its features, with those of the LR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import Picture, blurred, blurs, compare, slopes, solve
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Matrix, Rect, common_rectangle, transform_points, translation
from twimager.image.pixels import frame_size, limited
from twimager.image.warp import resample, source_density
from twimager.options import Method

# Rim of what both show that has no say, in pixels: blurred by the interpolation from beyond.
RIM = 2
# Below this many pixels a side, or with less contrast (deviation, in levels), there is nothing to align by.
MIN_SIDE = 16
MIN_CONTRAST = 1.0
# In pixels: done where a step moves no part of the frame by more (or than a twentieth of the sigma). The next one
# would move it by a tenth of that.
PRECISION = 0.01
# Once a step moves no more than this, it is clear whether the transform needs its perspective, or its turn; to take it
# out at once saves a step.
SETTLED = 0.1
# In the end the error must not be greater than at first, but for this: a plainer transform leaves a trace more.
NOT_WORSE = 1.02
# Lost: a step by more than this share of the frame, or an HR with more pixels along the side of an LR's than this.
MAX_STEP = 0.25
MAX_DENSITY = 64.0
# The ways, in the order of `_motions`, in which a transform may move a picture; each knows fewer than the one before.
Ways = tuple[int, ...]
PERSPECTIVE: Ways = (0, 1, 2, 3, 4, 5, 6, 7)
AFFINE: Ways = (0, 1, 2, 3, 4, 5)
UPRIGHT: Ways = (0, 1, 3, 5)
# A turn, or a perspective, of less than so many times its uncertainty is none: of 444 pairs that are not turned 13 kept
# a turn; of 234 that are, by up to 20 degrees, one lost it, and of 80 in perspective none.
CERTAIN = 3.0


class Pass(NamedTuple):
    """So many steps at most on pictures softened by a Gaussian (its deviation in pixels; 0: as they are)."""

    sigma: float
    steps: int


FINE = (Pass(0, 12),)
# For what may be off by a fiftieth of the frame.
NEAR = (Pass(2, 4),)
# For what may be off by a tenth of it; small copies suffice.
COARSE = (Pass(3, 4), Pass(1.5, 3), Pass(0, 3))


def refine(matrix: Matrix, hr: WorkingImage, lr: WorkingImage, method: Method, passes: Sequence[Pass]) -> Matrix:
    """Make an LR and its HR differ least, over the transform and over what else may tell them apart.

    Gauss-Newton steps (Lucas-Kanade, forwards compositional: Baker and Matthews, IJCV 2004), each on the HR resampled
    anew; brightness, contrast, gamma and blur are solved for along with the motion (as in Bartoli, PAMI 2008), and
    each pixel weighs what the error around it allows (iteratively reweighted least squares). A perspective, or a turn,
    that is not certain is taken out again, as what is solved for without need adds to the error.

    `matrix` takes positions in the full-size HR to positions in the full-size LR. Returns the refined one, or `matrix`
    itself where the two have too little in common to tell.
    """
    refined = matrix
    for stage in passes:
        # Softened pictures of what may be far off need no more pixels of the HR, and tell little of a perspective.
        source = _no_denser(hr, lr, refined) if stage.sigma else hr
        ways = AFFINE if method is Method.TRANSFORM or stage.sigma else PERSPECTIVE
        reference = blurred(lr.gray.astype(np.float32), stage.sigma)
        to_grid = lr.from_full @ refined @ np.linalg.inv(source.from_full)
        stepped = _stepped(to_grid, source.gray.astype(np.float32), reference, ways, stage)
        if stepped is None:
            return matrix
        refined = np.asarray(np.linalg.inv(lr.from_full) @ stepped @ source.from_full, np.float64)
    return refined


def _no_denser(hr: WorkingImage, lr: WorkingImage, matrix: Matrix) -> WorkingImage:
    """Return the HR with no more pixels than the LR has of the same; as it is where it would be lost."""
    density = source_density(lr.from_full @ matrix @ np.linalg.inv(hr.from_full), frame_size(lr.gray))
    if not 1 < density < MAX_DENSITY:
        return hr
    return WorkingImage(limited(hr.gray, max(1, round(min(hr.gray.shape) / density))), hr.size)


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
    def half(self) -> NDArray[np.float64]:
        """Half the frame's width and height."""
        return np.array([self.frame.width - 1, self.frame.height - 1]) / 2

    @property
    def middle(self) -> NDArray[np.float64]:
        """The middle of the frame."""
        return np.array([self.frame.x, self.frame.y]) + self.half

    @property
    def matrix(self) -> Matrix:
        """The matrix on the LR's grid that takes the HR there, to first order."""
        to_unit = np.diag([*(1 / self.half), 1]) @ translation(*-self.middle)
        sampled = np.eye(3)
        sampled[0] += self.motion[[1, 2, 0]] / self.half[0]
        sampled[1] += self.motion[[4, 5, 3]] / self.half[1]
        sampled[2, :2] -= self.motion[6:] / self.half.max()
        return np.asarray(np.linalg.inv(to_unit) @ np.linalg.inv(sampled) @ to_unit, np.float64)

    def needs(self, ways: Ways, to_grid: Matrix) -> bool:
        """Tell whether it is certain that `to_grid` moves the HR in ways that the next plainer transform does not know.

        Those are its perspective, or else its turn and skew.
        """
        back = np.linalg.inv(to_grid)
        if ways is PERSPECTIVE:
            depth = back[2] @ [*self.middle, 1]
            drift, unsure = back[2, :2] / depth * self.half * self.half.max(), self.deviation[6:]
        else:
            drift, unsure = self.half[::-1] * (back[0, 1] / back[0, 0], back[1, 0] / back[1, 1]), self.deviation[[2, 4]]
        return bool((abs(drift) > CERTAIN * unsure).any())

    def without(self, ways: Ways, to_grid: Matrix) -> Matrix:
        """Return `to_grid` reduced to plainer ways, the middle of the frame where it was."""
        there = transform_points(np.asarray(np.linalg.inv(to_grid), np.float64), self.middle[None])
        steps = transform_points(to_grid, there + np.eye(2) / 2) - transform_points(to_grid, there - np.eye(2) / 2)
        plain = np.eye(3)
        plain[:2, :2] = steps.T if ways is AFFINE else np.diag(steps.diagonal())
        plain[:2, 2] = self.middle - plain[:2, :2] @ there[0]
        return plain


def _stepped(start: Matrix, hr: Picture, lr: Picture, ways: Ways, stage: Pass) -> Matrix | None:
    """Return the matrix after the stage's steps, `start` where they did not help, None where the picture was lost."""
    to_grid, taken = start, list[_Step]()
    for _ in range(stage.steps):
        step = _step(to_grid, hr, lr, ways, stage.sigma)
        if step is None:
            return None
        taken.append(step)
        to_grid = step.matrix @ to_grid
        moved = abs(step.motion).max()
        while moved < SETTLED and not stage.sigma and ways is not UPRIGHT and not step.needs(ways, to_grid):
            ways = AFFINE if ways is PERSPECTIVE else UPRIGHT
            to_grid = step.without(ways, to_grid)
        if moved < max(PRECISION, stage.sigma / 20):
            break
    return to_grid if taken[-1].error <= taken[0].error * NOT_WORSE else start


def _step(to_grid: Matrix, hr: Picture, lr: Picture, ways: Ways, sigma: float) -> _Step | None:
    grid = frame_size(lr)
    if not source_density(to_grid, grid) < MAX_DENSITY:
        return None
    both = common_rectangle(to_grid, frame_size(hr), grid)
    if both is None or min(both.width, both.height) < MIN_SIDE + 2 * RIM:
        return None
    frame = Rect(both.x + RIM, both.y + RIM, both.width - 2 * RIM, both.height - 2 * RIM)
    shown = blurred(resample(hr, to_grid, grid, interpolation=cv2.INTER_LINEAR), sigma)
    if min(frame.cut(shown).std(), frame.cut(lr).std()) < MIN_CONTRAST:
        return None
    likeness = compare(frame.cut(shown), frame.cut(lr), [frame.cut(blurred) for blurred in blurs(shown)])
    columns = np.stack([*_motions(likeness.fitted, ways), *likeness.looks])
    found, deviation = solve(columns, likeness.error, likeness.weights)
    if not abs(found[: len(ways)]).max() < MAX_STEP * min(grid):
        return None
    motion, uncertainty = np.zeros((2, len(PERSPECTIVE)))
    motion[list(ways)], uncertainty[list(ways)] = found[: len(ways)], deviation[: len(ways)]
    return _Step(motion, uncertainty, frame, likeness.mean_square)


def _motions(picture: Picture, ways: Ways) -> list[Picture]:
    """Return how each pixel changes per pixel of motion at the frame's edge, for each way in which it can move."""
    height, width = picture.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    right, down = slopes(picture)
    motions = [right, right * x, right * y, down, down * x, down * y]
    if ways is PERSPECTIVE:
        outwards = (width * right * x + height * down * y) / max(width, height)
        motions += [outwards * x, outwards * y]
    return [motions[way] for way in ways]
