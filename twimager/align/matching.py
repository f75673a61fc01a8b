"""Match the features of two fingerprints, and find a plausible transform that takes the HR onto the LR."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from twimager.align.estimation import MIN_INLIERS, Matches, distances, fit_similarity, ransac, robust_fit
from twimager.errors import Reason, Rejection
from twimager.fingerprint.fingerprint import LIGHT_LR, Fingerprint
from twimager.geometry import Matrix, Points, Size, area_scale, frame_corners, transform_points
from twimager.image.displacement import Displacement
from twimager.options import Method

# A single match determines position, scale and rotation of the HR; others agree with it if their feature lies to within
# this share of its distance (the LR may be stretched) and of the LR's shorter side from where it should, ...
DISTANCE_TOLERANCE = 0.15
POSITION_TOLERANCE = 0.02
# ... and their own scale and rotation differ by no more than this, as complex factors (30 degrees, half an octave).
SCALE_ROTATION_TOLERANCE = 0.5
# So many matches, those of the best ratio first, are seeds.
SEEDS = 60
# So many hypotheses are tested: where a pattern repeats, most matches may agree on a wrong one.
MAX_HYPOTHESES = 9
# Of 1,835 couples of unrelated photographs 4 % had 4 that agree, 0.5 % had 5 or 6, none more; those are rejected by
# their pixels.
MIN_AGREEING = 4
# From here on the features alone align nearly every HR; with fewer it was off by up to a sixth of the frame.
CERTAIN_INLIERS = 20
# How far, in units of the image that the LR's features are found in, an inlier may lie from the transform.
RANSAC_TOLERANCE = 1.2
# Scope scans are squeezed by 2, DVDs by 1.42 at most; a few features that agree by chance are stretched by any factor.
MAX_STRETCH = 2.4
# LR pixels per HR pixel, along a side; beyond, a few features agreed by chance.
MIN_SIDE_SCALE, MAX_SIDE_SCALE = 1 / 64, 4.0


@dataclass(frozen=True, eq=False)
class Match:
    """How an HR is registered to an LR.

    Attributes
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels
    inliers : how many features agree with it; None if none were looked for
    displacement : on top of it, on the LR's grid
    """

    matrix: Matrix
    inliers: int | None
    displacement: Displacement | None = None

    @property
    def is_certain(self) -> bool:
        """Whether so many features agree that they hardly do by chance."""
        return self.inliers is not None and self.inliers >= CERTAIN_INLIERS


def match(hr: Fingerprint, lr: Fingerprint, method: Method) -> Match | Rejection:
    """Return the transform that takes the HR onto the LR, or why there is none.

    Matches that agree in position, scale and rotation [1]_ tell a pair from chance; RANSAC finds their transform; a
    robust least-squares fit over all matches refines it.

    References
    ----------
    .. [1] Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 7
    """
    matches = _mutual(hr, lr)
    agreeing = next(_agreeing(matches, min(lr.size)), matches)
    if len(agreeing) < MIN_AGREEING:
        return Rejection(Reason.FEW_MATCHES, f"{len(agreeing)} of at least {MIN_AGREEING} agree")
    matrix, inliers = _fit(agreeing, matches, method, hr.size, _tolerance(lr))
    if matrix is None:
        matrix = fit_similarity(agreeing)
    flaw = implausible(matrix, hr.size)
    return Rejection(Reason.IMPLAUSIBLE, flaw) if flaw else Match(matrix, inliers)


def hypotheses(hr: Fingerprint, lr: Fingerprint, method: Method) -> Iterator[Matrix]:
    """Yield the plausible transforms, (3, 3) from HR to LR pixels, of sets of matches that agree, the largest first.

    Those that agree roughly may belong to several repeats of a pattern: the transform that most of a set agree with
    precisely comes first, then the similarity of all of it.
    """
    matches = _mutual(hr, lr)
    for agreeing in islice(_agreeing(matches, min(lr.size)), MAX_HYPOTHESES):
        if len(agreeing) > 1:
            matrix, _ = _fit(agreeing, matches, method, hr.size, _tolerance(lr))
            found = (fit_similarity(agreeing),) if matrix is None else (matrix, fit_similarity(agreeing))
            yield from (matrix for matrix in found if not implausible(matrix, hr.size))


def inlier_positions(hr: Fingerprint, lr: Fingerprint, matrix: Matrix) -> tuple[Points, Points]:
    """Return the positions of the features that agree with each other and with a transform.

    Parameters
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels

    Returns
    -------
    hr, lr : (n, 2) float64, in HR and in LR pixels
    """
    matches = _mutual(hr, lr)
    agreeing = next(_agreeing(matches, min(lr.size)), matches)
    inliers = agreeing[distances(matrix, agreeing) < _tolerance(lr)]
    return inliers.hr, inliers.lr


def _tolerance(lr: Fingerprint) -> float:
    """Return how far an inlier may be off, in LR pixels."""
    return RANSAC_TOLERANCE * max(1.0, min(lr.size) / LIGHT_LR.side)


def _mutual(hr: Fingerprint, lr: Fingerprint) -> Matches:
    """Return the features that are each other's nearest, best ratio first."""
    of_hr, of_lr = hr.known_features, lr.known_features
    rows, columns = mutual_matches(of_hr.descriptors, of_lr.descriptors)
    return Matches(
        of_hr.points[rows].astype(np.float64), of_lr.points[columns].astype(np.float64),
        of_hr.radii[rows].astype(np.float64), of_lr.radii[columns].astype(np.float64),
        (of_lr.angles[columns] - of_hr.angles[rows]).astype(np.float64),
    )  # fmt: skip


def mutual_matches(hr: NDArray[np.uint8], lr: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which descriptors of an HR and of an LR are each other's nearest.

    Parameters
    ----------
    hr, lr : (n, 128) and (m, 128) uint8

    Returns
    -------
    rows, columns : (k,), indices into `hr` and `lr`; those of the best ratio of the distances to the nearest and to the
        second nearest in the HR come first
    """
    if min(len(hr), len(lr)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    a, b = lr.astype(np.float32), hr.astype(np.float32)
    # Sums of products of bytes stay below 2**24: exact in float32, whatever the order of summation.
    squares = np.dot(a, -2 * b.T)
    squares += (a * a).sum(axis=1)[:, None]
    squares += (b * b).sum(axis=1)
    nearest = squares.argmin(axis=1)
    columns = np.flatnonzero(squares.argmin(axis=0)[nearest] == np.arange(len(a)))
    others = squares[columns]
    first = others[np.arange(len(others)), nearest[columns]]
    others[np.arange(len(others)), nearest[columns]] = np.inf
    columns = columns[np.argsort(first / np.maximum(others.min(axis=1), 1), kind="stable")]
    return nearest[columns], columns


def _agreeing(matches: Matches, lr_side: int) -> Iterator[Matches]:
    """Yield the sets of matches that agree with one seed, the largest first.

    Each is a hypothesis of its own: less than half of it is in one before.
    """
    hr, lr = (points @ (1, 1j) for points in (matches.hr, matches.lr))
    factors = matches.lr_radii / matches.hr_radii * np.exp(1j * matches.rotations)
    hr_steps, lr_steps = (points - points[:SEEDS, None] for points in (hr, lr))
    errors = abs(factors[:SEEDS, None] * hr_steps - lr_steps)
    near = errors < DISTANCE_TOLERANCE * abs(lr_steps) + POSITION_TOLERANCE * lr_side
    agree = near & (abs(factors - factors[:SEEDS, None]) < SCALE_ROTATION_TOLERANCE * abs(factors[:SEEDS, None]))
    sizes, before = agree.sum(axis=1), list[NDArray[np.bool_]]()
    for seed in np.argsort(-sizes, kind="stable"):
        own = agree[seed]
        if all(2 * np.count_nonzero(own & other) < sizes[seed] for other in before):
            before.append(own)
            yield matches[own]


def implausible(matrix: Matrix, hr_size: Size) -> str:
    """Return what makes a transform implausible: folding, mirroring, stretch or scale beyond reason; empty if nothing.

    Parameters
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels
    hr_size : (width, height)
    """
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
    lr_corners = transform_points(matrix, corners)
    slopes = (matrix[:2, :2] - lr_corners[:, :, None] * matrix[2, :2]) / depth[:, None, None]
    ratio = (slopes**2).sum(axis=(1, 2)) / (2 * np.maximum(abs(np.linalg.det(slopes)), 1e-12))
    stretch = float((ratio + np.sqrt(np.maximum(ratio**2 - 1, 0))).max())
    return f"stretched {stretch:.1f} times" if stretch > MAX_STRETCH else ""


def _fit(
    agreeing: Matches, matches: Matches, method: Method, hr_size: Size, tolerance: float
) -> tuple[Matrix | None, int]:
    """Return the transform that most of `agreeing` are inliers of, fitted to all, and how many; None if too few."""
    if len(agreeing) < MIN_AGREEING:
        return None, 0
    # A perspective follows the noise of a few matches; the pixels determine it later.
    perspective = method is not Method.TRANSFORM and len(agreeing) >= CERTAIN_INLIERS
    matrix = ransac(agreeing, perspective, tolerance)
    inliers = 0 if matrix is None else int(np.count_nonzero(distances(matrix, agreeing) < tolerance))
    if matrix is None or inliers < MIN_INLIERS:
        return None, inliers
    if not implausible(matrix, hr_size):
        matrix = robust_fit(matrix, matches, perspective, tolerance)
    return matrix, inliers
