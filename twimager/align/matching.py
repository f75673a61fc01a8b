"""Tie two fingerprints together: matching features, a robust transform, and a check that it is plausible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import Reason, Rejection
from twimager.fingerprint.fingerprint import LIGHT_LR, Fingerprint
from twimager.geometry import Matrix, Points, Size, area_scale, frame_corners, transform_points
from twimager.image.displacement import Displacement
from twimager.options import Method

# A single match says where, how large and how far turned the HR lies; others agree if they put their feature there to
# within this share of its distance (the LR may be stretched) and of the LR's shorter side, ...
DISTANCE_TOLERANCE = 0.15
POSITION_TOLERANCE = 0.02
# ... and their own size and direction differ by no more than this, as complex factors (30 degrees, half an octave).
TURN_TOLERANCE = 0.5
# So many matches, the most distinctive first, are asked.
ASKED = 60
# So many places are looked at: where a pattern repeats, most matches may agree on a wrong one.
PLACES = 9
# Of 1,835 couples of unrelated photographs 4 % had 4 that agree, 0.5 % had 5 or 6, none more; those are told by their
# pixels.
MIN_AGREEING = 4
# With fewer inliers an affine transform follows their noise, and a similarity serves better to start from.
MIN_INLIERS = 8
# From here on the features alone put nearly every HR in place; with fewer it was off by up to a sixth of the frame.
CERTAIN_INLIERS = 20
# How far, in units of the LR's copy for features, a match may lie from the transform and still vote for it.
RANSAC_TOLERANCE = 1.2
RANSAC_ITERATIONS = 2000
# After three rounds nine fits in ten are within 0.004 LR pixels of where they end, and the pixels have the last word;
# errors beyond three deviations have no vote.
FIT_ROUNDS = 3
FIT_DEVIATIONS = 3.0
MEDIAN_TO_DEVIATION = 1.4826
# True matches agree with the transform in how much larger one feature is than the other, to a quarter of an octave.
OCTAVE_DEVIATION = 0.25
# No camera, scanner or broadcast stretches a picture by more in one direction than in the other.
MAX_STRETCH = 2.0
# LR pixels per HR pixel, along a side; beyond, a few features agreed by chance.
MIN_SIDE_SCALE, MAX_SIDE_SCALE = 1 / 64, 4.0


@dataclass(frozen=True, eq=False)
class Match:
    """How an HR lies on an LR.

    `matrix` takes HR pixels to LR pixels, `inliers` features agree with it, None if they were not looked for; `flow` is
    what it must be bent by on top, in LR pixels.
    """

    matrix: Matrix
    inliers: int | None
    displacement: Displacement | None = None

    @property
    def is_certain(self) -> bool:
        """Whether so many features agree that they hardly do by chance."""
        return self.inliers is not None and self.inliers >= CERTAIN_INLIERS


@dataclass(frozen=True, eq=False)
class _Pairing:
    """Matched features: positions in HR and LR pixels, (n, 2), sizes in the same pixels, (n,), directions, (n,)."""

    hr: Points
    lr: Points
    hr_radii: NDArray[np.float64]
    lr_radii: NDArray[np.float64]
    turns: NDArray[np.float64]

    def __getitem__(self, wanted: NDArray[np.bool_]) -> _Pairing:
        return _Pairing(
            self.hr[wanted], self.lr[wanted], self.hr_radii[wanted], self.lr_radii[wanted], self.turns[wanted]
        )

    def __len__(self) -> int:
        return len(self.hr)


def match(hr: Fingerprint, lr: Fingerprint, method: Method) -> Match | Rejection:
    """Find the transform that takes the HR onto the LR.

    Matches that agree in position, size and direction (as in Lowe, IJCV 2004, section 7) tell a pair from chance;
    RANSAC finds their transform; a robust least-squares fit then weighs each match by how precisely it is located
    (small features), how well the two feature sizes agree, and how close it lies (Tukey's biweight).
    """
    pairing = _tentative(hr, lr)
    agreeing = next(_agreeing(pairing, min(lr.size)), pairing)
    if len(agreeing) < MIN_AGREEING:
        return Rejection(Reason.FEW_MATCHES, f"{len(agreeing)} of at least {MIN_AGREEING} agree")
    matrix, inliers = _fit(agreeing, pairing, method, hr.size, _tolerance(lr))
    if matrix is None:
        matrix = _similarity(agreeing)
    flaw = implausible(matrix, hr.size)
    return Rejection(Reason.IMPLAUSIBLE, flaw) if flaw else Match(matrix, inliers)


def places(hr: Fingerprint, lr: Fingerprint, method: Method) -> Iterator[Matrix]:
    """Yield where features that agree say that the HR lies, the most of them first; see `Match.matrix`.

    Those that agree roughly may be of several repeats of a pattern: where most of them agree precisely comes first.
    """
    pairing = _tentative(hr, lr)
    for agreeing in islice(_agreeing(pairing, min(lr.size)), PLACES):
        if len(agreeing) > 1:
            matrix, _ = _fit(agreeing, pairing, method, hr.size, _tolerance(lr))
            found = (_similarity(agreeing),) if matrix is None else (matrix, _similarity(agreeing))
            yield from (matrix for matrix in found if not implausible(matrix, hr.size))


def inlier_positions(hr: Fingerprint, lr: Fingerprint, matrix: Matrix) -> tuple[Points, Points]:
    """Return where the features lie that agree with each other and with a transform, in HR and LR pixels: (n, 2)."""
    tentative = _tentative(hr, lr)
    pairing = next(_agreeing(tentative, min(lr.size)), tentative)
    inliers = pairing[_distances(matrix, pairing) < _tolerance(lr)]
    return inliers.hr, inliers.lr


def _tolerance(lr: Fingerprint) -> float:
    """Return how far an inlier may be off, in LR pixels."""
    return RANSAC_TOLERANCE * max(1.0, min(lr.size) / LIGHT_LR.side)


def _tentative(hr: Fingerprint, lr: Fingerprint) -> _Pairing:
    ours, theirs = hr.known_features, lr.known_features
    rows, columns = mutual_matches(ours.descriptors, theirs.descriptors)
    return _Pairing(
        ours.points[rows].astype(np.float64), theirs.points[columns].astype(np.float64),
        ours.radii[rows].astype(np.float64), theirs.radii[columns].astype(np.float64),
        (theirs.angles[columns] - ours.angles[rows]).astype(np.float64),
    )  # fmt: skip


def mutual_matches(hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of `hr` (n, 128) and of `lr` (m, 128) that are each other's nearest.

    The most distinctive come first: those whose second nearest in the HR is far compared with the nearest.
    """
    if min(len(hr), len(lr)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    a, b = lr.astype(np.float32), hr.astype(np.float32)
    # Sums of products of bytes stay below 2**24: exact in float32, whatever the order of summation.
    distances = np.dot(a, -2 * b.T)
    distances += (a * a).sum(axis=1)[:, None]
    distances += (b * b).sum(axis=1)
    nearest = distances.argmin(axis=1)
    columns = np.flatnonzero(distances.argmin(axis=0)[nearest] == np.arange(len(a)))
    rest = distances[columns]
    first = rest[np.arange(len(rest)), nearest[columns]]
    rest[np.arange(len(rest)), nearest[columns]] = np.inf
    columns = columns[np.argsort(first / np.maximum(rest.min(axis=1), 1), kind="stable")]
    return nearest[columns], columns


def _agreeing(pairing: _Pairing, lr_side: int) -> Iterator[_Pairing]:
    """Yield the sets of matches that agree with one of the most distinctive, the largest first.

    Each is for a place of its own: less than half of it is in one before.
    """
    hr, lr = (points @ (1, 1j) for points in (pairing.hr, pairing.lr))
    turns = pairing.lr_radii / pairing.hr_radii * np.exp(1j * pairing.turns)
    here, there = (points - points[:ASKED, None] for points in (hr, lr))
    near = abs(turns[:ASKED, None] * here - there) < DISTANCE_TOLERANCE * abs(there) + POSITION_TOLERANCE * lr_side
    agree = near & (abs(turns - turns[:ASKED, None]) < TURN_TOLERANCE * abs(turns[:ASKED, None]))
    sizes, before = agree.sum(axis=1), list[NDArray[np.bool_]]()
    for asked in np.argsort(-sizes, kind="stable"):
        own = agree[asked]
        if all(2 * np.count_nonzero(own & other) < sizes[asked] for other in before):
            before.append(own)
            yield pairing[own]


def _similarity(pairing: _Pairing) -> Matrix:
    """Return the least-squares similarity."""
    hr, lr = (points @ (1, 1j) for points in (pairing.hr, pairing.lr))
    turn, shift = np.linalg.lstsq(np.stack([hr, np.ones_like(hr)], axis=1), lr, rcond=None)[0]
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]], np.float64)


def implausible(matrix: Matrix, hr_size: Size) -> str:
    """Say what no picture of a picture does: fold, mirror, stretch or scale beyond reason; empty if nothing."""
    corners = frame_corners(hr_size)
    depth = corners @ matrix[2, :2] + matrix[2, 2]
    if not np.isfinite(matrix).all() or depth.min() <= 0:
        return "the frame folds over"
    scale = area_scale(matrix, hr_size)
    if scale <= 0:
        return "the frame turns inside out"
    side = np.sqrt(scale)
    if not MIN_SIDE_SCALE <= side <= MAX_SIDE_SCALE:
        return f"{side:.4f} LR pixels per HR pixel"
    # The singular values of the derivative at each corner, by their product and the sum of their squares.
    here = transform_points(matrix, corners)
    slopes = (matrix[:2, :2] - here[:, :, None] * matrix[2, :2]) / depth[:, None, None]
    ratio = (slopes**2).sum(axis=(1, 2)) / (2 * np.maximum(abs(np.linalg.det(slopes)), 1e-12))
    stretch = float((ratio + np.sqrt(np.maximum(ratio**2 - 1, 0))).max())
    return f"stretched {stretch:.1f} times" if stretch > MAX_STRETCH else ""


def _fit(
    agreeing: _Pairing, pairing: _Pairing, method: Method, hr_size: Size, tolerance: float
) -> tuple[Matrix | None, int]:
    """Return the transform that most of some matches agree with, fitted to all, and how many do; None if too few."""
    if len(agreeing) < MIN_AGREEING:
        return None, 0
    # A perspective follows the noise of a few matches; their pixels will tell whether there is one.
    perspective = method is not Method.TRANSFORM and len(agreeing) >= CERTAIN_INLIERS
    matrix = _ransac(agreeing, perspective, tolerance)
    inliers = 0 if matrix is None else int(np.count_nonzero(_distances(matrix, agreeing) < tolerance))
    if matrix is None or inliers < MIN_INLIERS:
        return None, inliers
    if not implausible(matrix, hr_size):
        matrix = _robust_fit(matrix, pairing, perspective, tolerance)
    return matrix, inliers


def _ransac(pairing: _Pairing, perspective: bool, tolerance: float) -> Matrix | None:
    if perspective:
        found, _ = cv2.findHomography(pairing.hr, pairing.lr, cv2.RANSAC, tolerance, maxIters=RANSAC_ITERATIONS)
        return None if found is None else np.asarray(found, np.float64)
    affine, _ = cv2.estimateAffine2D(
        pairing.hr, pairing.lr, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=RANSAC_ITERATIONS
    )
    return None if affine is None else np.vstack([affine, [0, 0, 1]])


def _distances(matrix: Matrix, pairing: _Pairing) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(transform_points(matrix, pairing.hr) - pairing.lr, axis=1), np.float64)


def _robust_fit(matrix: Matrix, pairing: _Pairing, perspective: bool, tolerance: float) -> Matrix:
    """Refine `matrix` by iteratively reweighted least squares."""
    inside = _distances(matrix, pairing) < tolerance
    growth = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    octaves = np.log2(pairing.lr_radii / (pairing.hr_radii * growth))
    precision = np.exp(-((octaves / OCTAVE_DEVIATION) ** 2) / 2) / np.maximum(
        pairing.lr_radii, pairing.hr_radii * growth
    )
    for _ in range(FIT_ROUNDS):
        distances = _distances(matrix, pairing)
        reach = FIT_DEVIATIONS * MEDIAN_TO_DEVIATION * np.median(distances[inside])
        weights = precision * np.clip(1 - (distances / max(reach, 1e-6)) ** 2, 0, None) ** 2
        if np.count_nonzero(weights) < MIN_INLIERS:
            break
        matrix = _least_squares(matrix, pairing, weights, perspective)
    return matrix


def _least_squares(matrix: Matrix, pairing: _Pairing, weights: NDArray[np.float64], perspective: bool) -> Matrix:
    """Return the weighted least-squares affine, or homography by one Gauss-Newton step from `matrix`."""
    root = np.sqrt(weights)[:, None]
    ones = np.ones((len(root), 1))
    if not perspective:
        solution = np.linalg.lstsq(np.hstack([pairing.hr, ones]) * root, pairing.lr * root, rcond=None)[0]
        return np.vstack([solution.T, [0, 0, 1]])
    homogeneous = np.hstack([pairing.hr, ones])
    depth = homogeneous @ matrix[2]
    predicted = transform_points(matrix, pairing.hr)
    rows = homogeneous / depth[:, None] * root
    zeros = np.zeros_like(rows)
    jacobian = np.vstack(
        [
            np.hstack([rows, zeros, -predicted[:, :1] * rows[:, :2]]),
            np.hstack([zeros, rows, -predicted[:, 1:] * rows[:, :2]]),
        ]
    )
    residual = ((pairing.lr - predicted) * root).T.ravel()
    step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
    return np.asarray(matrix + np.append(step, 0.0).reshape(3, 3), np.float64)
