"""Detect and match the features of two gray pictures, by a detector of the user's choice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.matching import implausible
from twimager.fingerprint.fingerprint import RICH
from twimager.fingerprint.rootsift import root_sift
from twimager.geometry import Matrix, Points, transform_points
from twimager.image.pixels import Gray, frame_size

# So many features at most, the strongest, are taken of a picture.
MAX_FEATURES = 1000
# A match counts where the nearest feature is nearer than the second nearest by this (Lowe, IJCV 2004).
RATIO = 0.8
# How far, in pixels of the picture, a match may lie from the transform.
TOLERANCE = 3.0
ITERATIONS = 5000
# Any four matches have a homography of their own; fewer have none.
MIN_MATCHES = 4


class Detector(str, Enum):
    """Feature detectors and their descriptors; SIFT is RootSIFT without the root."""

    SIFT = "sift"
    ROOTSIFT = "rootsift"
    AKAZE = "akaze"
    ORB = "orb"

    @property
    def is_available(self) -> bool:
        """Whether this OpenCV has it: AKAZE is no part of 5.0."""
        return self is not Detector.AKAZE or hasattr(cv2, "AKAZE_create")


@dataclass(frozen=True, eq=False)
class Features:
    """The features that a detector has found in one picture.

    Attributes
    ----------
    points : (n, 2) float64, in its pixels
    descriptors : (n, d) float32 or, of AKAZE and ORB, uint8 bits
    size : the picture's (width, height)
    """

    points: Points
    descriptors: NDArray[Any]
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class FeatureMatches:
    """The matched features of two pictures, and the transform that most of them agree with.

    Attributes
    ----------
    first, second : (matches, 2) float64, the position of each match, in pixels of the one picture and of the other
    inliers : (matches,) bool, which of them agree with the matrix
    matrix : (3, 3), takes pixels of the first picture to those of the second; None if there is no plausible one
    features : how many features there are in the picture that has fewer
    """

    first: Points
    second: Points
    inliers: NDArray[np.bool_]
    matrix: Matrix | None
    features: int

    @property
    def matches(self) -> int:
        """How many features are each other's nearest, and clearly so."""
        return len(self.first)

    @property
    def agreeing(self) -> int:
        """How many matches agree with one perspective transform; up to some eight do by chance."""
        return int(self.inliers.sum())

    @property
    def share(self) -> float:
        """The share, 0..1, of the features of the picture with fewer that have a match which agrees."""
        return self.agreeing / max(1, self.features)


def detect(gray: Gray, detector: Detector, limit: int = MAX_FEATURES) -> Features:
    """Return the strongest features of a gray picture, (h, w) uint8, at most `limit` of them."""
    if detector in (Detector.SIFT, Detector.ROOTSIFT):
        keypoints, descriptors = _sift(gray, detector, limit)
    else:
        created = cv2.ORB_create(limit) if detector is Detector.ORB else cv2.AKAZE_create(max_points=limit)
        keypoints, descriptors = created.detectAndCompute(gray, None)
    points = np.array([k.pt for k in keypoints], np.float64).reshape(-1, 2)
    return Features(points, np.empty((0, 1), np.uint8) if descriptors is None else descriptors, frame_size(gray))


def _sift(gray: Gray, detector: Detector, limit: int) -> tuple[Any, NDArray[np.float32] | None]:
    if detector is Detector.ROOTSIFT:
        keypoints, descriptors = root_sift(gray, limit, RICH.contrast)
        return keypoints, descriptors.astype(np.float32)
    sift = cv2.SIFT_create(limit, contrastThreshold=RICH.contrast, enable_precise_upscale=True)
    found: tuple[Any, NDArray[np.float32] | None] = sift.detectAndCompute(gray, None)
    return found


def match_features(first: Features, second: Features) -> FeatureMatches:
    """Match the features of two pictures, and find the perspective transform that most of them agree with (RANSAC)."""
    fewer = min(len(first.points), len(second.points))
    rows, columns = _matches(first.descriptors, second.descriptors)
    a, b = first.points[rows], second.points[columns]
    matrix = _ransac(a, b)
    if matrix is None or implausible(matrix, first.size):
        return FeatureMatches(a, b, np.zeros(len(a), bool), None, fewer)
    distances = np.linalg.norm(transform_points(matrix, a) - b, axis=1)
    return FeatureMatches(a, b, np.asarray(distances <= TOLERANCE), matrix, fewer)


def _matches(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows of `a` and of `b` that are each other's nearest, and nearer than the second by the ratio."""
    if min(len(a), len(b)) < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    matcher = cv2.BFMatcher(cv2.NORM_L2 if a.dtype == np.float32 else cv2.NORM_HAMMING)
    back = [match.trainIdx for match in matcher.match(b, a)]
    found = [
        (best.queryIdx, best.trainIdx)
        for best, second in matcher.knnMatch(a, b, k=2)
        if best.distance < RATIO * second.distance and back[best.trainIdx] == best.queryIdx
    ]
    rows, columns = np.array(found, np.intp).reshape(-1, 2).T
    return rows, columns


def _ransac(a: Points, b: Points) -> Matrix | None:
    if len(a) < MIN_MATCHES:
        return None
    matrix, _ = cv2.findHomography(a, b, cv2.RANSAC, TOLERANCE, maxIters=ITERATIONS)
    return None if matrix is None else np.asarray(matrix, np.float64)
