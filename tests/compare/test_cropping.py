"""Which part of a picture another one is."""

import cv2
import numpy as np
import pytest

from tests.support.pictures import picture
from twimager.compare import template
from twimager.compare.crop import Crop, crop_of, is_whole
from twimager.compare.template import match_template, snap_to_whole_pixels
from twimager.geometry import mirroring, scaling, translation


def gray(name: str = "P1040847") -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture(name), cv2.COLOR_BGR2GRAY))


def test_a_crop_counts_pixels_from_their_edges() -> None:
    assert crop_of(translation(10, 20), (30, 40), (100, 90)) == Crop(10, 20, 30, 40, exact=True, upright=True)
    half = crop_of(translation(10, 20) @ scaling(0.5), (60, 80), (100, 90))
    assert half == Crop(10, 20, 30, 40, exact=False, upright=True)
    assert crop_of(translation(10, 20) @ mirroring((30, 40)), (30, 40), (100, 90)) == Crop(10, 20, 30, 40, True, True)


def test_what_is_no_part_of_the_other_is_no_crop() -> None:
    assert crop_of(translation(0, 0), (100, 90), (100, 90)) is None
    assert crop_of(translation(-10, 5), (50, 50), (100, 90)) is None
    assert crop_of(scaling(3), (100, 90), (100, 90)) is None


def test_only_shifts_by_whole_pixels_are_whole() -> None:
    assert is_whole(translation(3, -4) @ mirroring((50, 40)), (50, 40))
    assert not is_whole(translation(3, 0.5), (50, 40))
    assert not is_whole(scaling(2), (50, 40))


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_alignment_that_is_nearly_a_shift_becomes_one(mirrored: bool) -> None:
    whole = gray()
    part = np.ascontiguousarray(whole[200:500, 300:700][:, :: -1 if mirrored else 1])
    flip = mirroring((400, 300)) if mirrored else translation(0, 0)
    nearly = translation(300.7, 198.8) @ scaling(1.001) @ flip
    assert (snap_to_whole_pixels(nearly, part, whole) == translation(300, 200) @ flip).all()


def test_an_alignment_that_is_none_stays_as_it_is() -> None:
    whole = gray()
    shifted = cv2.warpAffine(whole, translation(-300.5, -200.3)[:2], (400, 300), flags=cv2.INTER_CUBIC)
    true = translation(300.5, 200.3)
    assert snap_to_whole_pixels(true, shifted, whole) is true
    tilted = translation(300, 200) @ scaling(1.1)
    assert snap_to_whole_pixels(tilted, whole[200:500, 300:700], whole) is tilted


@pytest.mark.parametrize("most", [template.MOST_PIXELS, 120_000])
def test_a_template_is_found_in_large_pictures_too(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(template, "MOST_PIXELS", most)
    whole, rng = gray(), np.random.default_rng(0)
    for _ in range(4):
        width, height = (int(side) for side in rng.integers(90, 400, 2))
        x, y = int(rng.integers(0, 1001 - width)), int(rng.integers(0, 1001 - height))
        found = match_template(whole[y : y + height, x : x + width], whole)
        assert found is not None
        assert (found == translation(x, y)).all()


def test_what_is_not_there_is_not_found() -> None:
    assert match_template(gray("P1040518")[50:200, 50:200], gray()) is None
    assert match_template(np.full((60, 60), 100, np.uint8), gray()) is None
    assert match_template(gray(), gray("P1040518")) is None
