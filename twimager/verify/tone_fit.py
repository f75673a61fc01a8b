"""An HR in the tones of its LR, whatever differs elsewhere: tone curve, sharpness, vignette, robustly fitted."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Rect

# (h, w), or (h, w, 3) BGR, float32 in levels.
Picture = NDArray[np.float32]
# (k, h, w): k regressors at each pixel.
Regressors = NDArray[np.float32]

# Levels per unit of tone. A cubic alone does not follow a gamma of 0.5 into black; with the root it does.
TONE_UNIT = 64.0
# An LR may be blurrier or sharper by any mixture of the bands between these Gaussians, in pixels.
BANDS = (0.8, 1.6)
# What such a curve leaves is the same for all pixels of a level (posterised pictures, clipped ones): it is taken in
# steps of so many levels, and counts less of fewer pixels than this.
STEP, FEW = 4, 5.0
# Both pictures are denoised by a Gaussian first: what covers half of a grainy picture is no outlier else.
DENOISE = 1.0
# About so many pixels, evenly spread, are fitted by; of small pictures all.
ENOUGH_PIXELS = 2500
# The fit begins where squares of this side correlate: tones and vignettes do not change that, and of a picture of which
# 45 % are covered the rest alone is fitted. Contrast below so many levels is noise; below a correlation of 0.5 pixels
# have no weight, above 0.8 full weight. With less weight than LEAST_WEIGHT in the mean, all pixels have the same.
CORRELATED_SIDE, NOISE_CONTRAST, UNCORRELATED, CORRELATED, LEAST_WEIGHT = 9, 4.0, 0.5, 0.8, 0.02
# Tukey's biweight is 0 beyond so many standard deviations. Those are told by the smaller errors, up to this quantile,
# which in a normal distribution is at 0.524 standard deviations: more than half of the pixels may be outliers.
BIWEIGHT, QUANTILE, NORMAL_QUANTILE = 4.0, 0.4, 0.5244
LEAST_DEVIATION, ITERATIONS = 5.0, 5
# The weights are final once none changes by more.
SETTLED = 0.01
# A regressor of a lesser root mean square is none: those of flat pictures are rounding errors.
WEAK = 0.01
# A vignette's gain is no more extreme.
GAINS = 0.3, 3.0
# Relative to the strongest regressor; the vignette's keeps it from being extrapolated wildly into what is covered.
RIDGE, VIGNETTE_RIDGE = 1e-6, 1e-3


class ToneFit(NamedTuple):
    """How the tones of an LR come from those of its HR.

    Attributes
    ----------
    coefficients : (k,) of the regressors
    residual_curve : (256,) what is to be added to each fitted level
    mean : the HR's mean gray, in levels
    slope, level : of the tone curve at its middle: its gain, per TONE_UNIT, and its value in levels
    size : (width, height) of the pictures that were fitted
    """

    coefficients: NDArray[np.float32]
    residual_curve: NDArray[np.float32]
    mean: float
    slope: float
    level: float
    size: tuple[int, int]

    def apply(self, hr: Picture, part: Rect, size: tuple[int, int]) -> Picture:
        """Return part of an HR in the LR's tones, (h, w) in levels.

        `hr` is what lies in `part` of a picture of `size` (width, height), which may be larger than what was fitted.
        """
        scale = min(size) / min(self.size)
        regressors = _tones(hr, self.mean, scale)
        plain = self.coefficients[:-_VIGNETTE] @ regressors.reshape(len(regressors), -1)
        offset, gain = self._vignette(part, size)
        fitted = plain.reshape(hr.shape[:2]) + offset + gain * regressors[_TONE]
        return np.asarray(fitted + cv2.LUT(whole_levels(fitted), self.residual_curve), np.float32)

    def without_vignette(self, lr: Picture) -> Picture:
        """Return an LR, (h, w) of any size, with the same gain and offset everywhere."""
        size = lr.shape[1], lr.shape[0]
        offset, gain = self._vignette(Rect(0, 0, *size), size)
        steep = self.slope if abs(self.slope) > WEAK else 1.0
        gain = np.clip(1 + gain / steep, *GAINS)
        return np.asarray((lr - self.level - offset) / gain + self.level, np.float32)

    def _vignette(self, part: Rect, size: tuple[int, int]) -> tuple[Picture, Picture]:
        """Return what is added to the tones, and to their gain, in part of a picture of `size`, (h, w) each."""
        x, y = _places(part, size)
        offset, gain = (
            b * y + e * (y * y - 1 / 3) + (a * x + c * (x * x - 1 / 3)) + d * y * x
            for a, b, c, d, e in np.split(self.coefficients[-_VIGNETTE:], 2)
        )
        return offset, gain


def fit_tones(hr: Picture, lr: Picture) -> ToneFit:
    """Fit the tones of an HR to those of an LR on the same grid.

    The model is a cubic and the root of the HR's gray (and two tints, if it has three channels: an LR may be of one),
    more or less of two bands of detail, and a gain and an offset that are quadratic in x and y. Iteratively reweighted
    least squares with Tukey's biweight, begun where the two correlate locally.

    Parameters
    ----------
    hr : (h, w) or (h, w, 3) float32, in levels
    lr : (h, w) float32, in levels

    Examples
    --------
    >>> hr = np.linspace(0, 255, 1600, dtype=np.float32).reshape(40, 40)
    >>> tones = fit_tones(hr, 0.5 * hr + 20)
    >>> bool(abs(tones.apply(hr, Rect(0, 0, 40, 40), (40, 40)) - (0.5 * hr + 20)).max() < 0.5)
    True
    """
    gray, size = _gray(hr), (lr.shape[1], lr.shape[0])
    mean = float(gray.mean())
    step = max(1, round((lr.size / ENOUGH_PIXELS) ** 0.5))
    tones = _tones(blurred(hr, DENOISE), mean, 1.0, step=step)
    terms = np.stack([term[::step, ::step] for term in _quadratic_terms(size)])
    rows = np.concatenate([tones, terms, tones[_TONE] * terms]).reshape(len(tones) + _VIGNETTE, -1)
    wanted, weights = (p[::step, ::step].ravel() for p in (blurred(lr, DENOISE), _first_weights(gray, lr)))
    ridge = np.full(len(rows), RIDGE)
    ridge[-_VIGNETTE:] = VIGNETTE_RIDGE
    coefficients = np.zeros(len(rows), np.float32)
    for _ in range(ITERATIONS):
        weighted = rows * weights
        gram = (weighted @ rows.T).astype(np.float64)
        length = np.sqrt(gram.diagonal() + WEAK**2 * weights.sum() + 1e-9)
        normal = gram / np.outer(length, length) + np.diag(ridge)
        coefficients = (np.linalg.solve(normal, weighted @ wanted / length) / length).astype(np.float32)
        error = wanted - coefficients @ rows
        before = weights
        deviation = max(low_quantile(abs(error)) / NORMAL_QUANTILE, LEAST_DEVIATION)
        weights = np.maximum(1 - (error / (BIWEIGHT * deviation)) ** 2, 0) ** 2
        if abs(weights - before).max() < SETTLED:
            break
    fitted = coefficients @ rows
    curve, tone = coefficients[:_CURVE] @ rows[:_CURVE], rows[_TONE]
    middle, level = (float(np.average(values, weights=weights)) for values in (tone, curve))
    slope = float(np.average((tone - middle) * (curve - level), weights=weights))
    slope /= max(float(np.average((tone - middle) ** 2, weights=weights)), WEAK**2)
    return ToneFit(coefficients, _residual_curve(fitted, wanted - fitted, weights), mean, slope, level, size)


# Gain and offset have five terms each: x, y, x * x, x * y, y * y. The tone curve's come first, the tone itself third.
_VIGNETTE, _CURVE, _TONE = 10, 5, 2


def _tones(hr: Picture, mean: float, scale: float, *, step: int = 1) -> Regressors:
    """Return what an LR's tones may be made of, but for its vignette, at every `step`-th pixel."""
    gray = _gray(hr)
    bands = [gray, *(blurred(gray, sigma * scale) for sigma in BANDS)]
    hr, gray, fine, coarse = (picture[::step, ::step] for picture in (hr, *bands))
    tone = (gray - mean) / TONE_UNIT
    tints = [(hr[..., channel] - gray) / TONE_UNIT for channel in (0, 2)] if hr.ndim > gray.ndim else []
    root = np.sqrt(np.maximum(gray, 0) / TONE_UNIT)
    curve = [np.ones_like(tone), root, tone, tone * tone, tone * tone * tone, gray - fine, fine - coarse]
    return np.stack([*curve, *tints]).astype(np.float32, copy=False)


def _quadratic_terms(size: tuple[int, int]) -> list[Picture]:
    """Return the terms, (h, w) each, of what is quadratic in x and y."""
    x, y = _places(Rect(0, 0, *size), size)
    return [np.broadcast_to(term, size[::-1]) for term in (x, y, x * x - 1 / 3, x * y, y * y - 1 / 3)]


def _places(part: Rect, size: tuple[int, int]) -> tuple[Picture, Picture]:
    """Return x, (w,), and y, (h, 1), of the pixels of part of a picture of `size`, whose edges are at -1 and 1."""
    x, y = (
        ((2 * (start + np.arange(length)) + 1) / whole - 1).astype(np.float32)
        for start, length, whole in zip(part[:2], part[2:], size, strict=True)
    )
    return x, y[:, None]


def _residual_curve(fitted: Picture, error: Picture, weights: Picture) -> NDArray[np.float32]:
    """Return the weighted mean error of pixels of about the same fitted level, for each level."""
    steps = whole_levels(fitted).ravel() // STEP
    total, summed = (np.bincount(steps, w, 256 // STEP) for w in (weights, weights * error))
    middles = np.arange(STEP / 2 - 0.5, 256, STEP)
    return np.interp(np.arange(256), middles, summed / (total + FEW)).astype(np.float32)


def whole_levels(fitted: Picture) -> NDArray[np.uint8]:
    """Return levels rounded, and those beyond 0 to 255 clipped."""
    return np.asarray(cv2.convertScaleAbs(np.maximum(fitted, 0)), np.uint8)


def _first_weights(gray: Picture, lr: Picture) -> Picture:
    """Return how well two pictures correlate locally, as weights from 0 to 1."""
    square = (CORRELATED_SIDE, CORRELATED_SIDE)
    mean_a, mean_b = cv2.blur(gray, square), cv2.blur(lr, square)
    var_a, var_b, covariance = (
        cv2.blur(product, square) - means
        for product, means in ((gray * gray, mean_a * mean_a), (lr * lr, mean_b * mean_b), (gray * lr, mean_a * mean_b))
    )
    correlation = covariance / np.sqrt(np.maximum(var_a, 0) * np.maximum(var_b, 0) + NOISE_CONTRAST**2)
    weights = np.clip((correlation - UNCORRELATED) / (CORRELATED - UNCORRELATED), 0, 1) ** 2
    return np.asarray(weights if weights.mean() >= LEAST_WEIGHT else np.ones_like(weights), np.float32)


def _gray(picture: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.float32) if picture.ndim > 2 else picture


def low_quantile(errors: NDArray[np.float32], quantile: float = QUANTILE) -> float:
    """Return a quantile of errors: larger ones, in up to half of the picture, do not change the usual one."""
    # np.quantile takes four times as long, of arrays as small as these.
    number = int(quantile * errors.size)
    return float(np.partition(errors, number, axis=None)[number])


def blurred(picture: Picture, sigma: float) -> Picture:
    """Return a picture blurred by a Gaussian."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
