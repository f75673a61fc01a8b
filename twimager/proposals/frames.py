"""Propose pairs that show the same frame: those whose hashes are near and whose miniatures are alike.

Film frames, and copies that were merely shrunk, are told by that alone: no features need be found in them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from twimager.fingerprints import Fingerprint
from twimager.proposals import CANDIDATES, Proposal, Source

# Correlation of miniatures. Of copies in the same frame, faded and noisy, nearly all reach it, even where they are off
# by a fiftieth of the frame; of those cropped by 3 to 20 % one in a hundred does.
SAME_FRAME = 0.97
# In so great a share of the LRs, at least, frames must be the same before they are taken for what they are: elsewhere
# those few may be other crops of one photograph.
COMMON = 0.5


class Frames:
    """The LRs' frames, to be compared with those of HRs."""

    def __init__(self, lrs: Sequence[Fingerprint], distance: int) -> None:
        """Compare with these LRs; hashes may differ by so many bits."""
        self._lrs, self._distance = lrs, distance
        self._hashes = np.array([lr.hashes[0] for lr in lrs], np.uint64)
        self._miniatures = _normalized(np.stack([lr.miniature for lr in lrs])) if lrs else np.empty((0, 0))

    def alike(self, hr: Fingerprint) -> list[tuple[int, float]]:
        """Return the places of the LRs that may show the HR's frame, and how alike the two are."""
        bits = np.bitwise_count(self._hashes ^ np.uint64(hr.hashes[0]))
        near = np.flatnonzero(bits <= self._distance)
        if not len(near):
            return []
        likeness = self._miniatures[near] @ _normalized(hr.miniature)
        return [(int(n), float(value)) for n, value in zip(near, likeness, strict=True) if value >= SAME_FRAME]

    def propose(self, hrs: Sequence[Fingerprint]) -> list[list[Proposal]]:
        """Return, for every LR, the HRs that may show its frame, the likest first.

        None where there are more than CANDIDATES, of which the likest need not be the right one; and none at all where
        frames are the same in too few of the LRs.
        """
        found: list[list[tuple[float, int]]] = [[] for _ in self._lrs]
        for number, hr in enumerate(hrs):
            for place, likeness in self.alike(hr):
                found[place].append((-likeness, number))
        if sum(map(bool, found)) < COMMON * len(self._lrs):
            return [[] for _ in self._lrs]
        return [
            [Proposal(lr, hrs[number], Source.FRAME) for _, number in sorted(near)] if len(near) <= CANDIDATES else []
            for lr, near in zip(self._lrs, found, strict=True)
        ]


def _normalized(miniatures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return miniatures, (..., pixels), less their mean, by their length; nothing is like one of a single colour."""
    values = miniatures - miniatures.mean(axis=-1, keepdims=True)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.where(lengths, lengths, np.inf), np.float32)
