"""Example photographs, and how far two pictures are apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


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
