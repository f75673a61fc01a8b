"""Pixels take a transform the last fraction of a pixel, or from a wrong start to the right one."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import degraded, error, framing, seen_through
from tests.support.pictures import picture
from twimager.align.refinement import COARSE, FINE, PyramidLevel, refine
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Matrix, Size, scaling, translation
from twimager.image.pixels import frame_size
from twimager.options import Method


def copy(pixels: np.ndarray) -> WorkingImage:
    return WorkingImage(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)), frame_size(pixels))


class Known(NamedTuple):
    """An HR, its degraded LR, the matrix between them, and the LR's size."""

    hr: WorkingImage
    lr: WorkingImage
    truth: Matrix
    size: Size


def known(name: str, tilt: float = 0.0, degrees: float = 4.0) -> Known:
    hr = picture(name)
    truth, size = framing(frame_size(hr), keep=0.8, scale=0.5, degrees=degrees, tilt=tilt, offset=(0.37, -0.21))
    return Known(copy(hr), copy(degraded(seen_through(truth, hr, size), np.random.default_rng(0))), truth, size)


def refined(
    start: Matrix, pair: Known, method: Method = Method.TRANSFORM, levels: Sequence[PyramidLevel] = FINE
) -> Matrix:
    return refine(start, pair.hr, pair.lr, method, levels)


ROTATION = np.array([[1, -0.004, 0.6], [0.004, 1, -0.6], [0, 0, 1]])
STARTS = {
    "shift": translation(0.3, -0.2),
    "scale": translation(-0.5, -0.4) @ scaling(1.004, 1.002),
    "rotation": ROTATION,
    "perspective": np.array([[1, 0, 0], [0, 1, 0], [5e-5, -5e-5, 1]]),
}


@pytest.mark.parametrize("name", ["P1040518", "P1040771", "P1040102"])
@pytest.mark.parametrize(
    ("start", "method", "tilt"),
    [
        ("shift", Method.TRANSFORM, 0.0),
        ("scale", Method.TRANSFORM, 0.0),
        ("rotation", Method.TRANSFORM, 0.0),
        ("shift", Method.WARP, 0.06),
        ("perspective", Method.WARP, 0.06),
    ],
)
def test_a_fraction_of_a_pixel_is_undone(name: str, start: str, method: Method, tilt: float) -> None:
    pair = known(name, tilt)
    begun = STARTS[start] @ pair.truth
    assert error(begun, pair.truth, pair.size) > 0.2
    assert error(refined(begun, pair, method), pair.truth, pair.size) < 0.03


def test_an_hr_that_is_not_turned_stays_so() -> None:
    pair = known("P1040771", degrees=0)
    found = refined(ROTATION @ pair.truth, pair)
    assert found[0, 1] == found[1, 0] == 0
    assert error(found, pair.truth, pair.size) < 0.02


@pytest.mark.parametrize("name", ["P1040518", "P1040771", "P1040102"])
def test_a_logo_over_a_twentieth_of_the_frame_moves_nothing(name: str) -> None:
    pair = known(name)
    marked = pair.lr.gray.copy()
    height, width = marked.shape
    top, left, high, wide = height // 8, width // 8, height // 5, width // 4
    marked[top : top + high, left : left + wide] = 235
    assert high * wide >= marked.size / 20.5
    plain = refined(pair.truth, pair)
    logo = refined(pair.truth, pair._replace(lr=pair.lr._replace(gray=marked)))
    assert error(logo, plain, pair.size) < 0.02


def test_a_hypothesis_off_by_many_pixels_finds_its_place() -> None:
    pair = known("P1040771")
    start = translation(5, -4) @ pair.truth
    assert error(refined(start, pair, levels=(*COARSE, *FINE)), pair.truth, pair.size) < 0.03


def test_where_there_is_nothing_to_see_the_transform_stays_as_it_was() -> None:
    pair = known("P1040771")
    flat = pair._replace(lr=pair.lr._replace(gray=np.full_like(pair.lr.gray, 90)))
    assert (refined(pair.truth, flat) == pair.truth).all()
    elsewhere = translation(1000, 0) @ pair.truth
    assert (refined(elsewhere, pair) == elsewhere).all()


@pytest.mark.parametrize("method", [Method.TRANSFORM, Method.WARP])
def test_where_the_steps_lead_nowhere_the_transform_stays_plausible(method: Method) -> None:
    """An LR of something else: the error must not rise, nor the HR be thrown out of the frame."""
    pair = known("P1040771")
    other = known("P1040102").lr
    unrelated = pair._replace(lr=WorkingImage(cv2.resize(other.gray, pair.size), pair.size))
    found = refined(pair.truth, unrelated, method, COARSE)
    assert np.isfinite(found).all()
    assert error(found, pair.truth, pair.size) < min(pair.size)
