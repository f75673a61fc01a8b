"""Find where one picture was cut out of another, to the pixel: by correlating the one as a template with the other."""

from __future__ import annotations

import math

import cv2
import numpy as np

from twimager.align.appearance import gaussian_blur
from twimager.compare.crop import unmirrored
from twimager.geometry import Matrix, Rect, frame_corners, mirroring, transform_points, translation
from twimager.image.pixels import Gray, frame_size, shrink
from twimager.image.warp import resample
from twimager.verify.overlay import correlation, local_contrast

# An alignment may be off by so much, in pixels and as a share of the frame, and still mean a shift by whole pixels.
SLACK = 2.0
SLACK_SHARE = 0.004
# Whole pixels are tried so far around where the alignment puts them, ...
REACH = 4
# ... on so many pixels a side at most, in the middle of what both show.
COMPARED_SIDE = 1024
# The pictures must correlate at whole pixels as well as they do where the alignment puts them: what their correlation
# lacks may be so much more.
NOT_WORSE, NEXT_TO_NOTHING = 1.05, 1e-6
SIGMA, RIM = 1.0, 4
# Correlating this well, a crop is cut from there beyond doubt, and nowhere better.
SAME = 0.9999
# A template is looked for in no more pixels than these, a second's work; a larger picture is shrunk for it, by whole
# numbers, and the best places then compared in full.
MOST_PIXELS = 16_000_000
# Shrunk to fewer pixels a side than this, a template says nothing.
LEAST_TEMPLATE = 8
# Of where a picture fits best into another, so many places are compared in full.
PLACES = 8
# A template with less contrast (standard deviation, in levels) fits everywhere.
MIN_CONTRAST = 1.0
# Cut out there, if the locally normalised pixels correlate so well. Of 740 crops with a shorter side of 20 to 120
# pixels, none fitted into another photograph by more than 0.42; of those with less than 64, by no more than 0.76.
# Where they were cut out, compressed (JPEG 80), nine in ten fit by 0.84 and more.
MIN_CORRELATION = 0.6
SMALL, SMALL_MIN_CORRELATION = 64, 0.8


def snap_to_whole_pixels(matrix: Matrix, first: Gray, second: Gray) -> Matrix:
    """Return the shift by whole pixels next to an alignment, or `matrix` itself if the pictures fit worse there.

    Parameters
    ----------
    matrix : (3, 3), takes pixels of the first picture to pixels of the second
    first, second : (h, w) uint8, of any two sizes
    """
    size = frame_size(first)
    plain = unmirrored(matrix, size)
    upright: Gray = first if plain is matrix else np.asarray(np.ascontiguousarray(first[:, ::-1]), np.uint8)
    corners = frame_corners(size)
    moved = transform_points(plain, corners) - corners
    middle = moved.mean(axis=0)
    if abs(moved - middle).max() > SLACK + SLACK_SHARE * max(size):
        return matrix
    x, y = _best_shift(upright, second, round(middle[0]), round(middle[1]))
    shift = translation(x, y)
    here, there = correlation_at(upright, second, plain), correlation_at(upright, second, shift)
    if 1 - there > (1 - here) * NOT_WORSE + NEXT_TO_NOTHING:
        return matrix
    return shift if plain is matrix else shift @ mirroring(size)


def correlation_at(first: Gray, second: Gray, matrix: Matrix) -> float:
    """Return the correlation of a picture with the part of another that it lies on, -1..1; over its middle.

    Both are blurred: interpolation blurs one of them, and would make it more similar to what compression has blurred.

    Parameters
    ----------
    first, second : (h, w) uint8, of any two sizes
    matrix : (3, 3), takes pixels of the first to pixels of the second
    """
    size = frame_size(first)
    middle = _middle(Rect(0, 0, *size))
    to_middle = translation(-middle.x, -middle.y)
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    shown = resample(second, to_middle @ back, middle[2:], cv2.BORDER_CONSTANT)
    frame = resample(np.full_like(second, 255), to_middle @ back, middle[2:], cv2.BORDER_CONSTANT)
    covered = cv2.erode((frame == 255).astype(np.uint8), np.ones((2 * RIM + 1,) * 2, np.uint8)) > 0
    if not covered.any():
        return 0.0
    pictures = (gaussian_blur(picture.astype(np.float32), SIGMA)[covered] for picture in (middle.cut(first), shown))
    return correlation(*pictures)


def _middle(area: Rect) -> Rect:
    width, height = min(area.width, COMPARED_SIDE), min(area.height, COMPARED_SIDE)
    return Rect(area.x + (area.width - width) // 2, area.y + (area.height - height) // 2, width, height)


def _coarser(gray: Gray, step: int) -> Gray:
    """Return a picture with so many times fewer pixels along each side; those that are too many are left out."""
    width, height = (side // step for side in frame_size(gray))
    return gray if step == 1 else shrink(gray[: height * step, : width * step], (width, height))


def _best_shift(first: Gray, second: Gray, x: int, y: int, reach: int = REACH) -> tuple[int, int]:
    """Return the shift by whole pixels, at most `reach` from (x, y), at which two pictures correlate best."""
    around = Rect(reach - x, reach - y, second.shape[1] - 2 * reach, second.shape[0] - 2 * reach)
    both = around.intersection(Rect(0, 0, *frame_size(first)))
    if both is None:
        return x, y
    part = _middle(both)
    window = Rect(part.x + x - reach, part.y + y - reach, part.width + 2 * reach, part.height + 2 * reach)
    similarity = cv2.matchTemplate(window.cut(second), part.cut(first), cv2.TM_CCOEFF_NORMED)
    down, right = np.unravel_index(int(np.argmax(similarity)), similarity.shape)
    return x + int(right) - reach, y + int(down) - reach


def match_template(small: Gray, large: Gray) -> Matrix | None:
    """Return the shift (3, 3) by whole pixels to where a picture was cut out of another; None if it was not.

    Parameters
    ----------
    small, large : (h, w) uint8
    """
    width, height = frame_size(small)
    if width > large.shape[1] or height > large.shape[0] or small.std() < MIN_CONTRAST:
        return None
    step = math.ceil(math.sqrt(large.size / MOST_PIXELS))
    if min(width, height) < LEAST_TEMPLATE * step:
        return None
    similarity = cv2.matchTemplate(_coarser(large, step), _coarser(small, step), cv2.TM_CCOEFF_NORMED)
    best, found = SMALL_MIN_CORRELATION if min(width, height) < SMALL else MIN_CORRELATION, None
    contrast = local_contrast(small)
    for coarse_x, coarse_y in _peaks(similarity, min(width, height) // (4 * step)):
        x, y = coarse_x, coarse_y
        if step > 1:
            x, y = _best_shift(small, large, coarse_x * step, coarse_y * step, REACH + step)
            x, y = min(max(x, 0), large.shape[1] - width), min(max(y, 0), large.shape[0] - height)
        value = correlation(local_contrast(Rect(x, y, width, height).cut(large)), contrast)
        if value > best:
            best, found = value, translation(x, y)
    return found


def _peaks(similarity: Gray, apart: int) -> list[tuple[int, int]]:
    """Return (x, y) of the highest values, no two of them so near to each other; those first."""
    left, peaks = similarity.copy(), []
    for _ in range(PLACES):
        y, x = (int(place) for place in np.unravel_index(int(np.argmax(left)), left.shape))
        if left[y, x] <= -1:
            break
        peaks.append((x, y))
        left[max(0, y - apart) : y + apart + 1, max(0, x - apart) : x + apart + 1] = -1
    return peaks
