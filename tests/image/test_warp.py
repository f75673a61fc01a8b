"""Pixels are carried over once, area-true where the source is denser, and of their own type."""

import tracemalloc

import cv2
import numpy as np
import pytest

from tests.support.pictures import cat
from twimager.geometry import scaling, translation
from twimager.image import warp
from twimager.image.displacement import Displacement
from twimager.image.warp import resample, source_density


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


@pytest.mark.parametrize(("rotation", "scale", "tolerance"), [(0, 0.5, 0), (0, 2.2, 0), (0.1, 0.4, 1), (0.3, 1.3, 1)])
@pytest.mark.parametrize("longest", [32_000, 100])
def test_tiles_make_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, rotation: float, scale: float, tolerance: int, longest: int
) -> None:
    linear = scale * np.array([[np.cos(rotation), -np.sin(rotation)], [np.sin(rotation), np.cos(rotation)]])
    matrix = translation(20.3, -12.7) @ np.block([[linear, np.zeros((2, 1))], [0, 0, 1]])
    whole = resample(cat(), matrix, (310, 240))
    monkeypatch.setattr(warp, "TILE_PIXELS", 5000)
    monkeypatch.setattr(warp, "MAX_SOURCE_SIDE", longest)
    assert np.abs(resample(cat(), matrix, (310, 240)).astype(int) - whole).max() <= tolerance


def test_a_displaced_picture_is_the_same_from_a_part_of_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    displacement = Displacement(
        np.random.default_rng(1).normal(0, 4, (2, 8, 9)), translation(0.5, 0.5) @ scaling(5 / 250)
    )
    whole = resample(cat(), scaling(0.5), (250, 180), displacement=displacement)
    monkeypatch.setattr(warp, "MAX_SOURCE_SIDE", 100)
    assert np.abs(resample(cat(), scaling(0.5), (250, 180), displacement=displacement).astype(int) - whole).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "target"), [((20, 60_000), (1200, 120)), ((60_000, 20), (90, 1300)), ((4, 4), (9000, 3))]
)
def test_no_transform_takes_more_memory_than_a_tile(source: tuple[int, int], target: tuple[int, int]) -> None:
    """The fine grid of the first would have 36 gigapixels if both axes were as fine."""
    pixels = cv2.resize(cat(), source, interpolation=cv2.INTER_AREA)
    tracemalloc.start()
    made = resample(pixels, scaling(target[0] / source[0], target[1] / source[1]), target)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made.shape == (*target[::-1], 3)
    assert peak < 300_000_000
    coarse = cv2.resize(pixels, tuple(map(min, source, target)), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(coarse, target, interpolation=cv2.INTER_CUBIC)
    assert np.abs(made.astype(int) - expected).mean() < 1
