"""Known warps are recovered; what no picture of a picture does is turned down."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import picture

from benchmarks.known_warp import degraded, error, framing, seen_through
from twimager.errors import Reason, Rejection
from twimager.fingerprints import Fingerprint, fingerprint
from twimager.geometry import scaling
from twimager.images import frame_size
from twimager.matching import Match, implausible, match, mutual_matches
from twimager.options import Method


@pytest.fixture
def remembered(tmp_path: Path):
    def remember(pixels: np.ndarray, name: str) -> Fingerprint:
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), pixels)
        return fingerprint(path)

    return remember


@pytest.mark.parametrize("name", ["P1040518", "P1040771", "P1040102"])
@pytest.mark.parametrize(("method", "tilt"), [(Method.TRANSFORM, 0.0), (Method.WARP, 0.0), (Method.WARP, 0.06)])
def test_a_known_warp_is_recovered(remembered, name: str, method: Method, tilt: float) -> None:
    hr = picture(name)
    truth, size = framing(frame_size(hr), keep=0.8, scale=0.5, degrees=4, tilt=tilt, offset=(0.37, -0.21))
    lr = degraded(seen_through(truth, hr, size), np.random.default_rng(0))
    found = match(remembered(hr, "hr"), remembered(lr, "lr"), method)
    assert isinstance(found, Match)
    assert error(found.matrix, truth, size) < 0.15


@pytest.mark.parametrize("shrink", [2, 3, 4])
def test_an_exact_shrink_is_recovered_without_bias(remembered, shrink: int) -> None:
    hr = picture("P1040771")
    hr = hr[: hr.shape[0] // shrink * shrink, : hr.shape[1] // shrink * shrink]
    lr = cv2.resize(hr, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    found = match(remembered(hr, "hr"), remembered(lr, "lr"), Method.TRANSFORM)
    assert isinstance(found, Match)
    assert error(found.matrix, scaling(1 / shrink), frame_size(lr)) < 0.03


def test_unrelated_pictures_do_not_match(remembered) -> None:
    found = match(
        remembered(picture("P1040771"), "hr"), remembered(picture("P1040102")[::2, ::2], "lr"), Method.TRANSFORM
    )
    assert isinstance(found, Rejection)
    assert found.reason is Reason.FEW_MATCHES


def test_matches_that_collapse_into_a_point_are_turned_down() -> None:
    features = np.eye(12, 128, dtype=np.uint8) * 200
    hr = Fingerprint(
        Path("hr"), (640, 480), (), np.random.default_rng(0).uniform(0, 400, (12, 2)), np.ones(12), features
    )
    lr = Fingerprint(Path("lr"), (320, 240), (), np.full((12, 2), 50.0), np.ones(12), features)
    for method in Method:
        assert isinstance(match(hr, lr, method), Rejection)


def test_matches_are_mutual_and_distinct() -> None:
    features = np.zeros((3, 128), np.uint8)
    features[0, 0] = features[1, 1] = features[2, 2] = 200
    rows, columns = mutual_matches(features, features[[2, 0, 0]])
    assert list(zip(rows, columns, strict=True)) == [(2, 0)]


def test_a_feature_is_matched_once() -> None:
    hr = np.zeros((3, 128), np.uint8)
    hr[0, 0], hr[1, :2], hr[2, 5] = 200, (190, 40), 200
    rows, columns = mutual_matches(hr, hr[[0, 2]])
    assert list(zip(rows, columns, strict=True)) == [(0, 0), (2, 1)]


@pytest.mark.parametrize(
    ("matrix", "flaw"),
    [
        (np.diag([-0.5, 0.5, 1.0]), "inside out"),
        (np.diag([0.001, 0.001, 1.0]), "LR pixels per HR pixel"),
        (np.diag([0.2, 0.5, 1.0]), "stretched"),
        (np.array([[0.5, 0, 0], [0, 0.5, 0], [-0.01, 0, 1]]), "folds"),
        (np.full((3, 3), np.nan), "folds"),
        (scaling(0.5), ""),
    ],
)
def test_implausible_transforms(matrix: np.ndarray, flaw: str) -> None:
    said = implausible(matrix, (640, 480))
    assert flaw in said
    assert bool(said) == bool(flaw)
