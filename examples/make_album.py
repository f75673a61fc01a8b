"""Make an album that holds some of the example photographs several times, for a picture of `cluster`'s page.

    python -m examples.make_album FOLDER

Copies are smaller, compressed, cropped, mirrored and of other colours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from examples.make_crops import PHOTOGRAPHS


def main(folder: str) -> None:
    """Write the album: four images of a photograph, four of another, two of a third, two that are alone."""
    pilot, rocket, cup = (cv2.imread(str(PHOTOGRAPHS / f"P1040{name}.jpg")) for name in ("771", "355", "102"))
    warm = np.clip(rocket * np.array([0.8, 0.95, 1.15]) + 6, 0, 255).astype(np.uint8)
    half = {"fx": 0.5, "fy": 0.5, "interpolation": cv2.INTER_AREA}
    images = {
        "IMG_0771.jpg": pilot,
        "detail.jpg": pilot[20:340, 60:460],
        "flipped.jpg": pilot[:, ::-1],
        "cover.png": rocket,
        "cover_cropped.png": rocket[:, 64:576],
        "cover_small.png": cv2.resize(rocket, None, **half),
        "cover_warm.jpg": warm,
        "cup.png": cup,
        "cup_small.jpg": cv2.resize(cup, None, **half),
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        cv2.imwrite(str(Path(folder) / name), pixels)
    cv2.imwrite(
        str(Path(folder) / "copy of IMG_0771.jpg"), cv2.resize(pilot, None, **half), [cv2.IMWRITE_JPEG_QUALITY, 30]
    )
    for name in ("P1040209.png", "P1040847.jpg"):
        (Path(folder) / name).write_bytes((PHOTOGRAPHS / name).read_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
