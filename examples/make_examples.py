"""Make the example folders from photographs inside the scikit-image package (see CREDITS.md).

    python -m examples.make_examples

HR holds the photographs; LR holds small copies of them with another framing, colours, blur, noise and JPEG artefacts.
One photograph on each side has no partner. The names say nothing about the pairing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.known_warp import degraded, framing, seen_through

HERE = Path(__file__).resolve().parent
# Photograph, name of its HR, name of its LR ("" for a side that it is not on).
CAST = [
    ("astronaut", "P1040771.jpg", "still_03.png"),
    ("camera", "P1040209.png", "still_11.png"),
    ("chelsea", "P1040518.jpg", "still_07.jpg"),
    ("coffee", "P1040102.jpg", "still_09.png"),
    ("hubble_deep_field", "P1040663.jpg", "still_05.png"),
    ("retina", "P1040847.jpg", "still_02.jpg"),
    ("rocket", "P1040355.jpg", "still_08.png"),
    ("gravel", "P1040480.jpg", "still_01.png"),
    ("grass", "P1040934.jpg", ""),
    ("brick", "", "still_04.png"),
]
LONGEST_SIDE = 1000


def photograph(name: str) -> NDArray[np.uint8]:
    """Return a scikit-image photograph as (h, w, 3) BGR, LONGEST_SIDE or less."""
    from skimage import data

    pixels = getattr(data, name)()
    pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if pixels.ndim == 2 else cv2.COLOR_RGB2BGR)
    shrink = min(1.0, LONGEST_SIDE / max(pixels.shape))
    return np.asarray(cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))


def reframed(hr: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a small picture of 96 to 99 % of the frame, tilted by up to half a degree and mildly stretched."""
    size = hr.shape[1], hr.shape[0]
    keep, scale = rng.uniform(0.96, 0.99), rng.uniform(0.35, 0.5)
    room = (1 - keep) / 2 * scale * np.array(size) * 0.8
    x, y = rng.uniform(-room, room)
    matrix, lr_size = framing(
        size, keep, scale, degrees=rng.uniform(-0.5, 0.5), stretch=rng.uniform(0.98, 1.02), offset=(x, y)
    )
    return np.asarray(seen_through(matrix, hr, lr_size))


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write an image file, as good as a photograph should be kept."""
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 93] if path.suffix == ".jpg" else [])


def main() -> None:
    """Write examples/HR and examples/LR anew."""
    for side in ("HR", "LR"):
        shutil.rmtree(HERE / side, ignore_errors=True)
        (HERE / side).mkdir()
    rng = np.random.default_rng(2026)
    for name, hr_name, lr_name in CAST:
        hr = photograph(name)
        lr = degraded(reframed(hr, rng), rng)
        if hr_name:
            save(HERE / "HR" / hr_name, hr)
        if lr_name:
            save(HERE / "LR" / lr_name, lr)


if __name__ == "__main__":
    main()
