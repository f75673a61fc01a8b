"""The scores are those of the reference implementations."""

import cv2
import numpy as np
import pytest
from skimage.color import deltaE_cie76, rgb2lab
from skimage.metrics import mean_squared_error, structural_similarity

from tests.support.pictures import cat, picture
from twimager.similarity import ssim
from twimager.verify.color import color_difference


def gray(name: str) -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture(name), cv2.COLOR_BGR2GRAY)[:281, :400])


@pytest.mark.parametrize("change", ["equal", "blurred", "noisy", "other"])
def test_ssim_is_scikit_images(change: str) -> None:
    a = gray("P1040518")
    noise = np.random.default_rng(0).normal(0, 12, a.shape)
    b = {
        "equal": a, "blurred": cv2.GaussianBlur(a, (0, 0), 2), "other": gray("P1040102"),
        "noisy": np.clip(a + noise, 0, 255).astype(np.uint8),
    }[change]  # fmt: skip
    expected = structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert ssim.ssim(a, b) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_what_is_smaller_than_its_window() -> None:
    a = gray("P1040518")[:8, :8]
    assert ssim.ssim(a, a) == pytest.approx(1)
    assert ssim.ssim(a, 255 - a) < 0.5


def test_differences_are_what_they_are_called() -> None:
    a, b = cat()[:200, :300], picture("P1040102")[:200, :300]
    assert ssim.mse(a, b) == pytest.approx(mean_squared_error(a, b))
    assert ssim.l2_norm(a, b) == pytest.approx(np.sqrt(mean_squared_error(a, b) * a.size))
    assert ssim.mse(a, a) == ssim.l2_norm(a, a) == 0


def test_the_histogram_depends_on_colours_and_not_on_positions() -> None:
    a = cat()
    assert ssim.histogram_correlation(a, a[::-1, ::-1]) == pytest.approx(1)
    assert ssim.histogram_correlation(a, a.astype(np.uint16) * 257) == pytest.approx(1)
    assert ssim.histogram_correlation(a, a[:, :, ::-1]) < 0.9
    rows = [np.histogramdd(p.reshape(-1, 3) // 32, [np.arange(9)] * 3)[0].ravel() for p in (a, picture("P1040102"))]
    expected = np.corrcoef(rows)[0, 1]
    assert ssim.histogram_correlation(a, picture("P1040102")) == pytest.approx(expected, abs=1e-3)


def test_the_colour_difference_is_cie_1976() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (2, 24, 30, 3), np.uint8)
    labs = [rgb2lab(p[..., ::-1]) for p in colors]
    assert color_difference(*colors) == pytest.approx(deltaE_cie76(*labs).mean(), rel=2e-3)


def test_colours_are_local_averages() -> None:
    a = cat()
    rng = np.random.default_rng(0)
    noisy = np.clip(cv2.GaussianBlur(a, (0, 0), 1.5) + rng.normal(0, 8, a.shape), 0, 255).astype(np.uint8)
    assert color_difference(noisy, a) < 1.5
    hsv = cv2.cvtColor(a, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + 60) % 180
    assert color_difference(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), a) > 6


def test_a_gain_takes_the_brightness_out_and_no_more() -> None:
    a = cat()
    dimmed = (a * 0.6).astype(np.uint8)
    assert color_difference(dimmed, a) > 10
    assert color_difference(dimmed, a, gain=True) < 1
    reddish = (a * (0.6, 0.6, 1.0)).astype(np.uint8)
    assert color_difference(reddish, a, gain=True) > 8


def test_depth_makes_no_difference() -> None:
    a = cat()
    assert color_difference(a.astype(np.uint16) * 257, a) == pytest.approx(0, abs=1e-3)
