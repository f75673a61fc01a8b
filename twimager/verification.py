"""Judge an alignment by its pixels: whether the LR and the aligned HR show the same picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import Reason, Rejection
from twimager.fingerprints import perceptual_hash
from twimager.geometry import Matrix, Rect, Size, common_rectangle, covered_share, resize_matrix
from twimager.images import Gray, frame_size
from twimager.resampling import resample

REHASH_SIDE = 16
# Local brightness and contrast are taken over about this many pixels, contrast below this many levels being noise.
LOCAL_SIGMA = 6.0
LOCAL_NOISE = 3.0
# 1,500 couples of unrelated photographs, frame on frame, stayed below 0.14; true pairs, some faded and noisy, reach
# 0.47 and more.
MIN_CORRELATION = 0.3
# Below this many pixels a side, what both show is too little to judge.
MIN_COMMON_SIDE = 16
# A rival HR is not the LR's picture if its difference from a better one explains this much of the LR: a true frame
# beat its neighbours in a clip by 0.2 and more, overlapping crops of one photograph differed by less than 0.05.
DECISIVE = 0.1
# Blurs of the rivals' mean that an LR may have on top of its own; one pixel of blur before it all quiets the noise.
BLURS = (0.8, 1.6)


@dataclass(frozen=True)
class Scores:
    """How alike an LR and its aligned HR are.

    Attributes
    ----------
    agreement : equal bits of the 256-bit pHashes of what both show, in percent
    correlation : zero-mean normalised correlation of the locally normalised luma of what both show, -1..1
    coverage : share of the LR frame that the HR covers, 0..1
    """

    agreement: float
    correlation: float
    coverage: float

    @property
    def likeness(self) -> float:
        """Correlation weighed by coverage: of two HRs that show the same, the one that shows more of the LR."""
        return self.correlation * self.coverage


@dataclass(frozen=True, eq=False)
class Overlay:
    """Both pictures on the LR's working grid, (h, w) each, and the rectangle in which both have pixels."""

    hr: Gray
    lr: Gray
    both: Rect


def overlay(hr: Gray, lr: Gray, matrix: Matrix, hr_size: Size, lr_size: Size) -> Overlay | None:
    """Lay the working copy of an HR over that of an LR; None if they have next to nothing in common.

    `matrix` takes positions in the full-size HR to positions in the full-size LR.
    """
    to_lr = resize_matrix(lr_size, frame_size(lr)) @ matrix @ resize_matrix(frame_size(hr), hr_size)
    both = common_rectangle(to_lr, frame_size(hr), frame_size(lr))
    if both is None or min(both.width, both.height) < MIN_COMMON_SIDE:
        return None
    return Overlay(resample(hr, to_lr, frame_size(lr)), lr, both)


def score(laid: Overlay, matrix: Matrix, hr_size: Size, lr_size: Size) -> Scores:
    """Return how alike the two pictures of an overlay are."""
    shown, reference = laid.both.cut(laid.hr), laid.both.cut(laid.lr)
    bits = perceptual_hash(shown, REHASH_SIDE) ^ perceptual_hash(reference, REHASH_SIDE)
    agreement = 100 * (1 - bits.bit_count() / REHASH_SIDE**2)
    return Scores(agreement, correlation(shown, reference), covered_share(matrix, hr_size, lr_size))


def flaw(scores: Scores, threshold: float, min_overlap: float) -> Rejection | None:
    """Return the first gate that the scores do not pass, or None."""
    if scores.coverage < min_overlap:
        return Rejection(Reason.OVERLAP, f"{scores.coverage:.2f} of the LR frame, at least {min_overlap:.2f}")
    if scores.agreement < threshold:
        return Rejection(Reason.HASH, f"{scores.agreement:.1f} % of the bits agree, at least {threshold:g} %")
    if scores.correlation < MIN_CORRELATION:
        return Rejection(Reason.CORRELATION, f"correlation {scores.correlation:.2f}, at least {MIN_CORRELATION:.2f}")
    return None


def correlation(a: Gray, b: Gray) -> float:
    """Return the zero-mean normalised correlation of two locally normalised pictures of one size."""
    x, y = (_centred(_local_contrast(p.astype(np.float32))) for p in (a, b))
    return float((x * y).sum() / max(1e-9, np.sqrt((x * x).sum() * (y * y).sum())))


def preference(first: Overlay, second: Overlay) -> float:
    """Return which of two aligned HRs an LR shows: above 0 the first, below 0 the second, -1..1.

    It is the partial correlation of the LR with the difference of the two, after all that the LR may owe to
    brightness, contrast, gamma, blur and a small affine misalignment has been taken out of both. Neighbouring frames
    of a clip, whose plain correlations with the LR differ by less than those nuisances, are told apart with ease.
    Both overlays are of one LR; 0 where the two HRs have no part of it in common.
    """
    both = first.both.intersection(second.both)
    if both is None:
        return 0.0
    a, b, lr = (_softened(both.cut(p)) for p in (first.hr, second.hr, first.lr))
    nuisances = _nuisances(cv2.addWeighted(a, 0.5, b, 0.5, 0))
    difference, rest = (_without(nuisances, p.ravel()) for p in (a - b, lr))
    norm = np.sqrt((difference @ difference) * (rest @ rest))
    return float(difference @ rest / norm) if norm > 1e-6 else 0.0


def _nuisances(mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return, as columns, what may change in a picture without its becoming another one."""
    height, width = mean.shape
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    tone: list[NDArray[np.float32]] = [np.ones_like(mean), mean, np.asarray(mean * mean / 255, np.float32)]
    blur: list[NDArray[np.float32]] = [cv2.GaussianBlur(mean, (0, 0), sigma) for sigma in BLURS]
    slopes: list[NDArray[np.float32]] = [cv2.Sobel(mean, cv2.CV_32F, dx, 1 - dx) for dx in (1, 0)]
    shift = [part for slope in slopes for part in (slope, slope * x, slope * y)]
    columns: list[NDArray[np.float32]] = [*tone, *blur, *shift]
    return np.stack([column.ravel() for column in columns], axis=1)


def _without(columns: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what of `values` no combination of `columns` explains."""
    gram = (columns.T @ columns).astype(np.float64)
    gram[np.diag_indices_from(gram)] *= 1 + 1e-6
    weights = np.linalg.lstsq(gram, (columns.T @ values).astype(np.float64), rcond=None)[0]
    return np.asarray(values - columns @ weights.astype(np.float32), np.float32)


def _softened(gray: Gray) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(gray.astype(np.float32), (0, 0), 1), np.float32)


def _centred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(values - values.mean(), np.float32)


def _local_contrast(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = cv2.GaussianBlur(gray, (0, 0), LOCAL_SIGMA)
    variance = cv2.GaussianBlur(gray * gray, (0, 0), LOCAL_SIGMA) - mean * mean
    return np.asarray((gray - mean) / np.sqrt(np.maximum(variance, 0) + LOCAL_NOISE**2), np.float32)
