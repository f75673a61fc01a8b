"""Make a set of pairs that differ in everything that a report tells, from quarters of the example photographs.

    python -m examples.make_crops FOLDER

FOLDER/HR holds the quarters, FOLDER/LR small, degraded copies of them under other names. Of some HRs a strip is cut
off, and some LRs are bent as by a lens or a scan that was not flat.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.known_warp import degraded
from examples.make_examples import reframed

PHOTOGRAPHS = Path(__file__).resolve().parent / "HR"
# One in so many HRs lacks a strip, one in so many LRs is bent.
CUT, BENT = 6, 9
STRIP = 0.2
# By how much an LR is bent at most, in LR pixels.
BEND = 2.4


def quarters(photo: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return the four quarters of a photograph."""
    middle_y, middle_x = photo.shape[0] // 2, photo.shape[1] // 2
    return [photo[y:, x:][:middle_y, :middle_x] for y in (0, middle_y) for x in (0, middle_x)]


def bent(lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture with a wave across it."""
    height, width = lr.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    wave = BEND * np.sin(2 * np.pi * y / height)
    return np.asarray(cv2.remap(lr, x + wave.astype(np.float32), y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))


def main(folder: Path) -> None:
    """Write both folders."""
    for side in ("LR", "HR"):
        (folder / side).mkdir(parents=True)
    rng = np.random.default_rng(7)
    photographs = [cv2.imread(str(path)) for path in sorted(PHOTOGRAPHS.iterdir())]
    hrs = [quarter for photo in photographs for quarter in quarters(photo)]
    for number, name in enumerate(rng.permutation(len(hrs))):
        hr = hrs[number]
        lr = reframed(hr, rng)
        lr = bent(lr) if number % BENT == 1 else lr
        hr = hr[:, : int(hr.shape[1] * (1 - STRIP))] if number % CUT == 1 else hr
        cv2.imwrite(str(folder / "HR" / f"photo_{number:02}.png"), hr)
        cv2.imwrite(str(folder / "LR" / f"small_{name:02}.png"), degraded(lr, rng))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
