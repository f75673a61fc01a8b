"""Draw two pictures side by side, and lines between their features that match."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Points, Size, resize_matrix, transform_points
from twimager.image.pixels import Pixels, frame_size, shrink, to_8_bit
from twimager.similarity.detectors import FeatureMatches

# Pictures are drawn no larger than this, and so far from each other.
LONGEST = 900
GAP = 12
# More lines than this would hide what they connect.
MOST_LINES = 80
# Positions are drawn to a sixteenth of a pixel.
FRACTION = 4


def draw_matches(first: Pixels, second: Pixels, matches: FeatureMatches, sizes: tuple[Size, Size]) -> NDArray[np.uint8]:
    """Return both pictures and the matches that agree, each in a colour of its own; (h, w, 3) uint8 BGR.

    Parameters
    ----------
    first, second : (h, w, 3), BGR, uint8 or uint16
    matches : of their features
    sizes : (width, height) of the copies in whose pixels the matches are
    """
    left, right = (_fitted(to_8_bit(pixels)) for pixels in (first, second))
    height = max(len(left), len(right))
    canvas = np.full((height, left.shape[1] + GAP + right.shape[1], 3), 255, np.uint8)
    tops = (height - len(left)) // 2, (height - len(right)) // 2
    canvas[tops[0] : tops[0] + len(left), : left.shape[1]] = left
    canvas[tops[1] : tops[1] + len(right), left.shape[1] + GAP :] = right
    drawn = np.flatnonzero(matches.inliers)
    drawn = drawn[np.linspace(0, len(drawn) - 1, min(len(drawn), MOST_LINES)).astype(int)]
    here = _placed(matches.first[drawn], sizes[0], left, (0, tops[0]))
    there = _placed(matches.second[drawn], sizes[1], right, (left.shape[1] + GAP, tops[1]))
    for number, (start, end) in enumerate(zip(here, there, strict=True)):
        color = _color(number)
        cv2.line(canvas, start, end, color, 1, cv2.LINE_AA, FRACTION)
        for point in (start, end):
            cv2.circle(canvas, point, 3 << FRACTION, color, 1, cv2.LINE_AA, FRACTION)
    return canvas


def _fitted(pixels: Pixels) -> Pixels:
    width, height = frame_size(pixels)
    ratio = LONGEST / max(width, height)
    return shrink(pixels, (max(1, round(width * ratio)), max(1, round(height * ratio)))) if ratio < 1 else pixels


def _placed(points: Points, size: Size, shown: Pixels, corner: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the positions on the canvas of points (n, 2) of a copy of `size`, in its sixteenths of a pixel."""
    placed = transform_points(resize_matrix(size, frame_size(shown)), points) + corner
    return [(round(x), round(y)) for x, y in placed * (1 << FRACTION)]


def _color(number: int) -> tuple[int, int, int]:
    """Return one of many colours that are easy to tell apart, as BGR."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1, 0.85, 0.95)
    return round(255 * blue), round(255 * green), round(255 * red)
