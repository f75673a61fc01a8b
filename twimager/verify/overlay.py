"""An LR and its aligned HR on one grid, and how well what both show correlates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.working_image import WorkingImage, valid_in_both
from twimager.geometry import Matrix, Rect, common_rectangle, covered_share
from twimager.image.displacement import Displacement
from twimager.image.inpaint import inpainted
from twimager.image.pixels import Gray, frame_size
from twimager.image.warp import resample

# Rivals are compared on this grid's shorter side: neighbouring frames are told apart on it as well as on the full one.
COARSE_SIDE = 96
# Below this many pixels a side, what both show is too little to judge.
MIN_COMMON_SIDE = 16
# Local mean and standard deviation are taken over squares of this side; contrast below this many levels is noise.
LOCAL_SIDE = 21
LOCAL_NOISE = 3.0


@dataclass(frozen=True, eq=False)
class Overlay:
    """Both pictures on one grid of the LR's frame.

    Attributes
    ----------
    hr, lr : (h, w) or (h, w, 3) uint8
    common : the rectangle in which both have pixels
    coverage : the share, 0..1, of the LR frame that the HR covers
    valid : (h, w), False where a mask leaves out pixels of either, which are inpainted; None where it leaves out none
    """

    hr: Gray
    lr: Gray
    common: Rect
    coverage: float
    valid: NDArray[np.bool_] | None = None

    @cached_property
    def contrasts(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What both show of HR and LR, locally normalised."""
        return local_contrast(self.common.cut(self.hr)), local_contrast(self.common.cut(self.lr))

    @cached_property
    def correlation(self) -> float:
        """How well what both show correlates, -1..1."""
        return correlation(*self.contrasts)

    @property
    def level_distance(self) -> float:
        """How far the mean levels of what both show are apart."""
        return abs(float(self.common.cut(self.hr).mean()) - float(self.common.cut(self.lr).mean()))


def make_overlay(
    hr: WorkingImage,
    lr: WorkingImage,
    matrix: Matrix,
    interpolation: int = cv2.INTER_LINEAR,
    displacement: Displacement | None = None,
) -> Overlay | None:
    """Resample an HR onto the grid of an LR's working image; None if they have next to nothing in common.

    Parameters
    ----------
    hr, lr : working images, of any size; both gray or both in colour
    matrix : (3, 3), takes positions in the full-size HR to positions in the full-size LR
    interpolation : OpenCV's
    displacement : on top of the matrix, on the full-size LR's grid

    Examples
    --------
    An LR that is the right half of its HR, at half the size:

    >>> from twimager.fingerprint.working_image import WorkingImage
    >>> from twimager.geometry import scaling, translation
    >>> from twimager.verify.overlay import make_overlay
    >>> noise = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    >>> hr = cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC)
    >>> matrix = translation(-40, 0) @ scaling(0.5)
    >>> overlay = make_overlay(WorkingImage(hr, (160, 120)), WorkingImage(noise[:, 40:], (40, 60)), matrix)
    >>> overlay.common, overlay.coverage, overlay.correlation > 0.9
    (Rect(x=0, y=0, width=40, height=60), 1.0, True)
    """
    grid = frame_size(lr.gray)
    to_lr = lr.from_full @ matrix @ np.linalg.inv(hr.from_full)
    common = common_rectangle(to_lr, frame_size(hr.gray), grid)
    if common is None or min(common.width, common.height) < MIN_COMMON_SIDE:
        return None
    on_grid = displacement and displacement.on(lr.from_full)
    warped = resample(hr.gray, to_lr, grid, interpolation=interpolation, displacement=on_grid)
    valid = valid_in_both(hr, lr, to_lr, on_grid)
    seen_hr, seen_lr = (p if valid is None else inpainted(p, valid) for p in (warped, lr.gray))
    return Overlay(seen_hr, seen_lr, common, covered_share(matrix, hr.size, lr.size), valid)


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the zero-mean normalised correlation, -1..1, of two arrays of one shape."""
    x, y = (values - values.mean() for values in (a, b))
    return float((x * y).sum() / max(1e-9, np.sqrt((x * x).sum() * (y * y).sum())))


def local_contrast(picture: Gray) -> NDArray[np.float32]:
    """Return a picture, (h, w) uint8, less its local mean, by its local standard deviation: (h, w) float32."""
    gray = picture.astype(np.float32)
    mean = cv2.blur(gray, (LOCAL_SIDE, LOCAL_SIDE))
    variance = cv2.sqrBoxFilter(gray, cv2.CV_32F, (LOCAL_SIDE, LOCAL_SIDE)) - mean * mean
    return np.asarray((gray - mean) / np.sqrt(np.maximum(variance, 0) + LOCAL_NOISE**2), np.float32)
