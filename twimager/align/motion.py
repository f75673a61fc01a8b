"""Small motions of a frame: models of up to eight parameters, as matrices and as derivatives of a picture."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.align.appearance import Picture, gradients
from twimager.geometry import Matrix, Rect, transform_points, translation

# A rotation or skew, or a perspective, of less than so many standard errors is none: of 444 pairs that are not rotated
# 13 kept a rotation; of 234 that are, by up to 20 degrees, one lost it, and of 80 in perspective none.
SIGNIFICANT = 3.0


class MotionModel(Enum):
    """The motions that are estimated, by the indices of their parameters; see `steepest_descent_images`."""

    PERSPECTIVE = (0, 1, 2, 3, 4, 5, 6, 7)
    AFFINE = (0, 1, 2, 3, 4, 5)
    UPRIGHT = (0, 1, 3, 5)

    @property
    def parameters(self) -> list[int]:
        """The indices of the parameters, out of eight."""
        return list(self.value)

    @property
    def simpler(self) -> MotionModel | None:
        """The next simpler model; None if there is none."""
        return {MotionModel.PERSPECTIVE: MotionModel.AFFINE, MotionModel.AFFINE: MotionModel.UPRIGHT}.get(self)


class Motion(NamedTuple):
    """An estimated small motion of an HR on the LR's grid.

    Attributes
    ----------
    parameters : (8,) float64, in pixels at the frame's edges, in the order of `steepest_descent_images`
    standard_errors : (8,) float64, of the parameters
    frame : the part of the grid that it was estimated on
    """

    parameters: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    frame: Rect

    @classmethod
    def of_model(
        cls, model: MotionModel, values: NDArray[np.float64], standard_errors: NDArray[np.float64], frame: Rect
    ) -> Motion:
        """Return the motion of a model's parameters, the first of `values`; the others are zero."""
        count = len(model.parameters)
        parameters, errors = np.zeros((2, len(MotionModel.PERSPECTIVE.parameters)))
        parameters[model.parameters], errors[model.parameters] = values[:count], standard_errors[:count]
        return cls(parameters, errors, frame)

    @property
    def largest(self) -> float:
        """The largest parameter, in pixels at the frame's edges."""
        return float(abs(self.parameters).max())

    @property
    def half(self) -> NDArray[np.float64]:
        """Half the frame's width and height."""
        return np.array([self.frame.width - 1, self.frame.height - 1]) / 2

    @property
    def middle(self) -> NDArray[np.float64]:
        """The middle of the frame."""
        return np.array([self.frame.x, self.frame.y]) + self.half

    @property
    def matrix(self) -> Matrix:
        """The motion as a matrix on the LR's grid, to first order."""
        to_unit = np.diag([*(1 / self.half), 1]) @ translation(*-self.middle)
        sampled = np.eye(3)
        sampled[0] += self.parameters[[1, 2, 0]] / self.half[0]
        sampled[1] += self.parameters[[4, 5, 3]] / self.half[1]
        sampled[2, :2] -= self.parameters[6:] / self.half.max()
        return np.asarray(np.linalg.inv(to_unit) @ np.linalg.inv(sampled) @ to_unit, np.float64)

    def is_significant(self, to_grid: Matrix, model: MotionModel) -> bool:
        """Tell whether parameters of `to_grid` that the model has and the next simpler one lacks are significant.

        Those are the perspective, or else rotation and skew.
        """
        back = np.linalg.inv(to_grid)
        if model is MotionModel.PERSPECTIVE:
            depth = back[2] @ [*self.middle, 1]
            values, errors = back[2, :2] / depth * self.half * self.half.max(), self.standard_errors[6:]
        else:
            values = self.half[::-1] * (back[0, 1] / back[0, 0], back[1, 0] / back[1, 1])
            errors = self.standard_errors[[2, 4]]
        return bool((abs(values) > SIGNIFICANT * errors).any())

    def simplified(self, to_grid: Matrix, model: MotionModel) -> Matrix:
        """Return `to_grid` reduced to an affine or upright model, with the middle of the frame where it was."""
        source = transform_points(np.asarray(np.linalg.inv(to_grid), np.float64), self.middle[None])
        steps = transform_points(to_grid, source + np.eye(2) / 2) - transform_points(to_grid, source - np.eye(2) / 2)
        reduced = np.eye(3)
        reduced[:2, :2] = steps.T if model is MotionModel.AFFINE else np.diag(steps.diagonal())
        reduced[:2, 2] = self.middle - reduced[:2, :2] @ source[0]
        return reduced


def steepest_descent_images(picture: Picture, model: MotionModel) -> list[Picture]:
    """Return the derivatives of a picture, (h, w) float32, by the model's parameters (Baker and Matthews, IJCV 2004).

    In levels per pixel of motion at the frame's edge. In order: shift, stretch and shear to the right; shift, shear and
    stretch down; perspective along x and along y.
    """
    height, width = picture.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    right, down = gradients(picture)
    images = [right, right * x, right * y, down, down * x, down * y]
    if model is MotionModel.PERSPECTIVE:
        outwards = (width * right * x + height * down * y) / max(width, height)
        images += [outwards * x, outwards * y]
    return [images[index] for index in model.parameters]
