"""Make frames that share a logo, a caption and a watermark, for a picture of `overlay`'s preview.

    python -m examples.make_frames FOLDER

The frames are parts of the example photographs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from examples.make_crops import PHOTOGRAPHS

SIZE = 320, 200
FRAMES = 30


def layer() -> tuple[np.ndarray, np.ndarray]:
    """Return the colours, (h, w, 3), and the alpha, (h, w, 1) of 0 to 1, of what all frames share."""
    width, height = SIZE
    color, alpha = np.full((height, width, 3), 255, np.uint8), np.zeros((height, width), np.uint8)
    cv2.putText(alpha, "PREVIEW", (70, 105), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 115, 3, cv2.LINE_AA)
    cv2.rectangle(alpha, (12, 156), (150, 184), 140, cv2.FILLED)
    cv2.rectangle(color, (12, 156), (150, 184), (60, 30, 20), cv2.FILLED)
    for pixels, value in ((alpha, 255), (color, (90, 240, 250))):
        cv2.putText(pixels, "Live 20:15", (20, 177), cv2.FONT_HERSHEY_SIMPLEX, 0.6, value, 2, cv2.LINE_AA)
    for pixels, value in ((alpha, 255), (color, (200, 80, 30))):
        cv2.circle(pixels, (288, 32), 18, value, cv2.FILLED, cv2.LINE_AA)
    return color, alpha[..., None] / 255


def main(folder: str) -> None:
    """Write parts of the example photographs, the layer on each."""
    rng = np.random.default_rng(0)
    color, alpha = layer()
    photographs = [cv2.imread(str(path)) for path in sorted(PHOTOGRAPHS.iterdir())]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number in range(FRAMES):
        photograph = photographs[number % len(photographs)]
        x, y = (int(rng.integers(0, room + 1)) for room in np.array(photograph.shape[1::-1]) - SIZE)
        part = photograph[y : y + SIZE[1], x : x + SIZE[0]]
        frame = np.rint((1 - alpha) * part + alpha * color).astype(np.uint8)
        cv2.imwrite(str(Path(folder) / f"{number:02}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main(*sys.argv[1:])
