"""Colours are carried over, in every way and depth."""

import cv2
import numpy as np
import pytest

from tests.support.pictures import cat
from twimager.image.colors import transfer_color
from twimager.options import ColorTransfer


def faded(pixels: np.ndarray) -> np.ndarray:
    """Another gain and gamma in each channel, as the years leave a print."""
    unit = (pixels / np.iinfo(pixels.dtype).max) ** [1.3, 0.9, 0.8] * [0.7, 0.85, 0.95] + [0.1, 0.05, 0.02]
    return np.clip(np.rint(unit * 255), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("how", list(ColorTransfer))
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_faded_colours_are_carried_over(how: ColorTransfer, depth: type) -> None:
    hr = cat().astype(depth) * (257 if depth == np.uint16 else 1)
    lr = faded(cat())
    carried = transfer_color(hr, hr, lr, how)
    assert carried.dtype == depth
    error = np.abs(carried / np.iinfo(depth).max * 255 - lr).mean()
    assert error < np.abs(cat().astype(int) - lr).mean() / 4


def test_the_histogram_follows_any_tone_curve() -> None:
    carried = transfer_color(cat(), cat(), faded(cat()), ColorTransfer.HISTOGRAM)
    assert np.abs(carried.astype(int) - faded(cat())).mean() < 0.6


def test_16_bit_gradients_stay_smooth() -> None:
    ramp = np.tile(np.arange(20000, 30000, dtype=np.uint16)[None, :, None], (4, 1, 3))
    for how in ColorTransfer:
        carried = transfer_color(ramp, ramp, (ramp // 2), how)
        assert len(np.unique(carried[0, :, 0])) > 4000, how


def test_color_transfer_gives_the_hr_the_mean_and_standard_deviation_of_the_lr() -> None:
    hr = cat()
    lr = np.clip(hr * [0.6, 0.8, 0.9] + [30, 10, 5], 0, 255).astype(np.uint8)
    carried = transfer_color(hr, hr, lr, ColorTransfer.PLAIN)
    for moment, expected in zip(cv2.meanStdDev(carried), cv2.meanStdDev(lr), strict=True):
        assert moment == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("side", ["hr", "lr", "both"])
def test_color_transfer_of_a_flat_channel(side: str) -> None:
    hr, lr = cat(), cat() // 2
    for pixels in [hr] * (side != "lr") + [lr] * (side != "hr"):
        pixels[..., 0] = 90
    carried = transfer_color(hr, hr, lr, ColorTransfer.PLAIN)
    assert np.isfinite(carried).all()
    assert carried[..., 0].mean() == pytest.approx(lr[..., 0].mean(), abs=1)
    assert carried[..., 1].mean() == pytest.approx(lr[..., 1].mean(), abs=1)


def test_color_transfer_between_depths() -> None:
    deep = cat().astype(np.uint16) * 257
    assert np.abs(transfer_color(deep, deep, cat() // 2, ColorTransfer.PLAIN) / 257 - cat() / 2).mean() < 1
    assert np.abs(transfer_color(cat(), cat(), deep, ColorTransfer.PLAIN).astype(int) - cat()).max() <= 1


def test_color_transfer_keeps_gray_gray() -> None:
    gray = cv2.cvtColor(cv2.cvtColor(cat(), cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    carried = transfer_color(gray, gray, gray // 2, ColorTransfer.PLAIN)
    assert (carried == carried[..., :1]).all()
