"""What is left between a matrix and the plain resize is told apart: shift, rotation, scale, perspective."""

import numpy as np
import pytest

from twimager.check.misalignment import misalignment
from twimager.geometry import resize_matrix, scaling, translation

HR, LR = (800, 600), (400, 300)
PLAIN = resize_matrix(HR, LR)
CENTRED = translation(199.5, 149.5)


def around_the_middle(matrix: np.ndarray) -> np.ndarray:
    return CENTRED @ matrix @ np.linalg.inv(CENTRED)


def test_a_plain_resize_leaves_nothing() -> None:
    found = misalignment(PLAIN, HR, LR)
    assert (*found.shift, found.rotation, *found.scale, found.perspective, found.mean, found.largest) == (0,) * 8


def test_a_rotation_is_that_and_nothing_else() -> None:
    angle = np.radians(0.2)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    found = misalignment(around_the_middle(turn) @ PLAIN, HR, LR)
    assert found.rotation == pytest.approx(0.2, abs=1e-4)
    assert (*found.shift, *found.scale, found.perspective) == pytest.approx((0,) * 5, abs=1e-3)
    assert found.largest == pytest.approx(250 * angle, rel=1e-3)


def test_a_stretch_is_given_across_and_down() -> None:
    found = misalignment(around_the_middle(np.diag([1.005, 0.99, 1])) @ PLAIN, HR, LR)
    assert found.scale == pytest.approx((0.5, -1), abs=1e-3)
    assert (*found.shift, found.rotation, found.perspective) == pytest.approx((0,) * 4, abs=1e-3)


def test_a_perspective_is_what_is_beyond_an_affine_transform() -> None:
    tilted = np.eye(3)
    tilted[2, 0] = 1e-4
    found = misalignment(around_the_middle(tilted) @ PLAIN, HR, LR)
    assert found.perspective == pytest.approx(200 * 250 * 1e-4 / (1 - 0.02), rel=0.01)
    assert (found.rotation, *found.scale) == pytest.approx((0,) * 3, abs=1e-2)


def test_another_scale_and_shift_are_in_lr_pixels() -> None:
    assert misalignment(translation(0.25, -1) @ scaling(0.25), (1600, 1200), LR).shift == (0.25, -1)
