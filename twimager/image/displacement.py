"""Displacement fields: a smooth displacement on top of a matrix, and what a frame displaced by it covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twimager.geometry import Matrix, Size, area_scale, resize_matrix, transform_points, translation


@dataclass(frozen=True, eq=False)
class Displacement:
    """A smooth displacement field over a grid of pixels: where a matrix maps to p, the picture of p + shift is shown.

    It is a uniform cubic B-spline.

    Attributes
    ----------
    controls : (2, rows, columns) float64, right and down, in pixels of the grid
    to_knots : (3, 3), takes positions on the grid to positions among the knots, of which there are rows - 3 and
        columns - 3 whole steps; without rotation or skew
    """

    controls: NDArray[np.float64]
    to_knots: Matrix

    @classmethod
    def zero(cls, size: Size, steps: Size) -> Displacement:
        """Return a field without displacement over a frame of `size`, of so many steps (right, down)."""
        return cls(np.zeros((2, steps[1] + 3, steps[0] + 3)), translation(0.5, 0.5) @ resize_matrix(size, steps))

    @property
    def magnitude(self) -> float:
        """The root mean square of the controls, in pixels of the grid."""
        return float(np.sqrt((self.controls**2).sum(axis=0).mean()))

    @property
    def max_shift(self) -> float:
        """A bound of the displacement, right or down, in pixels of the grid: a spline stays within its controls."""
        return float(abs(self.controls).max())

    def on(self, to_other: Matrix) -> Displacement:
        """Return the same field on another grid; `to_other` takes positions there, without rotation or skew."""
        scale = to_other.diagonal()[:2, None, None]
        return Displacement(self.controls * scale, self.to_knots @ np.linalg.inv(to_other))

    def shifts(self, size: Size) -> NDArray[np.float32]:
        """Return the displacement, (2, height, width) float32, right and down, of the grid's first pixels."""
        columns, rows = self.basis(size)
        return np.stack([rows @ (control.astype(np.float32) @ columns.T) for control in self.controls])

    def basis(self, size: Size) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the values of the basis functions at the grid's first pixels: (width, columns) and (height, rows)."""
        knots = (self.to_knots[axis, axis] * np.arange(size[axis]) + self.to_knots[axis, 2] for axis in (0, 1))
        counts = self.controls.shape[:0:-1]
        columns, rows = (_cubic(at[:, None] + 1 - np.arange(count)) for at, count in zip(knots, counts, strict=True))
        return columns, rows


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the cubic B-spline's value at so many steps from its middle."""
    near, far = np.clip(1 - abs(x), 0, None), np.clip(2 - abs(x), 0, None)
    return np.asarray((far**3 - 4 * near**3) / 6, np.float32)


def covered(
    matrix: Matrix, displacement: Displacement, hr_size: Size, lr_size: Size, tolerance: float = 0.0
) -> NDArray[np.bool_]:
    """Return which LR pixels a displaced HR frame covers.

    Parameters
    ----------
    matrix : (3, 3), takes HR pixels to LR pixels
    displacement : on the LR's grid
    hr_size, lr_size : (width, height)
    tolerance : how far, in LR pixels, a covered pixel may lie outside the HR frame

    Returns
    -------
    (height, width) bool
    """
    lattice = lr_size[0] + 1, lr_size[1] + 1
    x, y = displacement.on(translation(0.5, 0.5)).shifts(lattice)
    x += np.arange(-0.5, lr_size[0], dtype=np.float32)
    y += np.arange(-0.5, lr_size[1], dtype=np.float32)[:, None]
    back = np.asarray(np.linalg.inv(matrix), np.float64)
    hr = transform_points(back, np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64))
    slack = tolerance / np.sqrt(abs(area_scale(matrix, hr_size)))
    inside = ((hr >= -0.5 - slack) & (hr <= np.array(hr_size) - 0.5 + slack)).all(axis=1).reshape(lattice[::-1])
    return np.asarray(inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1] & inside[1:, 1:])
