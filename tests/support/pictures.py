"""Example photographs and their pairs, and how far two pictures are apart."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from tests.support.paths import EXAMPLES

# The photograph that each still of the examples is of.
CAST = {
    "still_01": "P1040480", "still_02": "P1040847", "still_03": "P1040771", "still_05": "P1040663",
    "still_07": "P1040518", "still_08": "P1040355", "still_09": "P1040102", "still_11": "P1040209",
}  # fmt: skip


def picture(name: str) -> Any:
    """Return an example photograph by the name of its HR."""
    return cv2.imread(str(next((EXAMPLES / "HR").glob(f"{name}.*"))))


def cat() -> Any:
    return picture("P1040518")


def shift(first: Any, second: Any) -> float:
    """Return by how many pixels two pictures of one size are shifted, measured in their middle."""
    side = min(first.shape[:2]) // 32 * 32
    y, x = ((length - side) // 2 for length in first.shape[:2])
    middles = (cv2.cvtColor(p, cv2.COLOR_BGR2GRAY)[y : y + side, x : x + side] for p in (first, second))
    a, b = ((m - m.mean()).astype(np.float32) for m in middles)
    return float(np.hypot(*cv2.phaseCorrelate(a, b, cv2.createHanningWindow((side, side), cv2.CV_32F))[0]))


def moving(number: int) -> Any:
    """Return a frame, 450 x 300 pixels, of a shot in which a thing moves before a still picture."""
    frame, thing = cat()[:300, :450].copy(), picture("P1040102")[100:160, 200:270]
    x, y = 50 + 12 * number, round(120 + 80 * np.sin(number / 3))
    frame[y : y + 60, x : x + 70] = thing
    return frame
