"""An enlargement shows no more than its original, whatever enlarged it and whatever became of it then."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tests.support.paths import EXAMPLES
from twimager.verify.detail import MIN_FINENESS, fineness, is_enlarged

PHOTOGRAPHS = sorted((EXAMPLES / "HR").iterdir())[:4]
HOWS = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]


def gray(number: int) -> np.ndarray:
    picture = cv2.imread(str(PHOTOGRAPHS[number]), cv2.IMREAD_GRAYSCALE)
    return picture[: len(picture) // 12 * 12, : picture.shape[1] // 12 * 12].astype(np.float32)


def resized(picture: np.ndarray, factor: float, how: int = cv2.INTER_AREA) -> np.ndarray:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)


def jpeg(picture: np.ndarray, quality: int = 90) -> np.ndarray:
    coded = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE).astype(np.float32)


def sharpened(picture: np.ndarray) -> np.ndarray:
    return np.clip(2 * picture - cv2.GaussianBlur(picture, (0, 0), 1.5), 0, 255)


def noisy(picture: np.ndarray) -> np.ndarray:
    return picture + np.random.default_rng(0).normal(0, 4, picture.shape).astype(np.float32)


CHANGES: list[Callable[[np.ndarray], np.ndarray]] = [np.asarray, jpeg, sharpened, noisy]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("changed", CHANGES)
@pytest.mark.parametrize("factor", [1.5, 2, 4])
def test_a_photograph_shows_more_than_its_smaller_copy(
    number: int, changed: Callable[[np.ndarray], np.ndarray], factor: float
) -> None:
    picture = gray(number)
    assert not is_enlarged(changed(picture), jpeg(resized(picture, 1 / factor)))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("changed", CHANGES)
@pytest.mark.parametrize("factor", [1.5, 2, 4])
def test_its_enlargement_does_not(how: int, changed: Callable[[np.ndarray], np.ndarray], factor: float) -> None:
    original = resized(gray(1), 0.5)
    assert is_enlarged(changed(resized(original, factor, how)), original)


@pytest.mark.parametrize("how", HOWS[1:])
def test_nor_does_an_enlargement_of_a_smaller_copy(how: int) -> None:
    original = gray(1)
    assert is_enlarged(jpeg(resized(resized(original, 1 / 3), 4, how)), original)


def test_that_of_another_moment_is_none_of_this_picture() -> None:
    original = gray(1)
    moved = original.copy()
    moved[60:180, 60:180] = original[60:180, 160:280]
    assert not is_enlarged(resized(resized(moved, 1 / 3), 4, cv2.INTER_CUBIC), original)


def test_fineness_is_that_of_detail_whatever_contrast_compression_and_noise() -> None:
    picture = gray(2)
    for copy in (0.3 * picture + 20, jpeg(picture, 75), noisy(picture)):
        assert 0.8 < fineness(copy) / fineness(picture) < 1.25
    soft = resized(resized(picture, 0.5), 2, cv2.INTER_CUBIC)
    assert fineness(soft) < MIN_FINENESS * fineness(picture)


def test_of_pictures_of_one_size_the_one_without_fine_detail_is_enlarged() -> None:
    picture = gray(1)
    soft = cv2.resize(resized(picture, 0.4), picture.shape[::-1], interpolation=cv2.INTER_CUBIC)
    assert is_enlarged(soft, picture)
    assert not is_enlarged(picture, soft)
    assert not is_enlarged(jpeg(picture), picture)
