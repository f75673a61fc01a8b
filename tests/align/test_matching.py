"""Known warps are recovered; what no picture of a picture does is rejected."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import degraded, error, framing, seen_through
from tests.support.pictures import picture
from twimager.align.estimation import MIN_INLIERS
from twimager.align.matching import Match, hypotheses, implausible, match, mutual_matches
from twimager.errors import Reason, Rejection
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.features import Features
from twimager.fingerprint.fingerprint import LIGHT_HR, Fingerprint, mirrored
from twimager.geometry import scaling, transform_points, translation
from twimager.image.pixels import frame_size
from twimager.options import Method


@pytest.fixture
def remembered(tmp_path: Path):
    def remember(pixels: np.ndarray, name: str) -> Fingerprint:
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), pixels)
        return fingerprint(path, LIGHT_HR)

    return remember


@pytest.mark.parametrize("name", ["P1040518", "P1040771", "P1040102"])
@pytest.mark.parametrize(("method", "tilt"), [(Method.TRANSFORM, 0.0), (Method.WARP, 0.0), (Method.WARP, 0.06)])
def test_a_known_warp_is_recovered(remembered, name: str, method: Method, tilt: float) -> None:
    hr = picture(name)
    truth, size = framing(frame_size(hr), keep=0.8, scale=0.5, degrees=4, tilt=tilt, offset=(0.37, -0.21))
    lr = degraded(seen_through(truth, hr, size), np.random.default_rng(0))
    found = match(remembered(hr, "hr"), remembered(lr, "lr"), method)
    assert isinstance(found, Match)
    assert error(found.matrix, truth, size) < 0.25


@pytest.mark.parametrize("shrink", [2, 3, 4])
def test_an_exact_shrink_is_recovered_without_bias(remembered, shrink: int) -> None:
    hr = picture("P1040771")
    hr = hr[: hr.shape[0] // shrink * shrink, : hr.shape[1] // shrink * shrink]
    lr = cv2.resize(hr, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    found = match(remembered(hr, "hr"), remembered(lr, "lr"), Method.TRANSFORM)
    assert isinstance(found, Match)
    assert error(found.matrix, scaling(1 / shrink), frame_size(lr)) < 0.05


def test_unrelated_pictures_do_not_match(remembered) -> None:
    found = match(
        remembered(picture("P1040771"), "hr"), remembered(picture("P1040102")[::2, ::2], "lr"), Method.TRANSFORM
    )
    assert isinstance(found, Rejection)
    assert found.reason is Reason.FEW_MATCHES


def made_up(
    points: np.ndarray, descriptors: np.ndarray, name: str, size: tuple[int, int], radius: float = 1
) -> Fingerprint:
    radii, angles = np.full(len(points), radius, np.float32), np.zeros(len(points), np.float32)
    return Fingerprint(Path(name), size, (), Features(points.astype(np.float32), radii, angles, descriptors))


def test_matches_that_collapse_into_a_point_are_rejected() -> None:
    features = np.eye(12, 128, dtype=np.uint8) * 200
    hr = made_up(np.random.default_rng(0).uniform(0, 400, (12, 2)), features, "hr", (640, 480))
    lr = made_up(np.full((12, 2), 50.0), features, "lr", (320, 240))
    for method in Method:
        assert isinstance(match(hr, lr, method), Rejection)


@pytest.mark.parametrize("unsupported", [0, 60])
def test_five_matches_that_agree_are_found_among_many_that_do_not(unsupported: int) -> None:
    rng = np.random.default_rng(1)
    features = (np.eye(5 + unsupported, 128) * 200).astype(np.uint8)
    points = rng.uniform(0, 400, (5 + unsupported, 2))
    elsewhere = rng.uniform(0, 200, points.shape)
    elsewhere[:5] = transform_points(scaling(0.5), points[:5])
    found = match(made_up(points, features, "hr", (400, 400)), made_up(elsewhere, features, "lr", (200, 200), 0.5),
                  Method.TRANSFORM)  # fmt: skip
    assert isinstance(found, Match)
    assert error(found.matrix, scaling(0.5), (200, 200)) < 8


def test_matches_of_which_no_two_agree_are_too_few() -> None:
    rng = np.random.default_rng(3)
    features = (np.eye(12, 128) * 200).astype(np.uint8)
    hr, lr = (made_up(rng.uniform(0, side, (12, 2)), features, str(side), (side, side)) for side in (400, 200))
    found = match(hr, lr, Method.TRANSFORM)
    assert isinstance(found, Rejection)
    assert found.reason is Reason.FEW_MATCHES


def test_where_a_pattern_repeats_every_place_is_named_the_likeliest_first() -> None:
    points = np.random.default_rng(1).uniform(0, 400, (12, 2))
    features = (np.eye(len(points), 128) * 200).astype(np.uint8)
    repeats = scaling(0.5), translation(30, 0) @ scaling(0.5), translation(0, 40) @ scaling(0.5)
    seen = np.concatenate([transform_points(repeats[0], points[:6]), transform_points(repeats[1], points[6:9]),
                           transform_points(repeats[2], points[9:])])  # fmt: skip
    hr, lr = made_up(points, features, "hr", (400, 400)), made_up(seen, features, "lr", (230, 240), 0.5)
    found = list(hypotheses(hr, lr, Method.TRANSFORM))
    assert len(found) == 3
    assert error(found[0], repeats[0], (400, 400)) < 0.1
    assert all(min(error(place, repeat, (400, 400)) for place in found) < 0.1 for repeat in repeats)


def test_of_repeats_that_agree_roughly_the_precise_one_is_named_first() -> None:
    points = np.random.default_rng(4).uniform(0, 400, (20, 2))
    features = (np.eye(len(points), 128) * 200).astype(np.uint8)
    beside = translation(6, 0) @ scaling(0.5)
    seen = np.concatenate([transform_points(scaling(0.5), points[:12]), transform_points(beside, points[12:])])
    hr, lr = made_up(points, features, "hr", (400, 400)), made_up(seen, features, "lr", (206, 200), 0.5)
    precise, rough, *_ = hypotheses(hr, lr, Method.TRANSFORM)
    assert error(precise, scaling(0.5), (400, 400)) < 0.1
    assert error(rough, scaling(0.5), (400, 400)) > 1


def test_matches_are_mutual() -> None:
    features = np.zeros((3, 128), np.uint8)
    features[0, 0] = features[1, 1] = features[2, 2] = 200
    rows, columns = mutual_matches(features, features[[2, 0, 0]])
    assert sorted(zip(rows, columns, strict=True)) == [(0, 1), (2, 0)]


def test_the_most_distinctive_matches_come_first() -> None:
    hr = np.zeros((3, 128), np.uint8)
    hr[0, 0], hr[1, :2], hr[2, 5] = 200, (190, 40), 200
    rows, columns = mutual_matches(hr, hr[[2, 0]] + np.uint8(1))
    assert list(zip(rows, columns, strict=True)) == [(2, 0), (0, 1)]
    rows, columns = mutual_matches(hr, hr[[0, 2]] + np.uint8(1))
    assert list(zip(rows, columns, strict=True)) == [(2, 1), (0, 0)]


def test_a_mirrored_picture_is_remembered_as_its_mirror_image(remembered) -> None:
    hr = picture("P1040518")
    truth, size = framing(frame_size(hr), keep=0.8, scale=0.5, degrees=4, offset=(0.37, -0.21))
    lr = degraded(seen_through(truth, hr, size), np.random.default_rng(0))
    upright, flipped = remembered(hr, "hr"), remembered(np.ascontiguousarray(hr[:, ::-1]), "flipped")
    found = match(mirrored(flipped), remembered(lr, "lr"), Method.TRANSFORM)
    assert isinstance(found, Match)
    assert error(found.matrix, truth, size) < 0.2
    unlike = match(flipped, remembered(lr, "lr"), Method.TRANSFORM)
    assert isinstance(unlike, Rejection) or unlike.inliers < MIN_INLIERS
    assert mirrored(mirrored(upright)).features.points == pytest.approx(upright.features.points, abs=1e-3)


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
    flaws_found = implausible(matrix, (640, 480))
    assert flaw in flaws_found
    assert bool(flaws_found) == bool(flaw)
