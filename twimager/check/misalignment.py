"""How far an HR lies from where its plain resize would lie on its LR."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from twimager.geometry import Matrix, Points, Size, frame_corners, resize_matrix, transform_points

# Points along a side of the frame at which displacements are measured.
STEPS = 9


class Misalignment(NamedTuple):
    """What takes the HR's plain resize onto the LR, in LR pixels.

    Attributes
    ----------
    shift : (x, y), the mean displacement over the frame: how far to the right and down the LR shows what the HR does
    rotation : in degrees, clockwise
    scale : (across, down), by how many percent the LR shows it larger
    perspective : how far it takes a point of the frame at most, beyond an affine transform
    mean, largest : the displacement's length over the frame
    """

    shift: tuple[float, float]
    rotation: float
    scale: tuple[float, float]
    perspective: float
    mean: float
    largest: float


def misalignment(matrix: Matrix, hr_size: Size, lr_size: Size) -> Misalignment:
    """Return how far a matrix is from that of a plain resize.

    Parameters
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels, both of the files' frames
    hr_size, lr_size : (width, height)

    Examples
    --------
    >>> from twimager.check.misalignment import misalignment
    >>> from twimager.geometry import scaling, translation
    >>> found = misalignment(translation(3, -4) @ scaling(0.5), (640, 480), (320, 240))
    >>> found.shift, found.rotation, found.scale, found.mean
    ((3.0, -4.0), 0.0, (0.0, 0.0), 5.0)
    """
    left = np.asarray(matrix @ np.linalg.inv(resize_matrix(hr_size, lr_size)), np.float64)
    points = _points(lr_size)
    moved = transform_points(left, points)
    lengths = np.linalg.norm(moved - points, axis=1)
    middle = (np.array(lr_size) - 1) / 2
    ahead, behind = (transform_points(left, middle + sign * np.eye(2)) for sign in (0.5, -0.5))
    (right_x, right_y), (down_x, down_y) = ahead - behind
    affine = transform_points(left, middle[None]) + (points - middle) @ (ahead - behind)
    x, y = (moved - points).mean(axis=0)
    return Misalignment(
        shift=(_rounded(x), _rounded(y)),
        rotation=_rounded(math.degrees(math.atan2(right_y - down_x, right_x + down_y))),
        scale=(_rounded(100 * (math.hypot(right_x, right_y) - 1)), _rounded(100 * (math.hypot(down_x, down_y) - 1))),
        perspective=_rounded(np.linalg.norm(moved - affine, axis=1).max()),
        mean=_rounded(lengths.mean()),
        largest=_rounded(lengths.max()),
    )


def _points(size: Size) -> Points:
    """Return points, (n, 2), evenly spread over a frame and its edges."""
    (left, top), _, (right, bottom), _ = frame_corners(size)
    x, y = np.meshgrid(np.linspace(left, right, STEPS), np.linspace(top, bottom, STEPS))
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _rounded(value: float) -> float:
    """Return a value to a ten-thousandth, never -0."""
    return round(float(value), 4) + 0.0
