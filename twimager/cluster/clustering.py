"""Put hashes into groups: hierarchical clustering by the share of bits in which they differ, for any number of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from twimager.cluster.agglomeration import agglomerate
from twimager.errors import UsageError
from twimager.propose.by_hash import range_search

# So many are compared each with each: 64 MB of distances, and as much again for SciPy's own copy.
MATRIX_UP_TO = 4000
# Complete linkage knows no other way than each with each; this many take 800 MB.
COMPLETE_UP_TO = 10_000
# In bits: mean distances in single precision are as exact as that.
ROUNDING = 1e-3

Labels = NDArray[np.intp]
# (n, bytes): the bits of n hashes, the first in the highest place.
Packed = NDArray[np.uint8]


class Linkage(str, Enum):
    """How far two groups are apart: the mean over their couples, of their halves in turn, the least, the most."""

    AVERAGE = "average"
    WEIGHTED = "weighted"
    SINGLE = "single"
    COMPLETE = "complete"


def packed(hashes: Sequence[int], bits: int) -> Packed:
    """Return hashes of so many bits as rows of whole bytes."""
    length = (bits + 7) // 8
    return np.frombuffer(b"".join(value.to_bytes(length, "big") for value in hashes), np.uint8).reshape(-1, length)


def grouped(hashes: Packed, bits: int, similarity: float, linkage: Linkage, matrix_up_to: int = MATRIX_UP_TO) -> Labels:
    """Return the number (n,) of each hash's group, in the order of their first members.

    Groups are joined, the nearest first, as long as they differ in no more than a share of `similarity` (0..1) of
    their bits: hierarchical clustering, cut at that height. Up to `matrix_up_to` hashes that is SciPy's on the full
    matrix of distances. Beyond, what is that near to no member of a group can't join it, under any of the linkages:
    groups are looked for inside the connected components of the graph of near hashes, and the groups are the same but
    where several couples are equally near.

    Raises
    ------
    UsageError
        If so many are connected that `Linkage.COMPLETE` would need too much memory.
    """
    if similarity >= 1:
        return np.zeros(len(hashes), np.intp)
    if len(hashes) <= matrix_up_to:
        return renumbered(_by_matrix(hashes, bits, similarity, linkage))
    labels = _components(hashes, int(similarity * bits + ROUNDING))
    if linkage is not Linkage.SINGLE:
        first = 0
        for members in list(members_of(labels)):
            labels[members] = first + _inside(hashes[members], bits, similarity, linkage, matrix_up_to)
            first += len(members)
    return renumbered(labels)


def renumbered(labels: Labels) -> Labels:
    """Return labels by which groups are numbered in the order of their first members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse.reshape(-1)], np.intp)


def members_of(labels: Labels) -> Iterator[Labels]:
    """Yield the places of each group's members."""
    order = np.argsort(labels, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _inside(hashes: Packed, bits: int, similarity: float, linkage: Linkage, matrix_up_to: int) -> Labels:
    """Return the groups in one component, by numbers below that of its members."""
    if len(hashes) <= (max(matrix_up_to, COMPLETE_UP_TO) if linkage is Linkage.COMPLETE else matrix_up_to):
        return _by_matrix(hashes, bits, similarity, linkage)
    if linkage is Linkage.COMPLETE:
        raise UsageError(
            f"--linkage complete: {len(hashes)} images hang together, {COMPLETE_UP_TO} at most can be compared each "
            "with each; lower --similarity, or raise --hash_size"
        )
    points, point_of, counts = np.unique(hashes, axis=0, return_inverse=True, return_counts=True)
    labels = agglomerate(points, counts, similarity * bits + ROUNDING, linkage is Linkage.WEIGHTED)
    return labels[point_of.reshape(-1)]


def _by_matrix(hashes: Packed, bits: int, similarity: float, linkage: Linkage) -> Labels:
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import pdist

    if len(hashes) < 2:
        return np.zeros(len(hashes), np.intp)
    single = np.unpackbits(hashes, axis=1)[:, -bits:].astype(bool)
    tree = hierarchy.linkage(pdist(single, "hamming"), linkage.value)
    return np.asarray(hierarchy.fcluster(tree, similarity, "distance") - 1, np.intp)


def _components(hashes: Packed, distance: int) -> Labels:
    """Return the number (n,) of each hash's component, hashes at most `distance` bits apart being connected."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    points, point_of = np.unique(hashes, axis=0, return_inverse=True)
    labels: Labels = np.arange(len(points))
    done = 0
    # The graph is never held as a whole: in a dense one there would be no room for it.
    for starts, _, near in range_search(points, points, distance):
        ends = starts.astype(np.int64)
        counts = ends[1:] - ends[:-1]
        a, b = labels[np.repeat(np.arange(done, done + len(counts)), counts)], labels[near]
        new = np.flatnonzero(a != b)
        edges = coo_array((np.ones(len(new), bool), (a[new], b[new])), shape=(len(points), len(points)))
        labels = np.asarray(connected_components(edges, directed=False)[1], np.intp)[labels]
        done += len(counts)
    return labels[point_of.reshape(-1)]
