"""Known warps: LR pictures made from HR ones by a matrix that the tests then look for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from twimager.geometry import Matrix, Size, scaling, transform_points

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SUPERSAMPLING = 4


def picture(name: str) -> Any:
    """Return an example photograph by the name of its HR."""
    return cv2.imread(str(next((EXAMPLES / "HR").glob(f"{name}.*"))))


def cat() -> Any:
    return picture("P1040518")


def framing(hr_size: Size, keep: float, scale: float, degrees: float = 0.0, tilt: float = 0.0) -> tuple[Matrix, Size]:
    """Return an HR -> LR matrix that shows the middle `keep` of the frame, turned and tilted, and the LR's size."""
    size = int(hr_size[0] * keep * scale), int(hr_size[1] * keep * scale)
    c, s = math.cos(math.radians(degrees)) * scale, math.sin(math.radians(degrees)) * scale
    matrix = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    centre = matrix @ [hr_size[0] / 2 - 0.5, hr_size[1] / 2 - 0.5, 1]
    matrix[:2, 2] = np.array(size) / 2 - 0.5 + [0.37, -0.21] - centre[:2]
    lean = np.array([[1, 0, 0], [0, 1, 0], [tilt / size[0], -tilt / size[1], 1]])
    middle = np.array([[1, 0, size[0] / 2], [0, 1, size[1] / 2], [0, 0, 1]])
    return middle @ lean @ np.linalg.inv(middle) @ matrix, size


def seen_through(matrix: Matrix, hr: Any, size: Size) -> Any:
    """Return the LR that an ideal camera would take of an HR: each pixel the mean over its area."""
    fine = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    sampled = cv2.warpPerspective(hr, scaling(SUPERSAMPLING) @ matrix, fine, flags=cv2.INTER_LINEAR)
    return cv2.resize(sampled, size, interpolation=cv2.INTER_AREA)


def degraded(lr: Any, seed: int = 0) -> Any:
    """Return an LR with blur, a colour cast, another gamma and noise."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(lr.astype(np.float32), (0, 0), 0.6)
    toned = 255 * np.clip(soft / 255 * [0.92, 1.05, 1.0], 0, 1) ** 1.1
    return np.clip(np.rint(toned + rng.normal(0, 3, lr.shape)), 0, 255).astype(np.uint8)


def displacement(found: Matrix, truth: Matrix, lr_size: Size) -> float:
    """Return by how many LR pixels two matrices differ: the median over a grid on the LR."""
    x, y = np.meshgrid(np.linspace(0, lr_size[0] - 1, 9), np.linspace(0, lr_size[1] - 1, 9))
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    source = transform_points(np.asarray(np.linalg.inv(truth), np.float64), grid)
    return float(np.median(np.linalg.norm(transform_points(found, source) - grid, axis=1)))


def shift(first: Any, second: Any) -> float:
    """Return by how many pixels two pictures of one size are shifted, measured in their middle."""
    side = min(first.shape[:2]) // 32 * 32
    y, x = ((length - side) // 2 for length in first.shape[:2])
    middles = (cv2.cvtColor(p, cv2.COLOR_BGR2GRAY)[y : y + side, x : x + side] for p in (first, second))
    a, b = ((m - m.mean()).astype(np.float32) for m in middles)
    return float(np.hypot(*cv2.phaseCorrelate(a, b, cv2.createHanningWindow((side, side), cv2.CV_32F))[0]))
