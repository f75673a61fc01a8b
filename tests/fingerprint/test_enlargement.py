"""How much of a picture holds detail: all of a photograph, of an enlarged one by what it was enlarged."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tests.support.paths import EXAMPLES
from twimager.fingerprint.enlargement import SEGMENT, detail_share

PHOTOGRAPHS = sorted((EXAMPLES / "HR").iterdir())


def enlarged(picture: np.ndarray, factor: float, how: int = cv2.INTER_CUBIC) -> np.ndarray:
    """A photograph shrunk by a half, and enlarged."""
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, None, fx=factor, fy=factor, interpolation=how)


def jpeg(picture: np.ndarray) -> np.ndarray:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 93])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED))


@pytest.mark.parametrize("name", [path.name for path in PHOTOGRAPHS])
def test_all_of_a_photograph_holds_detail(name: str) -> None:
    assert detail_share(cv2.imread(str(EXAMPLES / "HR" / name))) == 1


@pytest.mark.parametrize("name", [path.name for path in PHOTOGRAPHS[:4]])
@pytest.mark.parametrize("how", [cv2.INTER_CUBIC, cv2.INTER_LANCZOS4])
@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("saved", [np.asarray, jpeg])
def test_of_an_enlarged_one_about_what_it_was_enlarged_by_does(
    name: str, how: int, factor: int, saved: Callable[[np.ndarray], np.ndarray]
) -> None:
    share = detail_share(saved(enlarged(cv2.imread(str(EXAMPLES / "HR" / name)), factor, how)))
    assert 0.6 / factor <= share <= 1.7 / factor


def test_depth_and_colours_do_not_matter() -> None:
    picture = enlarged(cv2.imread(str(PHOTOGRAPHS[0])), 2)
    deep = picture.astype(np.uint16) * 257
    assert detail_share(deep) == detail_share(picture) == detail_share(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) < 1


def test_a_small_picture_has_no_spectrum() -> None:
    assert detail_share(enlarged(np.zeros((SEGMENT - 2, SEGMENT), np.uint8), 2)[: SEGMENT - 1]) == 1


def test_a_flat_picture_is_not_enlarged() -> None:
    assert detail_share(np.full((200, 200), 77, np.uint8)) == 1
