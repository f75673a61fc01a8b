"""Propose pairs by their thumbnails: that of an LR correlates with a window of an HR's.

Grain, dust and soft focus, which leave few features or none, are averaged out of thumbnails.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.geometry import Matrix, resize_matrix, translation
from twimager.propose.proposal import Proposal, Source

# So many HRs are proposed for an LR: of 240 LRs with grain of 10 to 20 levels, that show 80 to 97 % of one of 90 HRs
# along a side, the right one was among the first three, but for one the first.
MAX_PROPOSED = 3
# None is proposed that correlates less: of the right ones 19 in 20 do by 0.55 and more, of LRs without one the most
# similar of 90 HRs by 0.28 to 0.53, 0.39 in the median.
LEAST_SIMILAR = 0.44
# Gaussians, in pixels of the thumbnail: finer and coarser waves (grain, vignettes) don't count.
FINEST, COARSEST = 0.7, 3.0
# Windows are compared at so many points a side.
SAMPLES = 16
# Windows have these sides, relative to the HR's, and lie no more than so many pixels of its thumbnail apart. Smaller
# ones are more, and more often alike by chance.
SIDES, STEP = (1.0, 0.93, 0.86, 0.8, 0.74), 2.0
# The same for the HRs that are proposed: of 17 of those LRs in which no features tell, their corners are off by 4 % of
# the LR's shorter side, 7 % at most, which registration bears; by the coarser windows it would be 16 %.
FINE_SIDES, FINE_STEP, MAX_STRETCH = (1.0, 0.96, 0.92, 0.88, 0.84, 0.8, 0.76, 0.72), 1.0, 1.11
# LRs that are compared in one go: bounds the correlations that are in memory.
BATCH = 1024

# (n, 4): x, y, width and height of n windows, in pixels of the thumbnail.
Windows = NDArray[np.float32]


def _windows(sides: Sequence[float], step: float, max_stretch: float) -> Windows:
    """Return the windows of these sides, by one another no more than `max_stretch`, at `step` pixels."""
    intervals = [
        (start, THUMBNAIL_SIDE * side)
        for side in sides
        for room in [THUMBNAIL_SIDE * (1 - side)]
        for start in np.linspace(0, room, int(np.ceil(room / step)) + 1)
    ]
    windows = [(x, y, width, height) for y, height in intervals for x, width in intervals]
    return np.array([one for one in windows if max(one[2:]) <= max_stretch * min(one[2:])], np.float32)


WHOLE = _windows((1.0,), 1.0, 1.0)
WINDOWS, FINE_WINDOWS = _windows(SIDES, STEP, 1.0), _windows(FINE_SIDES, FINE_STEP, MAX_STRETCH)


def propose(lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint]) -> list[list[Proposal]]:
    """Return, for every LR, the HRs of the windows most similar to it, MAX_PROPOSED at most."""
    if not hrs:
        return [[] for _ in lrs]
    proposals: list[list[Proposal]] = []
    for start in range(0, len(lrs), BATCH):
        batch = lrs[start : start + BATCH]
        wholes = np.concatenate([_sampled(lr, WHOLE) for lr in batch])
        similarity = np.stack([(wholes @ _sampled(hr, WINDOWS).T).max(axis=1) for hr in hrs], axis=1)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :MAX_PROPOSED]
        proposals += [
            [Proposal(lr, hrs[number], Source.THUMBNAIL) for number in numbers if row[number] >= LEAST_SIMILAR]
            for lr, numbers, row in zip(batch, order, similarity, strict=True)
        ]
    return proposals


def framing(hr: Fingerprint, lr: Fingerprint) -> Matrix:
    """Return the matrix, (3, 3) from HR to LR pixels, that takes the window most similar to an LR onto it."""
    similarity = _sampled(hr, FINE_WINDOWS) @ _sampled(lr, WHOLE)[0]
    x, y, width, height = FINE_WINDOWS[similarity.argmax()].tolist()
    to_window = translation(0.5 - x, 0.5 - y) @ resize_matrix(hr.size, (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    enlarged = np.diag([lr.size[0] / width, lr.size[1] / height, 1])
    return np.asarray(translation(-0.5, -0.5) @ enlarged @ to_window, np.float64)


def _sampled(image: Fingerprint, windows: Windows) -> NDArray[np.float32]:
    """Return windows of an image's thumbnail, (n, SAMPLES**2), band-passed, of zero mean and length 1; or all zero."""
    thumbnail = image.thumbnail.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(thumbnail, (0, 0), sigma) for sigma in (FINEST, COARSEST))
    steps = (np.arange(SAMPLES, dtype=np.float32) + 0.5) / SAMPLES
    x, y = (windows[:, axis, None] + windows[:, axis + 2, None] * steps - 0.5 for axis in (0, 1))
    shape = len(windows), SAMPLES, SAMPLES
    maps = (np.broadcast_to(at, shape).reshape(len(windows), -1) for at in (x[:, None, :], y[:, :, None]))
    values = cv2.remap(fine - coarse, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    values -= values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(lengths, lengths, np.inf), np.float32)
