"""The agreement map: where an LR shows what its registered HR shows, and where something else.

What a fit of the HR to the LR's tones leaves unexplained is compared, pixel by pixel, with what noise, misregistration
and local contrast may leave in this very pair; regions in which it is many times as much differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Rect
from twimager.image.pixels import frame_size
from twimager.verify.tone_fit import Picture, ToneFit, blurred, fit_tones, low_quantile, whole_levels

Mask = NDArray[np.bool_]
# (h, w), or (h, w, 3) BGR.
Pixels = NDArray[np.uint8]

# The map's shorter side. On one of 320 regions are hardly more precise (inserted pictures: intersection over union of
# 0.96 instead of 0.95), and it takes four times as long.
MAP_SIDE = 160
# Shares in one place are of a picture of at least this aspect ratio.
USUAL_ASPECT = 4 / 3
# Gaussians, in pixels of the map: errors are denoised by the first, their squares averaged by the second. The
# third is the side of the squares of which the local contrast is taken.
DENOISE, AVERAGE, CONTRAST_SIDE = 1.0, 1.5, 13
# What is no difference, as the standard deviation of the error: misregistration by so many pixels, so large a share of
# the local contrast, so many levels. Film that weaves, sharpening, local tone mapping stay below.
SHIFT_ALLOWED, CONTRAST_ALLOWED, LEVELS_ALLOWED = 0.5, 0.25, 2.0
# A part of the picture is misregistered where the error is more than misregistration by so many times less leaves.
STRICTER = 8.0
# Noise is no more than so many times the variance of the LR's own finest detail, what the denoising takes away: up to
# 3.2 in 1,000 true pairs, all but 5 of them film grain below 2.5; of unrelated pictures, where all of the LR is error,
# 10 to 26 in the median.
MOST_NOISE = 2.5
# Nor is it, with LEVELS_ALLOWED, more than so many times that of the cleanest tenth: where both pictures are covered by
# watermarks it would be 15 to 22 times as much. Nine in ten of film are below 5.5.
CLEANEST, MOST_UNEVEN = 0.1, 5.0
# Of white noise, what `DENOISE` takes away has this share of the variance. So much of that, in squared levels, is no
# noise: rounding, and what a fitted blur takes from the HR as well.
FINEST_SHARE, ROUNDING = 0.76, 1.0
# A region has squared errors of more than LOW times what is allowed, and of more than HIGH in places: of 1,040
# true pairs (crops, casts, noise, JPEG, a clip) 1,035 have none.
LOW, HIGH = 4.0, 12.0
# An error that is less than this share of the largest in a square of that side is but the latter's blur.
BLUR_SHARE, BLUR_SIDE = 0.15, 7
# Gaps of up to twice so many pixels are closed, and holes of less than this share of the map. A region has at least so
# many pixels, so many of them above HIGH.
GAP, HOLE, LEAST_AREA, LEAST_HIGH = 4, 0.005, 16, 4
# The LR lacks what the HR shows where its details have less than so many times the HR's variance, and those of the HR
# this contrast (levels): dust, scratches and logos add to what the HR shows. Details are what a Gaussian high pass
# leaves, averaged (pixels); what is thinner than 2 * THIN + 1 of them is left out.
ADDED, DETAIL_CONTRAST = 3.0, 3.0
FINE, HIGH_PASS, DETAIL_AVERAGE, THIN = 0.8, 4.0, 2.0, 3
# Thin parts count if the LR lacks a larger share than this of all that the HR shows, as a page lacks the text of
# another one: at least 0.07 there, be it faded; of 150 pairs of dusty film and other tones 0.06 at most.
MISSING = 0.065
# What differs in one place of more than this share of the map is no dust and no logo, whatever the HR shows there;
# what is thinner than 2 * THICK + 1 pixels is left out. Of 77 pairs of scratched and dusty film none has over 0.026.
THICK, LARGE = 6, 0.035
# Contradictions no further apart than twice so many pixels are in one place: what has moved is, dust is everywhere.
NEAR = 14


class Label(IntEnum):
    """What a pixel of an agreement map says."""

    AGREE = 0
    DIFFER = 1
    NOTHING_TO_SEE = 2


@dataclass(frozen=True, eq=False)
class Agreement:
    """Where an LR and its registered HR show the same.

    Attributes
    ----------
    labels : (h, w) uint8 of `Label`, on the map: the pictures' grid, shrunk to a shorter side of MAP_SIDE at most
    contradicts : (h, w) bool, of what differs, where the LR lacks what the HR shows, and what is large; no thin parts,
        unless they are much of all that the HR shows
    fitted, lr : (h, w) uint8, the HR in the LR's tones, and the LR without noise and what differs, on the map
    misregistered : (h, w) bool, where a smaller error of registration than is allowed would show
    tones : how the LR's tones come from the HR's
    noise : variance, in squared levels, that noise leaves of errors on the map, once denoised
    grain : variance, in squared levels, of the noise that the LR has on the map, and the HR has not
    """

    labels: NDArray[np.uint8]
    contradicts: Mask
    fitted: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    misregistered: Mask
    tones: ToneFit
    noise: float
    grain: float

    @property
    def differs(self) -> Mask:
        """Where the LR shows something else: another picture, captions, logos, dust, (h, w)."""
        return np.asarray(self.labels == Label.DIFFER)

    @property
    def agreed(self) -> float:
        """The share (0..1) of the picture in which both show the same."""
        return self._share(Label.AGREE)

    @property
    def different(self) -> float:
        """The share (0..1) in which the LR shows something else."""
        return self._share(Label.DIFFER)

    @property
    def unjudged(self) -> float:
        """The share (0..1) in which neither shows anything above the noise."""
        return self._share(Label.NOTHING_TO_SEE)

    @property
    def contradicted(self) -> float:
        """The share (0..1), in one place, in which the LR lacks what the HR shows: it is of another moment."""
        if not self.contradicts.any():
            return 0.0
        near = cv2.dilate(self.contradicts.astype(np.uint8), np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8))
        _, places = cv2.connectedComponents(near)
        # What is as high in a square picture is no larger a share of it.
        size = max(self.contradicts.size, min(self.contradicts.shape) ** 2 * USUAL_ASPECT)
        return float(np.bincount(places[self.contradicts]).max() / size)

    def _share(self, label: Label) -> float:
        return float((self.labels == label).mean())


def agreement(hr: Pixels, lr: Pixels, valid: Mask | None = None) -> Agreement:
    """Return where an LR shows what its registered HR shows.

    With F the HR in the LR's tones, E = LR - F, both denoised, and <> local averages, a pixel differs where

        <E^2>  >  LOW * (noise + SHIFT_ALLOWED^2 <|grad|^2> + CONTRAST_ALLOWED^2 var + LEVELS_ALLOWED^2).

    The noise is the 0.4 quantile of <E^2>, less what the other terms allow: what this pair shows wherever it agrees;
    but no more than MOST_NOISE allows by the LR's finest detail, in which most of the noise is, and MOST_UNEVEN by the
    cleanest tenth of the picture. Gradient and local variance are the lesser of the two pictures': edges and contrast
    that only one of them has allow no error.

    Measured on registered pairs. Of 1,040 true ones (crops, casts, noise, JPEG 25 to 95, frames of a clip) none differs
    in more than 0.9 %, and none is contradicted anywhere; of 90 with a logo one is in more than 0.6 %, of 154 with
    grain of 10 to 20 levels, dust and scratches 8. All of 280 pairs of frames of a clip that show another moment
    are, in 0.7 % and more. Of pictures of which 17 to 45 % are covered, the intersection over union of what differs
    and what is covered is 0.97 in the median, and 0.8 % of the rest is lost.

    On synthetic pairs of a height of 160 to 2,000: no false alarm for a gamma of 0.5 or 2.2, a vignette of 50 %, white
    noise of 20 levels, JPEG 20, blur, sharpening or 0.3 pixels of misregistration (of 64: in less than 0.6 %, none
    contradicted); no miss, of 64 either, of an object of an eighth of the height that moved by its width.

    Parameters
    ----------
    hr : (h, w) uint8, the HR on the LR's grid; or (h, w, 3) BGR, where the LR may be tinted or of one channel
    lr : (h, w) uint8
    valid : (h, w), the pixels that count: elsewhere there is nothing to see; None: all
    """
    size = frame_size(lr)
    shrunk = max(1.0, min(size) / MAP_SIDE)
    grid = (max(1, round(size[0] / shrunk)), max(1, round(size[1] / shrunk)))
    source, reference = (cv2.resize(p, grid, interpolation=cv2.INTER_AREA).astype(np.float32) for p in (hr, lr))
    tones = fit_tones(source, reference)
    fitted = tones.apply(source, Rect(0, 0, *grid), grid)
    error, allowed, contrast = error_and_allowed(fitted, reference)
    finest = low_quantile(_finest_detail(reference)[::2, ::2])
    noise = _noise(np.maximum(error - allowed / LOW, 0)[::2, ::2], finest)
    floor = noise + LEVELS_ALLOWED**2
    pixels, regions = _regions(error / (allowed + floor))
    if valid is not None:
        known = cv2.resize(valid.astype(np.uint8), grid, interpolation=cv2.INTER_NEAREST) > 0
        known = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        pixels, regions, contrast = pixels & known, regions & known, contrast * known
    labels = np.where(regions, Label.DIFFER, np.where(contrast > floor, Label.AGREE, Label.NOTHING_TO_SEE))
    contradicts = _contradicts(fitted, reference, pixels)
    # The Wiener filter: of the error, what noise does not account for.
    signal = np.where(regions, 0, np.maximum(1 - (noise + LEVELS_ALLOWED**2) / np.maximum(error, 1e-6), 0))
    cleaned = fitted + signal * (reference - fitted)
    misregistered = error > LOW * (allowed / STRICTER**2 + floor)
    return Agreement(
        labels.astype(np.uint8), contradicts, whole_levels(fitted), whole_levels(cleaned), misregistered, tones, noise,
        _grain(fitted, finest),
    )  # fmt: skip


def error_and_allowed(fitted: Picture, lr: Picture) -> tuple[Picture, Picture, Picture]:
    """Return the squared error, what misregistration and local contrast allow of it, and the greater local variance.

    All (h, w), in squared levels, as `fitted` and `lr` are (h, w) in levels.
    """
    both = [blurred(picture, DENOISE) for picture in (fitted, lr)]
    error = blurred((both[1] - both[0]) ** 2, AVERAGE)
    gradients = [blurred(_squared_gradient(picture), AVERAGE) for picture in both]
    square = (CONTRAST_SIDE, CONTRAST_SIDE)
    contrasts = [np.maximum(cv2.sqrBoxFilter(p, -1, square) - cv2.blur(p, square) ** 2, 0) for p in both]
    allowed = SHIFT_ALLOWED**2 * np.minimum(*gradients) + CONTRAST_ALLOWED**2 * np.minimum(*contrasts)
    return error, np.asarray(allowed, np.float32), np.asarray(np.maximum(*contrasts), np.float32)


def _noise(error: Picture, finest: float) -> float:
    """Return the variance of the noise: what errors are where nothing differs, as far as that may be noise.

    `finest` is the variance of the LR's finest detail.
    """
    floor = LEVELS_ALLOWED**2
    usual, least = low_quantile(error), low_quantile(error, CLEANEST)
    return min(usual, MOST_UNEVEN * (least + floor) - floor, MOST_NOISE * finest)


def _grain(fitted: Picture, finest: float) -> float:
    """Return the variance of the noise of an LR: by how much it has more of the finest detail than the HR."""
    return max((finest - low_quantile(_finest_detail(fitted)[::2, ::2])) / FINEST_SHARE - ROUNDING, 0.0)


def _finest_detail(picture: Picture) -> Picture:
    """Return the local variance of what `DENOISE` takes away."""
    return blurred((picture - blurred(picture, DENOISE)) ** 2, AVERAGE)


def _squared_gradient(picture: Picture) -> Picture:
    right, down = (cv2.Sobel(picture, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    return np.asarray(right * right + down * down, np.float32)


def _regions(unexplained: Picture) -> tuple[Mask, Mask]:
    """Return the pixels that differ, and the regions that they are once gaps are closed."""
    if not (unexplained > HIGH).any():
        return (nowhere := np.zeros(unexplained.shape, bool)), nowhere
    largest = cv2.dilate(unexplained, np.ones((BLUR_SIDE, BLUR_SIDE), np.uint8))
    pixels = (unexplained > LOW) & (unexplained > BLUR_SHARE * largest)
    closed = _without_holes(_morphed(pixels, cv2.MORPH_CLOSE, GAP))
    count, numbers, statistics, _ = cv2.connectedComponentsWithStats(closed.astype(np.uint8), connectivity=4)
    kept = np.bincount(numbers[unexplained > HIGH], minlength=count) >= LEAST_HIGH
    kept &= statistics[:, cv2.CC_STAT_AREA] >= LEAST_AREA
    kept[0] = False
    return pixels & kept[numbers], kept[numbers]


def _without_holes(regions: Mask) -> Mask:
    """Return regions with small holes filled, in which unlike pictures are alike by chance."""
    _, numbers, statistics, _ = cv2.connectedComponentsWithStats((~regions).astype(np.uint8), connectivity=4)
    small = statistics[:, cv2.CC_STAT_AREA] < HOLE * regions.size
    return np.asarray(regions | small[numbers])


def _contradicts(fitted: Picture, lr: Picture, differs: Mask) -> Mask:
    """Return where of what differs the LR lacks what the HR shows, and what is too large for dust and logos."""
    if not differs.any():
        return differs
    shown, seen = (_details(picture) for picture in (fitted, lr))
    visible = shown > DETAIL_CONTRAST**2
    lacks = differs & (seen < ADDED * shown) & visible
    if lacks.sum() <= MISSING * visible.sum():
        lacks = _morphed(lacks, cv2.MORPH_OPEN, THIN)
    _, numbers, statistics, _ = cv2.connectedComponentsWithStats(
        _morphed(differs, cv2.MORPH_OPEN, THICK).astype(np.uint8), connectivity=4
    )
    large = statistics[:, cv2.CC_STAT_AREA] > LARGE * differs.size
    large[0] = False
    return np.asarray(lacks | large[numbers])


def _details(picture: Picture) -> Picture:
    """Return the local variance of a picture's details."""
    fine = blurred(picture, FINE)
    return blurred((fine - blurred(fine, HIGH_PASS)) ** 2, DETAIL_AVERAGE)


def _morphed(mask: Mask, operation: int, radius: int) -> Mask:
    """Return a mask opened or closed by a disc; beyond the frame it goes on as at its edge."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    rim = radius + 1
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), rim, rim, rim, rim, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.morphologyEx(padded, operation, disc)[rim:-rim, rim:-rim], bool)
