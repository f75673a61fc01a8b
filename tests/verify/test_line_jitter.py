"""Lines that are each shifted are found as such, and nothing that has moved is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.verify.test_agreement import GATE, compressed, noisy, pixels, scene
from twimager.verify.agreement import agreement
from twimager.verify.line_jitter import is_jitter, line_shifts, shifted, with_line_jitter

Picture = NDArray[np.float32]
SIDE, WIDTH = 240, 320
WHOLE = np.ones(WIDTH, bool)
SEEDS = range(3)


def jitter(seed: int, amount: float = 2.0, smooth: float = 6.0) -> NDArray[np.float64]:
    """Return shifts with this standard deviation, in pixels, smooth over so many lines, and a skew at the top."""
    white = np.random.default_rng(seed).normal(0, 1, (SIDE, 1))
    rough = cv2.GaussianBlur(white, (1, 0), sigmaX=1e-3, sigmaY=smooth)[:, 0]
    return np.asarray(rough / rough.std() * amount + np.interp(np.arange(SIDE), (0, 12), (4 * amount, 0)))


def taped(picture: Picture, shifts: NDArray[np.float64]) -> NDArray[np.uint8]:
    return pixels(compressed(noisy(shifted(picture, shifts), 5), 80))


def corrected(hr: Picture, lr: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    return with_line_jitter(pixels(hr), hr, lr)


@pytest.mark.parametrize(("amount", "smooth"), [(1, 6), (2, 6), (1, 2), (2, 12)])
def test_the_shift_of_each_line_is_found(amount: float, smooth: float) -> None:
    for seed in SEEDS:
        hr, shifts = scene(seed, SIDE), jitter(seed, amount, smooth)
        assert abs(line_shifts(hr, taped(hr, shifts), WHOLE) - shifts).mean() < 0.15 * amount


@pytest.mark.parametrize("seed", SEEDS)
def test_a_jittery_picture_agrees_once_its_lines_are_shifted(seed: int) -> None:
    hr = scene(seed, SIDE)
    lr = taped(hr, jitter(seed))
    assert agreement(pixels(hr), lr).contradicted > GATE
    better = corrected(hr, lr)
    assert better is not None
    assert agreement(better, lr).contradicted == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("start", [40, 140, 240])
def test_what_has_moved_in_a_jittery_picture_still_contradicts(seed: int, start: int) -> None:
    """Before a plain ground, and in the middle too, where it is in both halves."""
    hr, lr, thing = scene(seed, SIDE), scene(seed, SIDE), scene(seed + 50, 2 * SIDE)[:40, :40]
    for picture, x in ((hr, start), (lr, start + 12)):
        picture[90:150, :] = 128
        picture[100:140, x : x + 40] = thing
    better = corrected(hr, taped(lr, jitter(seed)))
    assert better is None or agreement(better, taped(lr, jitter(seed))).contradicted > GATE


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("width", [40, 200])
def test_an_object_that_moved_is_no_jitter(seed: int, plain: bool, width: int) -> None:
    """Not even in the middle of a plain ground, where one shift a line would explain it."""
    hr, thing = scene(seed, SIDE), scene(seed + 50, 2 * SIDE)[:60, :width]
    if plain:
        hr[:] = 128
    lr = hr.copy()
    for picture, x in ((hr, 160 - width // 2), (lr, 164 - width // 2)):
        picture[90:150, x : x + width] = thing
    assert corrected(hr, taped(lr, np.zeros(SIDE))) is None


@pytest.mark.slow
def test_the_same_another_and_a_flat_picture_have_no_jitter() -> None:
    for seed in SEEDS:
        hr = scene(seed, SIDE)
        assert corrected(hr, taped(hr, np.zeros(SIDE))) is None
        assert corrected(hr, taped(scene(seed + 20, SIDE), np.zeros(SIDE))) is None
        assert corrected(np.full_like(hr, 128), taped(hr, jitter(seed))) is None


def test_shear_and_bend_are_no_jitter() -> None:
    at = np.linspace(-1, 1, SIDE)
    assert is_jitter(jitter(0), jitter(0))
    assert not is_jitter(jitter(0), jitter(1))
    assert not is_jitter(9 * at + 4 * at**3, 9 * at + 4 * at**3)
    assert not is_jitter(3 * np.sin(3 * at), 3 * np.sin(3 * at))
