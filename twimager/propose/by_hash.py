"""Propose pairs whose perceptual hashes are close, by a VP-tree or FAISS over the HRs' hashes."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import Matrix, resize_matrix, translation
from twimager.propose.proposal import CANDIDATES, Proposal, Source

# Building a VP-tree of so many hashes and searching it as often takes 0.1 s, as long as FAISS takes to be imported; at
# 2,000 it is 1.8 s against 0.002 s.
VP_TREE_UP_TO = 300
# Hashes that are looked up in one go: bounds what FAISS returns at a time.
BATCH = 256

Neighbours = list[tuple[int, int]]
Found = tuple[NDArray[np.uint64], NDArray[np.float32], NDArray[np.int64]]


class HashIndex:
    """An index of 64-bit hashes, searched by Hamming distance; equal hashes keep all their owners."""

    def __init__(self, hashes: Iterable[tuple[int, int]], vp_tree_up_to: int = VP_TREE_UP_TO) -> None:
        """Index (hash, owner) couples; beyond `vp_tree_up_to` different hashes by FAISS."""
        self._owners: dict[int, list[int]] = defaultdict(list)
        for value, owner in hashes:
            self._owners[value].append(owner)
        # Equal points would deepen a VP-tree's recursion, hence each hash once.
        self._points = np.array(sorted(self._owners), np.uint64)
        self._search = _vp_tree_search if len(self._points) <= vp_tree_up_to else _faiss_search

    def within(self, queries: Sequence[int], distance: int) -> list[list[tuple[int, list[int]]]]:
        """Return, for every query, (Hamming distance, owners) of every hash at most `distance` bits away."""
        if not len(self._points) or not queries:
            return [[] for _ in queries]
        unique, inverse = np.unique(np.array(queries, np.uint64), return_inverse=True)
        found = [
            [(bits, self._owners[int(self._points[point])]) for point, bits in near]
            for near in self._search(self._points, unique, distance)
        ]
        return [found[number] for number in inverse]


def _vp_tree_search(points: NDArray[np.uint64], queries: NDArray[np.uint64], distance: int) -> Iterator[Neighbours]:
    """Yield, for every query, the (number, Hamming distance) of the points at most `distance` bits away."""
    import vptree

    numbers = {int(value): number for number, value in enumerate(points)}
    tree = vptree.VPTree(points, _hamming)
    for value in queries:
        # The tree's own test is strict: < radius.
        near = tree.get_all_in_range(value, distance + 1)
        yield sorted((numbers[int(point)], int(bits)) for bits, point in near)


def _faiss_search(points: NDArray[np.uint64], queries: NDArray[np.uint64], distance: int) -> Iterator[Neighbours]:
    """Yield the same by FAISS."""
    rows, query_rows = (values.view(np.uint8).reshape(-1, 8) for values in (points, queries))
    for starts, bits, near in range_search(rows, query_rows, distance):
        for a, b in pairwise(starts):
            yield sorted(zip(near[a:b].tolist(), bits[a:b].astype(int).tolist(), strict=True))


def range_search(points: NDArray[np.uint8], queries: NDArray[np.uint8], distance: int) -> Iterator[Found]:
    """Yield, for every BATCH of queries, which points are at most `distance` bits away.

    Parameters
    ----------
    points, queries : (n, bytes) and (m, bytes) uint8, hashes of any one length
    distance : in bits

    Yields
    ------
    starts, bits, rows : where the results of each query begin, and those of the last end, (queries + 1,); of each
        result, its Hamming distance and its row among the points
    """
    import faiss

    index = faiss.IndexBinaryFlat(8 * points.shape[1])
    index.add(points)
    for start in range(0, len(queries), BATCH):
        # FAISS's test is strict too.
        yield index.range_search(queries[start : start + BATCH], distance + 1)


def propose(
    lrs: Sequence[Fingerprint], hrs: Sequence[Fingerprint], distance: int
) -> tuple[list[list[Proposal]], list[int]]:
    """Return, for every LR, the HRs of which any hash is at most `distance` bits from one of its own.

    The nearest come first, CANDIDATES at most; of equally near ones those from the LR's own position in the list on, so
    that copies of one picture are not all proposed with the first. The second list says how many HRs were near each
    LR's hashes.
    """
    index = HashIndex((value, number) for number, hr in enumerate(hrs) for value in hr.hashes)
    queries = [(number, value) for number, lr in enumerate(lrs) for value in lr.hashes]
    found: list[list[tuple[int, list[int]]]] = [[] for _ in lrs]
    for (number, _), near in zip(queries, index.within([value for _, value in queries], distance), strict=True):
        found[number] += near
    proposals = [
        [Proposal(lr, hrs[owner], Source.HASH) for owner in _nearest(near, number)]
        for number, (lr, near) in enumerate(zip(lrs, found, strict=True))
    ]
    return proposals, [sum(len(owners) for _, owners in near) for near in found]


def _nearest(found: list[tuple[int, list[int]]], position: int) -> list[int]:
    """Return the owners of the nearest hashes, each once, from `position` on where several are as near."""
    chosen: dict[int, None] = {}
    for _, owners in sorted(found):
        start = bisect(owners, position - 1)
        for step in range(min(len(owners), CANDIDATES)):
            chosen[owners[(start + step) % len(owners)]] = None
        if len(chosen) >= CANDIDATES:
            break
    return list(chosen)[:CANDIDATES]


def nearest_hashes(lr: Fingerprint, hr: Fingerprint) -> tuple[int, Matrix]:
    """Return the smallest Hamming distance of the hashes of an LR and an HR, in bits, and the matrix that goes with it.

    The matrix, (3, 3), takes HR pixels to LR pixels, the frames' or centre squares' corners onto each other.
    """
    frames = product(enumerate(lr.hashes), enumerate(hr.hashes))
    bits, in_lr, in_hr = min(((a ^ b).bit_count(), i, j) for (i, a), (j, b) in frames)
    (lr_to_part, lr_part), (hr_to_part, hr_part) = _part(lr, in_lr), _part(hr, in_hr)
    return bits, np.linalg.inv(lr_to_part) @ resize_matrix(hr_part, lr_part) @ hr_to_part


def _part(image: Fingerprint, number: int) -> tuple[Matrix, tuple[int, int]]:
    """Return the matrix to, and the size of, the part of an image that a hash is of: the frame or its centre square."""
    width, height = image.size
    side = min(image.size)
    if number == 0:
        return translation(0, 0), image.size
    return translation(-(width - side) / 2, -(height - side) / 2), (side, side)


def _hamming(a: np.uint64, b: np.uint64) -> int:
    return (int(a) ^ int(b)).bit_count()
