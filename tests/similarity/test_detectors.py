"""Every detector ties a picture to its turned copy, and to no other."""

import cv2
import numpy as np
import pytest

from tests.support.pictures import picture
from twimager.geometry import transform_points
from twimager.similarity.detectors import Detector, detect, match_features

HERE = [detector for detector in Detector if detector.is_available]


def gray(name: str) -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture(name), cv2.COLOR_BGR2GRAY))


@pytest.mark.parametrize("detector", HERE)
def test_a_turned_copy_is_found_where_it_is(detector: Detector) -> None:
    a = gray("P1040518")
    size = a.shape[1], a.shape[0]
    rotation = np.vstack([cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), 8, 0.8), [0, 0, 1]])
    b = cv2.warpAffine(a, rotation[:2], size, flags=cv2.INTER_AREA)
    found = match_features(detect(a, detector), detect(b, detector))
    assert found.agreeing >= 50
    assert found.agreeing <= found.matches
    assert 0.05 < found.share <= 1
    assert found.matrix is not None
    corners = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float64)
    assert (
        np.linalg.norm(transform_points(found.matrix, corners) - transform_points(rotation, corners), axis=1).max() < 3
    )
    moved = transform_points(rotation, found.first[found.inliers])
    assert np.median(np.linalg.norm(moved - found.second[found.inliers], axis=1)) < 1


@pytest.mark.parametrize("detector", HERE)
def test_another_picture_shares_next_to_nothing(detector: Detector) -> None:
    found = match_features(detect(gray("P1040518"), detector), detect(gray("P1040102"), detector))
    assert found.agreeing <= 8
    assert found.share < 0.02


@pytest.mark.parametrize("detector", HERE)
def test_there_may_be_nothing_to_find(detector: Detector) -> None:
    flat = detect(np.full((120, 160), 90, np.uint8), detector)
    for first, second in ((flat, flat), (flat, detect(gray("P1040518"), detector))):
        found = match_features(first, second)
        assert (found.matches, found.agreeing, found.share, found.matrix) == (0, 0, 0.0, None)


def test_no_more_features_than_the_limit() -> None:
    for detector in HERE:
        assert 0 < len(detect(gray("P1040518"), detector, limit=100).points) <= 110
