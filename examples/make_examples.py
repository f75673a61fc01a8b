"""Make the example folders from photographs inside the scikit-image package (see CREDITS.md).

    python examples/make_examples.py

HR holds the photographs; LR holds small copies of them with another framing, colours, blur, noise and JPEG artefacts.
One photograph on each side has no partner. The names say nothing about the pairing.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

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
SUPERSAMPLING = 4


def photograph(name: str) -> NDArray[np.uint8]:
    """Return a scikit-image photograph as (h, w, 3) BGR, LONGEST_SIDE or less."""
    pixels = getattr(data, name)()
    pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if pixels.ndim == 2 else cv2.COLOR_RGB2BGR)
    shrink = min(1.0, LONGEST_SIDE / max(pixels.shape))
    return np.asarray(cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA))


def reframed(hr: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a small picture of 96 to 99 % of the frame, tilted by up to half a degree and mildly stretched."""
    height, width = hr.shape[:2]
    keep, scale, stretch = rng.uniform(0.96, 0.99), rng.uniform(0.35, 0.5), rng.uniform(0.98, 1.02)
    size = round(width * keep * scale), round(height * keep * scale * stretch)
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), rng.uniform(-0.5, 0.5), 1)
    fine = np.array(size) * SUPERSAMPLING
    zoom = fine / (np.array([width, height]) * keep)
    shift = fine / 2 - 0.5 - zoom * (np.array([width, height]) / 2 - 0.5)
    shift += zoom * rng.uniform(-0.5, 0.5, 2) * np.array([width, height]) * (1 - keep) * 0.8
    matrix = np.diag(zoom) @ turn + np.column_stack([np.zeros((2, 2)), shift])
    sampled = cv2.warpAffine(hr, matrix, tuple(map(int, fine)), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(sampled, size, interpolation=cv2.INTER_AREA))


def aged(lr: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture blurred, with a colour cast, another gamma, noise and JPEG artefacts."""
    soft: NDArray[Any] = cv2.GaussianBlur(lr.astype(np.float32), (0, 0), rng.uniform(0.4, 0.9))
    toned = 255 * np.clip(soft / 255 * rng.uniform(0.85, 1.1, 3), 0, 1) ** rng.uniform(0.85, 1.2)
    noisy = np.clip(np.rint(toned + rng.normal(0, rng.uniform(1, 4), toned.shape)), 0, 255).astype(np.uint8)
    packed = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 92))])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))


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
        lr = aged(reframed(hr, rng), rng)
        if hr_name:
            save(HERE / "HR" / hr_name, hr)
        if lr_name:
            save(HERE / "LR" / lr_name, lr)


if __name__ == "__main__":
    main()
