"""Draw pairs of a run as the README shows them: LR | HR as it was | HR as written | blend.

    python examples/draw_pairs.py DEST/report.json PICTURE.jpg NAME [NAME ...]

NAME is an LR's file name without extension.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

PANEL_WIDTH = 300
LABELS = ("LR", "HR as it was", "HR as written", "blend of LR and HR")


def panel(pixels: Any, size: tuple[int, int], interpolation: int = cv2.INTER_AREA) -> Any:
    """Return a picture fitted into a panel of `size`, its proportions kept, on white."""
    fit = min(size[0] / pixels.shape[1], size[1] / pixels.shape[0])
    resized = cv2.resize(pixels, None, fx=fit, fy=fit, interpolation=interpolation)
    canvas = np.full((size[1], size[0], 3), 255, np.uint8)
    y, x = (size[1] - resized.shape[0]) // 2, (size[0] - resized.shape[1]) // 2
    canvas[y : y + resized.shape[0], x : x + resized.shape[1]] = resized
    return canvas


def row(pair: dict[str, Any]) -> Any:
    """Return the four panels of one pair."""
    lr, source, written = (cv2.imread(pair[key]) for key in ("lr_output", "hr", "hr_output"))
    size = (PANEL_WIDTH, round(PANEL_WIDTH * written.shape[0] / written.shape[1]))
    blurred, sharp = panel(lr, size, cv2.INTER_CUBIC), panel(written, size)
    return beside([blurred, panel(source, size), sharp, cv2.addWeighted(blurred, 0.5, sharp, 0.5, 0)])


def beside(panels: Sequence[Any]) -> Any:
    """Return panels of one size in a row, white between them."""
    return np.hstack([cv2.copyMakeBorder(p, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255,) * 3) for p in panels])


def heading(labels: Sequence[str], width: int) -> Any:
    """Return the line of labels over the panels."""
    line = np.full((30, width, 3), 255, np.uint8)
    for number, label in enumerate(labels):
        place = (number * width // len(labels) + 6, 21)
        cv2.putText(line, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (60, 60, 60), 1, cv2.LINE_AA)
    return line


def main(report: str, picture: str, *names: str) -> None:
    """Draw the pairs whose LR has one of the names."""
    pairs = json.loads(Path(report).read_text(encoding="utf-8"))["pairs"]
    rows = [row(pair) for name in names for pair in pairs if Path(pair["lr"]).stem == name]
    drawing = np.vstack([heading(LABELS, rows[0].shape[1]), *rows])
    cv2.imwrite(picture, drawing, [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main(*sys.argv[1:])
