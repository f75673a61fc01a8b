"""Propose pairs whose perceptual hashes are close: a VP-tree over the HRs' hashes, asked for every LR's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import vptree

from twimager.fingerprints import Fingerprint


class Proposal(NamedTuple):
    """An LR and an HR worth a closer look, and the Hamming distance of their hashes in bits."""

    lr: Fingerprint
    hr: Fingerprint
    distance: int


class HashIndex:
    """Finds the 64-bit hashes within a Hamming distance; equal hashes keep all their owners."""

    def __init__(self, hashes: Iterable[tuple[int, int]]) -> None:
        """Index (hash, owner) couples."""
        self._owners: dict[int, list[int]] = defaultdict(list)
        for value, owner in hashes:
            self._owners[value].append(owner)
        # Equal points would deepen the tree's recursion, hence each hash once.
        points = np.array(sorted(self._owners), np.uint64)
        self._tree = vptree.VPTree(points, _hamming) if len(points) else None

    def within(self, value: int, distance: int) -> list[tuple[int, int]]:
        """Return (owner, Hamming distance) for every hash at most `distance` bits away."""
        if self._tree is None:
            return []
        # The tree's own test is strict: < radius.
        near = self._tree.get_all_in_range(np.uint64(value), distance + 1)
        return [(owner, bits) for bits, found in near for owner in self._owners[int(found)]]


def propose(lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint], distance: int) -> list[Proposal]:
    """Return the pairs of which any two hashes are at most `distance` bits apart, in the order of `lrs` and `hrs`."""
    index = HashIndex((value, number) for number, hr in enumerate(hrs) for value in hr.hashes)
    return [Proposal(lr, hrs[number], bits) for lr in lrs for number, bits in _nearest(index, lr, distance)]


def _nearest(index: HashIndex, lr: Fingerprint, distance: int) -> list[tuple[int, int]]:
    found = (couple for value in lr.hashes for couple in index.within(value, distance))
    # Of an HR's several distances the smallest comes last, and stays.
    return sorted(dict(sorted(found, key=lambda couple: -couple[1])).items())


def _hamming(a: np.uint64, b: np.uint64) -> int:
    return (int(a) ^ int(b)).bit_count()
