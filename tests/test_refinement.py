"""Pixels take a transform the last fraction of a pixel, or from a wrong start to its place."""

import cv2
import numpy as np
import pytest
from pictures import picture

from benchmarks.known_warp import degraded, error, framing, seen_through
from twimager.fingerprints import Copy
from twimager.geometry import Matrix, Size, scaling, translation
from twimager.images import frame_size
from twimager.options import Method
from twimager.refinement import COARSE, FINE, refine


def copy(pixels: np.ndarray) -> Copy:
    return Copy(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)), frame_size(pixels))


def known(name: str, tilt: float = 0.0) -> tuple[Copy, Copy, Matrix, Size]:
    """An HR, its degraded LR, the matrix between them and the LR's size."""
    hr = picture(name)
    truth, size = framing(frame_size(hr), keep=0.8, scale=0.5, degrees=4, tilt=tilt, offset=(0.37, -0.21))
    return copy(hr), copy(degraded(seen_through(truth, hr, size), np.random.default_rng(0))), truth, size


@pytest.mark.parametrize("name", ["P1040518", "P1040771", "P1040102"])
@pytest.mark.parametrize(("method", "tilt"), [(Method.TRANSFORM, 0.0), (Method.WARP, 0.06)])
def test_a_shift_of_a_fraction_of_a_pixel_is_undone(name: str, method: Method, tilt: float) -> None:
    hr, lr, truth, size = known(name, tilt)
    start = translation(0.3, -0.2) @ scaling(1.002) @ truth
    assert error(start, truth, size) > 0.2
    assert error(refine(start, hr, lr, method, FINE), truth, size) < 0.05


def test_a_hypothesis_off_by_many_pixels_finds_its_place() -> None:
    hr, lr, truth, size = known("P1040771")
    start = translation(5, -4) @ truth
    assert error(refine(start, hr, lr, Method.TRANSFORM, (*COARSE, *FINE)), truth, size) < 0.05


def test_where_there_is_nothing_to_see_the_transform_stays_as_it_was() -> None:
    hr, lr, truth, _ = known("P1040771")
    flat = Copy(np.full_like(lr.gray, 90), lr.size)
    assert (refine(truth, hr, flat, Method.TRANSFORM, FINE) == truth).all()
    assert (refine(translation(1000, 0) @ truth, hr, lr, Method.TRANSFORM, FINE) == translation(1000, 0) @ truth).all()
