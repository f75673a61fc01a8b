"""Tie two fingerprints together: matching features, a robust transform, and a check that it is plausible."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.errors import Reason, Rejection
from twimager.fingerprints import WORKING_SIDE, Fingerprint
from twimager.geometry import Matrix, Points, Size, area_scale, frame_corners, transform_points
from twimager.options import Method

# Lowe's ratio test (IJCV 2004).
RATIO = 0.8
# Of 2,000 couples of unrelated photographs none had more than 4 inliers; true pairs have 100 to 250 (median).
MIN_INLIERS = 8
# How far, in units of the LR's working copy, a match may lie from the transform and still vote for it.
RANSAC_TOLERANCE = 1.5
RANSAC_ITERATIONS = 2000
# After ten rounds nine fits in ten are within 0.0001 LR pixels of where they end; errors beyond three deviations have
# no vote.
FIT_ROUNDS = 10
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
    """How an HR lies on an LR: `matrix` takes HR pixels to LR pixels, `inliers` features agree with it."""

    matrix: Matrix
    inliers: int


@dataclass(frozen=True, eq=False)
class _Pairing:
    """Matched features: positions in HR and LR pixels, (n, 2), and their sizes in the same pixels, (n,)."""

    hr: Points
    lr: Points
    hr_radii: NDArray[np.float64]
    lr_radii: NDArray[np.float64]


def match(hr: Fingerprint, lr: Fingerprint, method: Method) -> Match | Rejection:
    """Find the transform that takes the HR onto the LR.

    RANSAC proposes it; a robust least-squares fit then weighs each match by how precisely it is located (small
    features), how well the two feature sizes agree, and how close it lies (Tukey's biweight).
    """
    rows, columns = mutual_matches(hr.descriptors, lr.descriptors)
    pairing = _Pairing(hr.points[rows], lr.points[columns], hr.radii[rows], lr.radii[columns])
    if len(rows) < MIN_INLIERS:
        return Rejection(Reason.FEW_MATCHES, f"{len(rows)} of at least {MIN_INLIERS}")
    tolerance = RANSAC_TOLERANCE * max(1.0, min(lr.size) / WORKING_SIDE)
    matrix = _ransac(pairing, method, tolerance)
    if matrix is None:
        return Rejection(Reason.FEW_MATCHES, f"no transform fits {len(rows)} matches")
    inliers = int(np.count_nonzero(_distances(matrix, pairing) < tolerance))
    if inliers < MIN_INLIERS:
        return Rejection(Reason.FEW_MATCHES, f"{inliers} of at least {MIN_INLIERS} agree")
    if not (flaw := implausible(matrix, hr.size)):
        matrix = _robust_fit(matrix, pairing, method, tolerance)
        flaw = implausible(matrix, hr.size)
    return Rejection(Reason.IMPLAUSIBLE, flaw) if flaw else Match(matrix, inliers)


def mutual_matches(
    hr: NDArray[np.uint8], lr: NDArray[np.uint8], ratio: float = RATIO
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of `hr` (n, 128) and of `lr` (m, 128) that are each other's nearest and pass the ratio test."""
    if min(len(hr), len(lr)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    a, b = hr.astype(np.float32), lr.astype(np.float32)
    # Sums of products of bytes stay below 2**24: exact in float32, whatever the order of summation.
    distances = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * (a @ b.T)
    rows, nearest = np.arange(len(a)), distances.argmin(axis=1)
    first, second = np.partition(distances, 1, axis=1)[:, :2].T
    good = (distances.argmin(axis=0)[nearest] == rows) & (first < ratio * ratio * second)
    return rows[good], nearest[good]


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
    stretch = max(_stretch(matrix, corner) for corner in corners)
    return f"stretched {stretch:.1f} times" if stretch > MAX_STRETCH else ""


def _stretch(matrix: Matrix, point: NDArray[np.float64]) -> float:
    """Return the ratio of the largest to the smallest scale at a point, in any direction."""
    here, right, below = transform_points(matrix, point + np.array([[0, 0], [1, 0], [0, 1]]))
    large, small = np.linalg.svd(np.array([right - here, below - here]), compute_uv=False)
    return float(large / max(small, 1e-12))


def _ransac(pairing: _Pairing, method: Method, tolerance: float) -> Matrix | None:
    if method is Method.WARP:
        found, _ = cv2.findHomography(pairing.hr, pairing.lr, cv2.RANSAC, tolerance, maxIters=RANSAC_ITERATIONS)
        return None if found is None else np.asarray(found, np.float64)
    affine, _ = cv2.estimateAffine2D(
        pairing.hr, pairing.lr, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=RANSAC_ITERATIONS
    )
    return None if affine is None else np.vstack([affine, [0, 0, 1]])


def _distances(matrix: Matrix, pairing: _Pairing) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(transform_points(matrix, pairing.hr) - pairing.lr, axis=1), np.float64)


def _robust_fit(matrix: Matrix, pairing: _Pairing, method: Method, tolerance: float) -> Matrix:
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
        matrix = _least_squares(matrix, pairing, weights, method)
    return matrix


def _least_squares(matrix: Matrix, pairing: _Pairing, weights: NDArray[np.float64], method: Method) -> Matrix:
    """Return the weighted least-squares affine, or homography by one Gauss-Newton step from `matrix`."""
    root = np.sqrt(weights)[:, None]
    ones = np.ones((len(root), 1))
    if method is Method.TRANSFORM:
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
