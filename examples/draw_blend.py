"""Draw a detail of pairs of a run: the LR, and what lies on it half transparent, the HR before and after.

    python -m examples.draw_blend DEST/report.json PICTURE.jpg NAME:X,Y [NAME:X,Y ...]

NAME is an LR's file name without extension, X,Y the middle of the detail as shares of its width and height.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from examples.draw_pairs import beside, heading

LABELS = ("LR", "blend with the HR as it was", "blend with the HR as written")
# So many LR pixels are shown, each of them so large.
DETAIL = (72, 46)
ENLARGED = 6


def detail(pixels: Any, middle: tuple[float, float], lr_size: tuple[int, int]) -> Any:
    """Return what a picture, brought to the LR's frame, shows around a place."""
    size = lr_size[0] * ENLARGED, lr_size[1] * ENLARGED
    large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC if pixels.shape[1] < size[0] else cv2.INTER_AREA)
    width, height = DETAIL[0] * ENLARGED, DETAIL[1] * ENLARGED
    x, y = (round(share * side) - half // 2 for share, side, half in zip(middle, size, (width, height), strict=True))
    return large[y : y + height, x : x + width]


def row(pair: dict[str, Any], middle: tuple[float, float]) -> Any:
    """Return the three panels of one pair."""
    lr, source, written = (cv2.imread(pair[key]) for key in ("lr_output", "hr", "hr_output"))
    size = lr.shape[1], lr.shape[0]
    seen, before, after = (detail(pixels, middle, size) for pixels in (lr, source, written))
    return beside([seen, *(cv2.addWeighted(seen, 0.5, hr, 0.5, 0) for hr in (before, after))])


def main(report: str, picture: str, *places: str) -> None:
    """Draw the details."""
    pairs = {Path(p["lr"]).stem: p for p in json.loads(Path(report).read_text(encoding="utf-8"))["pairs"]}
    rows = []
    for place in places:
        name, _, middle = place.partition(":")
        x, y = map(float, middle.split(","))
        rows.append(row(pairs[name], (x, y)))
    drawing = np.vstack([heading(LABELS, rows[0].shape[1]), *rows])
    cv2.imwrite(picture, drawing, [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main(*sys.argv[1:])
