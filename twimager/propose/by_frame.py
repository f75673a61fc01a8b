"""Propose pairs that show the same frame: those whose hashes are near and whose thumbnails are alike.

Film frames, and copies that were merely shrunk, are told by that alone: no features need be found in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.fingerprint import NO_THUMBNAIL, Fingerprint
from twimager.fingerprint.phash import THUMBNAIL_SIDE
from twimager.propose.proposal import Proposal, Source

# Correlation of thumbnails of half their side, which tell frames from others as well as larger ones do. Of copies in
# the same frame, faded and noisy, nearly all reach it, even where they are off by a fiftieth of the frame; of those
# cropped by 3 to 20 % one in a hundred does.
SAME_FRAME = 0.97
# In so great a share of the LRs, at least, frames must be the same before they are taken for what they are: elsewhere
# those few may be other crops of one photograph.
COMMON = 0.5
# So many are compared with an LR: of up to 45 that were alike, the right one was always among them, in three clips, ...
LIKEST = 16
# ... of so many that are alike; where there are more, features decide.
MOST_ALIKE = 64


class Frames:
    """The LRs' frames, to be compared with those of HRs."""

    def __init__(self, lrs: Sequence[Fingerprint], distance: int) -> None:
        """Compare with these LRs; hashes may differ by so many bits."""
        self._lrs, self._distance = lrs, distance
        self._hashes = np.array([lr.hashes[0] for lr in lrs], np.uint64)
        self._miniatures = _halved(np.array([lr.thumbnail for lr in lrs]).reshape(-1, NO_THUMBNAIL.size))

    def alike(self, hr: Fingerprint) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return the places (n,) of the LRs that may show the HR's frame, and how alike the two are, (n,)."""
        near = np.flatnonzero(np.bitwise_count(self._hashes ^ np.uint64(hr.hashes[0])) <= self._distance)
        similarity = self._miniatures[near] @ _halved(hr.thumbnail[None])[0]
        same = similarity >= SAME_FRAME
        return near[same], similarity[same]

    def suffice(self, hr: Fingerprint) -> bool:
        """Tell whether an HR may be paired by its frame: where more are alike than can be told apart by it, none is."""
        return 0 < len(self.alike(hr)[0]) <= MOST_ALIKE

    def propose(self, hrs: Sequence[Fingerprint]) -> list[list[Proposal]]:
        """Return, for every LR, the HRs that may show its frame, the likest first, LIKEST at most.

        None where there are more than MOST_ALIKE, and none at all where frames are the same in too few of the LRs.
        """
        found: list[list[tuple[float, int]]] = [[] for _ in self._lrs]
        counts = np.zeros(len(self._lrs), np.intp)
        for number, hr in enumerate(hrs):
            places, similarity = self.alike(hr)
            counts[places] += 1
            few = counts[places] <= MOST_ALIKE
            for place, value in zip(places[few].tolist(), similarity[few].tolist(), strict=True):
                found[place].append((-value, number))
        if np.count_nonzero(counts) < COMMON * len(self._lrs):
            return [[] for _ in self._lrs]
        return [
            [Proposal(lr, hr, Source.FRAME) for hr in _likest(lr, [hrs[number] for _, number in sorted(near)])]
            if count <= MOST_ALIKE
            else []
            for lr, near, count in zip(self._lrs, found, counts, strict=True)
        ]


def _likest(lr: Fingerprint, hrs: list[Fingerprint]) -> list[Fingerprint]:
    """Return the likest HRs of a scene, LIKEST at most: by what their frames differ in, not by what they all share.

    Of that, and of the LR, what a change of tone or a small affine misplacement explains is taken out first.
    """
    if len(hrs) <= LIKEST:
        return hrs
    frames = _normalized(np.array([lr.thumbnail, *(hr.thumbnail for hr in hrs)]))
    scene = frames[1:].mean(axis=0)
    down, right = np.gradient(scene.reshape(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    y, x = np.mgrid[-1 : 1 : THUMBNAIL_SIDE * 1j, -1 : 1 : THUMBNAIL_SIDE * 1j]
    moves = [slope * way for slope in (right, down) for way in (1, x, y)]
    nuisances = np.stack([np.ones_like(scene), scene, scene * abs(scene), *(move.ravel() for move in moves)], axis=1)
    differences = (frames - scene).T
    rest = differences - nuisances @ np.linalg.lstsq(nuisances, differences, rcond=None)[0]
    distances = np.linalg.norm(rest[:, 1:] - rest[:, :1], axis=0)
    return [hrs[place] for place in np.argsort(distances, kind="stable")[:LIKEST]]


def _halved(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return thumbnails, (n, pixels), with half the side, normalised."""
    half = THUMBNAIL_SIDE // 2
    return _normalized(thumbnails.reshape(-1, half, 2, half, 2).mean(axis=(2, 4)).reshape(-1, half * half))


def _normalized(thumbnails: NDArray[np.uint8] | NDArray[np.float64]) -> NDArray[np.float32]:
    """Return thumbnails, (..., pixels), less their mean, by their length; nothing is like one of a single colour."""
    values = thumbnails - thumbnails.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.where(lengths, lengths, np.inf), np.float32)
