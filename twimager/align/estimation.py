"""Estimate a transform from matched features: least-squares similarity, RANSAC, and a robust fit."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Matrix, Points, transform_points

# With fewer inliers an affine transform follows their noise, and a similarity serves better to start from.
MIN_INLIERS = 8
RANSAC_ITERATIONS = 2000
# After three rounds nine fits in ten are within 0.004 LR pixels of where they end, and the pixels are aligned
# afterwards; matches beyond three standard deviations have zero weight.
FIT_ROUNDS = 3
FIT_SIGMAS = 3.0
# A standard deviation of normal errors, by the median of their magnitudes.
MEDIAN_TO_SIGMA = 1.4826
# True matches agree with the transform in how much larger one feature is than the other, to a quarter of an octave.
OCTAVE_SIGMA = 0.25


@dataclass(frozen=True, eq=False)
class Matches:
    """Matched features of an HR and an LR.

    Attributes
    ----------
    hr, lr : (n, 2) float64, positions in HR and in LR pixels
    hr_radii, lr_radii : (n,) float64, sizes in HR and in LR pixels
    rotations : (n,) float64, the direction in the LR less that in the HR, in radians
    """

    hr: Points
    lr: Points
    hr_radii: NDArray[np.float64]
    lr_radii: NDArray[np.float64]
    rotations: NDArray[np.float64]

    def __getitem__(self, mask: NDArray[np.bool_]) -> Matches:
        return Matches(self.hr[mask], self.lr[mask], self.hr_radii[mask], self.lr_radii[mask], self.rotations[mask])

    def __len__(self) -> int:
        return len(self.hr)


def distances(matrix: Matrix, matches: Matches) -> NDArray[np.float64]:
    """Return how far each match lies from a transform, (n,) float64, in LR pixels."""
    return np.asarray(np.linalg.norm(transform_points(matrix, matches.hr) - matches.lr, axis=1), np.float64)


def fit_similarity(matches: Matches) -> Matrix:
    """Return the least-squares similarity, (3, 3) float64, of two matches or more."""
    hr, lr = (points @ (1, 1j) for points in (matches.hr, matches.lr))
    factor, shift = np.linalg.lstsq(np.stack([hr, np.ones_like(hr)], axis=1), lr, rcond=None)[0]
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag], [0, 0, 1]], np.float64
    )


def ransac(matches: Matches, perspective: bool, tolerance: float) -> Matrix | None:
    """Return the affine or perspective transform, (3, 3) float64, that most matches agree with; None if none is found.

    An inlier lies within `tolerance` LR pixels.
    """
    if perspective:
        found, _ = cv2.findHomography(matches.hr, matches.lr, cv2.RANSAC, tolerance, maxIters=RANSAC_ITERATIONS)
        return None if found is None else np.asarray(found, np.float64)
    affine, _ = cv2.estimateAffine2D(
        matches.hr, matches.lr, method=cv2.RANSAC, ransacReprojThreshold=tolerance, maxIters=RANSAC_ITERATIONS
    )
    return None if affine is None else np.vstack([affine, [0, 0, 1]])


def robust_fit(matrix: Matrix, matches: Matches, perspective: bool, tolerance: float) -> Matrix:
    """Return a transform refined by iteratively reweighted least squares over all matches, (3, 3) float64.

    The weight of a match is the product of how precisely it is located (small features), how well the two feature
    sizes agree, and Tukey's biweight of its distance.

    Parameters
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels
    perspective : whether a homography is fitted, or an affine transform
    tolerance : how far an inlier of `matrix` lies from it at most, in LR pixels
    """
    inside = distances(matrix, matches) < tolerance
    growth = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    octaves = np.log2(matches.lr_radii / (matches.hr_radii * growth))
    precision = np.exp(-((octaves / OCTAVE_SIGMA) ** 2) / 2) / np.maximum(matches.lr_radii, matches.hr_radii * growth)
    for _ in range(FIT_ROUNDS):
        errors = distances(matrix, matches)
        cutoff = FIT_SIGMAS * MEDIAN_TO_SIGMA * np.median(errors[inside])
        weights = precision * np.clip(1 - (errors / max(cutoff, 1e-6)) ** 2, 0, None) ** 2
        if np.count_nonzero(weights) < MIN_INLIERS:
            break
        matrix = _homography_step(matrix, matches, weights) if perspective else _fit_affine(matches, weights)
    return matrix


def _fit_affine(matches: Matches, weights: NDArray[np.float64]) -> Matrix:
    """Return the weighted least-squares affine transform."""
    root = np.sqrt(weights)[:, None]
    homogeneous = np.hstack([matches.hr, np.ones((len(root), 1))])
    solution = np.linalg.lstsq(homogeneous * root, matches.lr * root, rcond=None)[0]
    return np.vstack([solution.T, [0, 0, 1]])


def _homography_step(matrix: Matrix, matches: Matches, weights: NDArray[np.float64]) -> Matrix:
    """Return a homography after one Gauss-Newton step of weighted least squares."""
    root = np.sqrt(weights)[:, None]
    homogeneous = np.hstack([matches.hr, np.ones((len(root), 1))])
    depth = homogeneous @ matrix[2]
    predicted = transform_points(matrix, matches.hr)
    rows = homogeneous / depth[:, None] * root
    zeros = np.zeros_like(rows)
    jacobian = np.vstack(
        [
            np.hstack([rows, zeros, -predicted[:, :1] * rows[:, :2]]),
            np.hstack([zeros, rows, -predicted[:, 1:] * rows[:, :2]]),
        ]
    )
    residual = ((matches.lr - predicted) * root).T.ravel()
    step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
    return np.asarray(matrix + np.append(step, 0.0).reshape(3, 3), np.float64)
