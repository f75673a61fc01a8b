"""What no transform fits is registered by a displacement field; what one fits is left alone."""

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import degraded, framing, seen_through
from tests.support.pictures import picture
from twimager.align.nonrigid import register_nonrigid
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Matrix, Size, resize_matrix, scaling, translation, trimmed
from twimager.image.displacement import Displacement, covered
from twimager.image.pixels import frame_size
from twimager.image.warp import resample


def copy(pixels: np.ndarray) -> WorkingImage:
    return WorkingImage(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)), frame_size(pixels))


def wavy(size: Size, pixels: float) -> Displacement:
    """A flow of at most so many pixels: as a lens and a scan that was not flat make it."""
    flat = Displacement.zero(size, (5, 4))
    random = np.random.default_rng(3).uniform(-1, 1, flat.controls.shape)
    return Displacement(random * pixels / abs(random).max(), flat.to_knots)


def displaced_pair(name: str, pixels: float) -> tuple[WorkingImage, WorkingImage, Matrix, Displacement]:
    """An HR and its LR, framed, displaced and degraded, with what was done to it."""
    hr = picture(name)
    truth, size = framing(frame_size(hr), keep=0.9, scale=0.6, degrees=1)
    fine = scaling(2) @ truth, (size[0] * 2, size[1] * 2)
    displacement = wavy(size, pixels)
    lr = cv2.resize(resample(hr, *fine, displacement=displacement.on(scaling(2))), size, interpolation=cv2.INTER_AREA)
    return copy(hr), copy(degraded(lr, np.random.default_rng(0))), truth, displacement


@pytest.mark.parametrize("name", ["P1040518", "P1040771", "P1040102"])
def test_a_smooth_displacement_is_found(name: str) -> None:
    hr, lr, matrix, truth = displaced_pair(name, 4.0)
    found = register_nonrigid(matrix, hr, lr)
    assert found is not None
    wrong = np.hypot(*(found.shifts(lr.size) - truth.shifts(lr.size)))[4:-4, 4:-4]
    assert np.median(np.hypot(*truth.shifts(lr.size))) > 0.5
    assert np.median(wrong) < 0.12


@pytest.mark.parametrize("name", ["P1040518", "P1040771", "P1040102"])
def test_what_a_transform_fits_is_not_displaced(name: str) -> None:
    hr = picture(name)
    truth, size = framing(frame_size(hr), keep=0.8, scale=0.5, degrees=4)
    lr = degraded(seen_through(truth, hr, size), np.random.default_rng(0))
    assert register_nonrigid(truth, copy(hr), copy(lr)) is None


def test_what_a_mask_leaves_out_displaces_nothing() -> None:
    hr, lr, matrix, displacement = displaced_pair("P1040518", 4.0)
    straight = WorkingImage(resample(hr.gray, matrix, lr.size), lr.size)
    left = np.arange(lr.size[0]) < lr.size[0] // 2
    half = np.where(left, straight.gray, resample(hr.gray, matrix, lr.size, displacement=displacement))
    valid = np.broadcast_to(left, half.shape)
    assert register_nonrigid(matrix, hr, WorkingImage(half, lr.size)) is not None
    assert register_nonrigid(matrix, hr, WorkingImage(half, lr.size, valid)) is None
    assert register_nonrigid(matrix, hr._replace(valid=np.zeros(hr.gray.shape, bool)), lr) is None


def test_where_there_is_no_contrast_nothing_is_displaced() -> None:
    hr, lr, matrix, _ = displaced_pair("P1040771", 4.0)
    assert register_nonrigid(matrix, hr, WorkingImage(np.full_like(lr.gray, 90), lr.size)) is None
    assert register_nonrigid(translation(2000, 0) @ matrix, hr, lr) is None


def test_a_flow_is_the_same_on_every_grid() -> None:
    displacement = wavy((120, 80), 3.0)
    there = resize_matrix((120, 80), (360, 240))
    assert displacement.on(there).shifts((360, 240))[:, 1::3, 1::3] == pytest.approx(
        displacement.shifts((120, 80)) * 3, abs=1e-4
    )


def test_a_constant_flow_is_a_shift() -> None:
    flat = Displacement.zero((100, 60), (6, 4))
    displacement = Displacement(flat.controls + np.array([1.5, -0.5])[:, None, None], flat.to_knots)
    assert displacement.shifts((100, 60))[0] == pytest.approx(1.5)
    pixels = picture("P1040518")[:200, :200]
    shifted = resample(pixels, translation(-1.5, 0.5), (60, 40))
    assert np.abs(resample(pixels, scaling(1), (60, 40), displacement=displacement).astype(int) - shifted).max() <= 1


def test_what_a_displaced_hr_does_not_cover_is_cut() -> None:
    displacement = wavy((120, 80), 6.0)
    inside = covered(scaling(0.5), displacement, (240, 160), (120, 80))
    assert 0 < inside.mean() < 1
    area = trimmed(inside)
    assert area is not None
    assert area.cut(inside).all()
    assert area.width * area.height > 0.75 * inside.sum()
    assert trimmed(np.zeros((4, 5), bool)) is None
