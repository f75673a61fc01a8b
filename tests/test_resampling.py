"""Pixels are carried over once, area-true where the source is denser, and of their own type."""

import cv2
import numpy as np
import pytest
from pictures import cat

from twimager.geometry import scaling, translation
from twimager.resampling import resample, source_density


@pytest.mark.parametrize("shrink", [2, 3, 5])
def test_an_exact_shrink_is_an_area_average(shrink: int) -> None:
    hr = cat()[:300, :450]
    size = hr.shape[1] // shrink, hr.shape[0] // shrink
    expected = cv2.resize(hr, size, interpolation=cv2.INTER_AREA)
    assert np.abs(resample(hr, scaling(1 / shrink), size).astype(int) - expected).max() <= 1


def test_nothing_is_skipped_in_a_fractional_shrink() -> None:
    stripes = np.tile(np.array([[0], [255]], np.uint8), (200, 300))
    small = resample(stripes, scaling(1 / 3.7), (81, 108))[5:-5, 5:-5]
    assert abs(float(small.mean()) - 127.5) < 2
    assert small.std() < 25


def test_a_whole_shift_keeps_the_pixels() -> None:
    moved = resample(cat(), translation(-7, -4), (400, 250))
    assert (moved == cat()[4:254, 7:407]).all()


def test_enlarging_keeps_the_source_where_grids_meet() -> None:
    big = resample(cat(), scaling(3), (cat().shape[1] * 3, cat().shape[0] * 3))
    assert np.abs(big[1::3, 1::3].astype(int) - cat()).max() <= 1


def test_16_bit_and_gray_keep_their_type() -> None:
    deep = cat().astype(np.uint16) * 257
    assert resample(deep, scaling(0.5), (225, 150)).dtype == np.uint16
    assert resample(cat()[..., 0], scaling(0.5), (225, 150)).shape == (150, 225)


def test_density_counts_source_pixels_along_a_side() -> None:
    assert source_density(scaling(0.25), (100, 60)) == pytest.approx(4)
    assert source_density(scaling(2), (100, 60)) == pytest.approx(0.5)
