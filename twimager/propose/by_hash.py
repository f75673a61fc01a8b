"""Propose pairs whose perceptual hashes are close, by a VP-tree or FAISS over the HRs' hashes."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, pairwise, product

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
        owned = np.fromiter(hashes, [("hash", np.uint64), ("owner", np.int64)])
        owned = owned[np.argsort(owned["hash"], kind="stable")]
        # Equal points would deepen a VP-tree's recursion, hence each hash once.
        self._points, starts = np.unique(owned["hash"], return_index=True)
        self._owners, self._starts = owned["owner"], np.append(starts, len(owned))
        self._search = (_VPTree if len(self._points) <= vp_tree_up_to else _Faiss)(self._points)

    def within(self, queries: Iterable[int], distance: int) -> Iterator[list[tuple[int, list[int]]]]:
        """Yield, for every query, (Hamming distance, owners) of every hash at most `distance` bits away."""
        remaining = iter(queries)
        while batch := list(islice(remaining, BATCH)):
            for near in self._search.within(np.array(batch, np.uint64), distance):
                yield [(bits, self._owned(point)) for point, bits in near]

    def _owned(self, point: int) -> list[int]:
        owners: list[int] = self._owners[self._starts[point] : self._starts[point + 1]].tolist()
        return owners


class _VPTree:
    """A VP-tree of hashes."""

    def __init__(self, points: NDArray[np.uint64]) -> None:
        import vptree

        self._numbers = {int(value): number for number, value in enumerate(points)}
        self._tree = vptree.VPTree(points, _hamming) if len(points) else None

    def within(self, queries: NDArray[np.uint64], distance: int) -> Iterator[Neighbours]:
        """Yield, for every query, the (number, Hamming distance) of the points at most `distance` bits away."""
        for value in queries:
            # The tree's own test is strict: < radius.
            near = self._tree.get_all_in_range(value, distance + 1) if self._tree else []
            yield sorted((self._numbers[int(point)], int(bits)) for bits, point in near)


class _Faiss:
    """The same by FAISS."""

    def __init__(self, points: NDArray[np.uint64]) -> None:
        self._rows = points.view(np.uint8).reshape(-1, 8)

    def within(self, queries: NDArray[np.uint64], distance: int) -> Iterator[Neighbours]:
        """Yield, for every query, the (number, Hamming distance) of the points at most `distance` bits away."""
        for starts, bits, near in range_search(self._rows, queries.view(np.uint8).reshape(-1, 8), distance):
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
    found = index.within((value for lr in lrs for value in lr.hashes), distance)
    proposals, counts = list[list[Proposal]](), list[int]()
    for number, lr in enumerate(lrs):
        near = list(chain.from_iterable(islice(found, len(lr.hashes))))
        proposals.append([Proposal(lr, hrs[owner], Source.HASH) for owner in _nearest(near, number)])
        counts.append(sum(len(owners) for _, owners in near))
    return proposals, counts


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
