"""Find pictures that a set holds more than once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.propose.by_frame import Frames

# Bits in which the hashes of copies differ at most, and levels by which their thumbnails do, in the mean: of 50
# photographs, saved by a quality of 60 or at half the size, 2 and 0.7; of neighbouring frames of a clip 1.1 and more.
DISTANCE, LEVELS = 4, 1.0


def copies(images: Sequence[Fingerprint]) -> list[tuple[Path, ...]]:
    """Return the files, two or more, that show the same picture in the same tones, be they saved differently."""
    images = [image for image in images if not image.is_flat]
    if not images:
        return []
    frames, thumbnails = Frames(images, DISTANCE), np.array([image.thumbnail for image in images], np.int16)
    groups, grouped = [], set[int]()
    for number, image in enumerate(images):
        near, _ = frames.alike(image)
        apart = abs(thumbnails[near] - thumbnails[number]).mean(axis=1)
        same = [one for one in near[apart <= LEVELS].tolist() if one not in grouped]
        if len(same) > 1 and number not in grouped:
            groups.append(tuple(images[one].path for one in same))
            grouped.update(same)
    return groups
