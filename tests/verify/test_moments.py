"""LRs of two moments are found as that; single fields, noise, blur by motion and frames in between are not."""

import cv2
import numpy as np
import pytest

from tests.support.pictures import cat
from twimager.fingerprint.combing import MAX_COMBED, comb_share, has_doubled_lines
from twimager.geometry import Rect
from twimager.verify.moments import blend, combed_share
from twimager.verify.overlay import Overlay

RNG = np.random.default_rng(5)


def frame(moment: int) -> np.ndarray:
    """The cat, and before it a ball that has moved by six pixels a moment."""
    gray = cv2.cvtColor(cv2.resize(cat()[:480, :640], (320, 240), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    texture = cv2.resize(np.random.default_rng(1).integers(0, 255, (12, 12), np.uint8), (80, 80))
    gray[60:140, 60 + 6 * moment : 140 + 6 * moment] = texture
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), 0.8), np.float32)


def noisy(lr: np.ndarray, sigma: float = 2) -> np.ndarray:
    return np.asarray(np.clip(lr + RNG.normal(0, sigma, lr.shape), 0, 255), np.uint8)


def woven(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    made = first.copy()
    made[1::2] = second[1::2]
    return made


def overlay(hr: np.ndarray, lr: np.ndarray) -> Overlay:
    return Overlay(hr, lr, Rect(0, 0, lr.shape[1], lr.shape[0]), 1.0)


def jpeg(lr: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", lr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)
    )


@pytest.mark.parametrize("quality", [60, 95])
def test_combed(quality: int) -> None:
    lr = jpeg(noisy(woven(frame(0), frame(1)), 1), quality)
    assert comb_share(lr) > MAX_COMBED
    assert combed_share(overlay(frame(0), lr)) > MAX_COMBED
    assert combed_share(overlay(frame(1), lr)) > MAX_COMBED


def test_lines_that_the_hr_shows_as_well_are_no_combing() -> None:
    facade = frame(0)
    facade[::2, :160] *= 0.8
    assert comb_share(facade) > MAX_COMBED
    assert combed_share(overlay(facade, noisy(facade))) < 0.01


@pytest.mark.parametrize("lr", [
    noisy(frame(0), 8),
    jpeg(noisy(frame(0)), 30),
    noisy(cv2.resize(frame(0)[::2], (320, 240), interpolation=cv2.INTER_LINEAR)),
    noisy(np.repeat(frame(0)[::2], 2, axis=0)),
    noisy(2 * frame(0) - cv2.GaussianBlur(frame(0), (0, 0), 1)),
])  # fmt: skip
def test_one_moment_is_not_combed(lr: np.ndarray) -> None:
    assert comb_share(lr) < MAX_COMBED / 2


def test_doubled_lines() -> None:
    down = np.roll(frame(0), 1, axis=0)
    assert has_doubled_lines(woven(frame(0), down))
    assert not has_doubled_lines((frame(0) + down) / 2)
    assert not has_doubled_lines(woven(frame(0), frame(1)))


@pytest.mark.parametrize("size", [(3, 3), (200, 9), (9, 200)])
def test_of_little_nothing_is_combed(size: tuple[int, int]) -> None:
    assert comb_share(np.zeros(size, np.uint8)) == 0


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_blended(share: float) -> None:
    lr = noisy(share * frame(0) + (1 - share) * frame(1))
    found = blend(overlay(frame(0), lr), overlay(frame(1), lr))
    assert found
    assert found.is_significant
    assert found.share == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize("lr", [
    noisy(frame(0)), noisy(frame(2)), noisy(cv2.blur(frame(0), (7, 1))), noisy(0.92 * frame(0) + 0.08 * frame(1)),
])  # fmt: skip
@pytest.mark.parametrize("second", [2, 4])
def test_a_single_frame_is_not_blended(lr: np.ndarray, second: int) -> None:
    found = blend(overlay(frame(0), lr), overlay(frame(second), lr))
    assert not (found and found.is_significant)


def test_a_frame_between_two_is_not_blended_of_them() -> None:
    found = blend(overlay(frame(0), noisy(frame(1))), overlay(frame(2), noisy(frame(1))))
    assert found
    assert not found.is_significant


@pytest.mark.parametrize("sigma", [1, 4, 10])
def test_hrs_that_differ_in_noise_alone_make_no_blend(sigma: float) -> None:
    lr = frame(0)
    found = blend(overlay(noisy(lr, sigma), lr), overlay(noisy(lr, sigma), lr))
    assert not (found and found.is_significant)


def test_hrs_of_nothing_in_common_make_no_blend() -> None:
    lr = frame(0)
    halves = (Overlay(lr, lr, Rect(x, 0, 160, 240), 0.5) for x in (0, 160))
    assert blend(*halves) is None
