"""Make LRs in which a part shows something else: three of the examples', with a caption or a logo.

    python -m examples.make_captions FOLDER

FOLDER holds them, under their own names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

LRS = Path(__file__).resolve().parent / "LR"
# By name: what is put into an LR, and where, in shares of its width and height (x, y, width, height).
PASTED = {
    "still_07.jpg": ("I should have stayed in bed.", (0.0, 0.74, 1.0, 0.26)),
    "still_09.png": ("COFFEE", (0.05, 0.08, 0.5, 0.3)),
    "still_03.png": ("TV", (0.86, 0.04, 0.1, 0.07)),
}
FONT, INK, PAPER = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), (60, 40, 30)
# Of the box that text has, so much of the width is written on.
WRITTEN = 0.86


def pasted(lr: NDArray[np.uint8], text: str, box: tuple[float, ...]) -> NDArray[np.uint8]:
    """Return a picture with text in a box."""
    height, width = lr.shape[:2]
    x, y, wide, tall = (round(share * side) for share, side in zip(box, (width, height) * 2, strict=True))
    drawn = np.asarray(cv2.rectangle(lr.copy(), (x, y), (x + wide, y + tall), PAPER, cv2.FILLED))
    length, rise = cv2.getTextSize(text, FONT, 1, 1)[0]
    size = WRITTEN * wide / length
    at = (x + round((wide - size * length) / 2), y + round((tall + size * rise) / 2))
    return np.asarray(cv2.putText(drawn, text, at, FONT, size, INK, 1, cv2.LINE_AA))


def main(folder: Path) -> None:
    """Write the folder."""
    folder.mkdir(parents=True)
    for name, (text, box) in PASTED.items():
        cv2.imwrite(str(folder / name), pasted(cv2.imread(str(LRS / name)), text, box))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
