"""Judge an alignment by its pixels: whether the LR and the aligned HR show the same picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.matching import MEDIAN_TO_DEVIATION
from twimager.errors import Reason, Rejection
from twimager.fingerprint.phash import perceptual_hash
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Matrix, Rect, Size, common_rectangle, covered_share
from twimager.image.displacement import Displacement
from twimager.image.pixels import Gray, frame_size
from twimager.image.warp import resample

REHASH_SIDE = 16
# Rivals are compared on this grid's shorter side: neighbouring frames are told apart on it as well as on the full one.
COARSE_SIDE = 96
# Local brightness and contrast are taken over squares of this side, contrast below this many levels being noise.
LOCAL_SIDE = 21
LOCAL_NOISE = 3.0
# 1,500 couples of unrelated photographs, frame on frame, stayed below 0.14; true pairs, some faded and noisy, reach
# 0.47 and more.
MIN_CORRELATION = 0.3
# Below this many pixels a side, what both show is too little to judge.
MIN_COMMON_SIDE = 16
# Aligned by their features alone, true pairs rarely stay below; those that do are put in place by their pixels.
GOOD_CORRELATION = 0.6
# After the first steps towards it, 43 of 44 lost pictures that were found again had 0.15 or more; 99 of 117 that showed
# something else had less than this, and take no more steps.
PROMISING = 0.1
# Residual shifts are measured on tiles of this side. Below this response a tile says nothing, nor does it beyond this
# shift: there it is the blocks of a strong JPEG compression that fit each other.
TILE_SIDE = 48
MIN_RESPONSE = 0.15
MAX_TILE_SHIFT = 6.0
# In pixels of the LR's working image. Smoothly bent pictures, aligned by an affine transform, stay below 1.6.
MAX_RESIDUAL_SHIFT = 2.5
# What was put into one picture only (a logo, a subtitle) differs, both softened, by so many levels and deviations ...
INSERT_LEVELS = 25.0
INSERT_DEVIATIONS = 6.0
INSERT_SIGMA = 1.5
INSERT_MARGIN = 9
# ... over no more of the frame than this; where more differs, it is another picture.
MAX_INSERT = 0.15
# Every so many pixels tell how bright the one is where the other is so bright.
SAMPLED = 7


@dataclass(frozen=True)
class Scores:
    """How alike an LR and its aligned HR are; None where it was not measured.

    Attributes
    ----------
    correlation : zero-mean normalised correlation of the locally normalised luma of what both show, -1..1
    coverage : share of the LR frame that the HR covers, 0..1
    agreement : equal bits of the 256-bit pHashes of what both show, logos and the like left out, in percent
    residual_shift : shift that is left between LR and HR, the median over tiles, in LR pixels
    color_distance : mean CIE Delta E of the local colours of what both show, exposure and white balance fitted
    """

    correlation: float
    coverage: float
    agreement: float | None = None
    residual_shift: float | None = None
    color_distance: float | None = None

    @property
    def similarity(self) -> float:
        """Correlation weighed by coverage: of two HRs that show the same, the one that shows more of the LR."""
        return self.correlation * self.coverage


@dataclass(frozen=True, eq=False)
class Overlay:
    """Both pictures on one grid of the LR's frame, (h, w) each.

    `both` is the rectangle in which both have pixels, `coverage` the share (0..1) of the LR frame that the HR covers.
    """

    hr: Gray
    lr: Gray
    both: Rect
    coverage: float

    @cached_property
    def contrasts(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What both show of HR and LR, locally normalised."""
        return local_contrast(self.both.cut(self.hr)), local_contrast(self.both.cut(self.lr))

    @cached_property
    def correlation(self) -> float:
        """How well what both show correlates, -1..1."""
        return correlation(*self.contrasts)


def make_overlay(
    hr: WorkingImage,
    lr: WorkingImage,
    matrix: Matrix,
    interpolation: int = cv2.INTER_LINEAR,
    displacement: Displacement | None = None,
) -> Overlay | None:
    """Lay a copy of an HR over one of an LR, on the latter's grid; None if they have next to nothing in common.

    `matrix` takes positions in the full-size HR to positions in the full-size LR.
    """
    grid = frame_size(lr.gray)
    to_lr = lr.from_full @ matrix @ np.linalg.inv(hr.from_full)
    both = common_rectangle(to_lr, frame_size(hr.gray), grid)
    if both is None or min(both.width, both.height) < MIN_COMMON_SIDE:
        return None
    return Overlay(
        resample(
            hr.gray,
            to_lr,
            grid,
            interpolation=interpolation,
            displacement=displacement and displacement.on(lr.from_full),
        ),
        lr.gray,
        both,
        covered_share(matrix, hr.size, lr.size),
    )


def coarse_scores(overlay: Overlay) -> Scores:
    """Return what tells pictures of different things apart."""
    return Scores(overlay.correlation, overlay.coverage)


def score(overlay: Overlay, lr_size: Size) -> Scores:
    """Return all that is to be known of how alike the two pictures of an overlay are; `lr_size` is the full LR's."""
    shown, reference = overlay.both.cut(overlay.hr), overlay.both.cut(overlay.lr)
    bits = perceptual_hash(shown, REHASH_SIDE) ^ perceptual_hash(without_inserts(reference, shown), REHASH_SIDE)
    shift = tile_shift(*overlay.contrasts)
    return Scores(
        overlay.correlation,
        overlay.coverage,
        agreement=100 * (1 - bits.bit_count() / REHASH_SIDE**2),
        residual_shift=None if shift is None else shift * lr_size[0] / frame_size(overlay.lr)[0],
    )


def failed_gate(
    scores: Scores,
    threshold: float,
    min_overlap: float,
    max_residual_shift: float = math.inf,
    max_color_distance: float | None = None,
) -> Rejection | None:
    """Return the first gate that the scores do not pass, or None; what was not measured passes."""
    if scores.coverage < min_overlap:
        return Rejection(Reason.OVERLAP, f"{scores.coverage:.2f} of the LR frame, at least {min_overlap:.2f}")
    if scores.correlation < MIN_CORRELATION:
        return Rejection(Reason.CORRELATION, f"correlation {scores.correlation:.2f}, at least {MIN_CORRELATION:.2f}")
    if scores.agreement is not None and scores.agreement < threshold:
        return Rejection(Reason.HASH, f"{scores.agreement:.1f} % of the bits agree, at least {threshold:g} %")
    if scores.residual_shift is not None and scores.residual_shift > max_residual_shift:
        return Rejection(Reason.RESIDUAL, f"{scores.residual_shift:.2f} LR pixels, at most {max_residual_shift:.2f}")
    color = scores.color_distance
    if color is not None and max_color_distance is not None and color > max_color_distance:
        return Rejection(Reason.COLOR, f"Delta E {color:.1f}, at most {max_color_distance:g}")
    return None


def correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the zero-mean normalised correlation of two arrays of one shape, -1..1."""
    x, y = (values - values.mean() for values in (a, b))
    return float((x * y).sum() / max(1e-9, np.sqrt((x * x).sum() * (y * y).sum())))


def tile_shift(a: NDArray[np.float32], b: NDArray[np.float32]) -> float | None:
    """Return the median shift between tiles of two locally normalised pictures of one size; None if no tile tells.

    In pixels, by phase correlation (Kuglin and Hines, 1975), each tile weighed by its response: of the two that a small
    LR has, one may be next to flat.
    """
    side = min(TILE_SIDE, *a.shape)
    window = cv2.createHanningWindow((side, side), cv2.CV_32F)
    found = []
    for top in range(0, a.shape[0] - side + 1, side):
        for left in range(0, a.shape[1] - side + 1, side):
            tile = np.s_[top : top + side, left : left + side]
            (x, y), response = cv2.phaseCorrelate(a[tile], b[tile], window)
            if response > MIN_RESPONSE and math.hypot(x, y) < MAX_TILE_SHIFT:
                found.append((math.hypot(x, y), response))
    if not found:
        return None
    shifts, weights = np.array(sorted(found)).T
    return float(shifts[np.searchsorted(weights.cumsum(), weights.sum() / 2)])


def without_inserts(picture: Gray, other: Gray) -> Gray:
    """Return `picture` with what was put into it alone replaced by what `other` shows there, in its tones."""
    soft, reference = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), INSERT_SIGMA) for p in (picture, other))
    x, y = reference.ravel()[::SAMPLED], soft.ravel()[::SAMPLED]
    same = np.ones(x.shape, bool)
    for _ in range(3):
        gain, offset = _line(x[same], y[same])
        error = abs(y - (gain * x + offset))
        deviation = MEDIAN_TO_DEVIATION * np.median(error[same])
        same = error <= 3 * deviation + 1
    most = max(INSERT_LEVELS, INSERT_DEVIATIONS * deviation)
    strange = (abs(soft - (gain * reference + offset)) > most).astype(np.uint8)
    strange = np.asarray(cv2.dilate(strange, np.ones((INSERT_MARGIN, INSERT_MARGIN), np.uint8)))
    if not 0 < strange.mean() <= MAX_INSERT:
        return picture
    mended = picture.copy()
    mended[strange > 0] = np.clip(gain * other[strange > 0] + offset, 0, 255)
    return mended


def _line(x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Return gain and offset of the least-squares line y = gain x + offset."""
    spread = float(((x - x.mean()) ** 2).sum())
    gain = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0
    return gain, float(y.mean() - gain * x.mean())


def local_contrast(picture: Gray) -> NDArray[np.float32]:
    """Return a picture, (h, w), less its local mean, by its local deviation."""
    gray = picture.astype(np.float32)
    mean = cv2.blur(gray, (LOCAL_SIDE, LOCAL_SIDE))
    variance = cv2.sqrBoxFilter(gray, cv2.CV_32F, (LOCAL_SIDE, LOCAL_SIDE)) - mean * mean
    return np.asarray((gray - mean) / np.sqrt(np.maximum(variance, 0) + LOCAL_NOISE**2), np.float32)
