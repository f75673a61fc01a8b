"""Hierarchical clustering of hashes by the share of bits in which they differ, for any number of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from twimager.cluster.agglomeration import agglomerate
from twimager.errors import UsageError
from twimager.propose.by_hash import range_search

# So many have a full matrix of distances: 64 MB, and as much again for SciPy's own copy.
MATRIX_UP_TO = 4000
# Complete linkage needs that matrix; for so many it takes 800 MB.
COMPLETE_UP_TO = 10_000
# In bits: mean distances in single precision are as exact as that.
ROUNDING = 1e-3

Labels = NDArray[np.intp]
# (n, bytes): the bits of n hashes, the most significant first.
PackedHashes = NDArray[np.uint8]


class Linkage(str, Enum):
    """The distance of two clusters.

    It is the mean over all pairs of their members (UPGMA), the least or the greatest; weighted, it is the mean of the
    distances of the two clusters that were merged last (WPGMA).
    """

    AVERAGE = "average"
    WEIGHTED = "weighted"
    SINGLE = "single"
    COMPLETE = "complete"


def pack_hashes(hashes: Sequence[int], bits: int) -> PackedHashes:
    """Return n hashes of so many bits as rows (n, bytes) of whole bytes."""
    length = (bits + 7) // 8
    return np.frombuffer(b"".join(value.to_bytes(length, "big") for value in hashes), np.uint8).reshape(-1, length)


def cluster_hashes(
    hashes: PackedHashes, bits: int, similarity: float, linkage: Linkage, matrix_up_to: int = MATRIX_UP_TO
) -> Labels:
    """Return the number (n,) of each hash's cluster, in the order of their first members.

    Clusters are merged, the nearest first, as long as their distance is no more than `similarity`: hierarchical
    clustering, cut at that height. Up to `matrix_up_to` hashes that is SciPy's on the full matrix of distances. Beyond,
    what is that near to no member of a cluster can't join it, under any of the linkages: clusters are looked for inside
    the connected components of the graph of near hashes, and are the same but where several distances are equal.

    Parameters
    ----------
    hashes : (n, bytes), as `pack_hashes` returns them
    bits : of each hash
    similarity : share of the bits, 0..1, in which the hashes of a cluster may differ
    linkage : the distance of two clusters
    matrix_up_to : how many hashes, at most, have a full matrix of distances

    Raises
    ------
    UsageError
        If so many are connected that `Linkage.COMPLETE` would need too much memory.
    """
    if similarity >= 1:
        return np.zeros(len(hashes), np.intp)
    if len(hashes) <= matrix_up_to:
        return renumber(_by_matrix(hashes, bits, similarity, linkage))
    labels = _components(hashes, int(similarity * bits + ROUNDING))
    if linkage is not Linkage.SINGLE:
        first = 0
        for members in list(members_of(labels)):
            labels[members] = first + _split_component(hashes[members], bits, similarity, linkage, matrix_up_to)
            first += len(members)
    return renumber(labels)


def renumber(labels: Labels) -> Labels:
    """Return labels (n,) by which clusters are numbered in the order of their first members."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse.reshape(-1)], np.intp)


def members_of(labels: Labels) -> Iterator[Labels]:
    """Yield the indices (members,) of each cluster's members."""
    order = np.argsort(labels, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _split_component(hashes: PackedHashes, bits: int, similarity: float, linkage: Linkage, matrix_up_to: int) -> Labels:
    """Return the cluster of each hash of one component, by numbers below that of its hashes."""
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


def _by_matrix(hashes: PackedHashes, bits: int, similarity: float, linkage: Linkage) -> Labels:
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import pdist

    if len(hashes) < 2:
        return np.zeros(len(hashes), np.intp)
    single = np.unpackbits(hashes, axis=1)[:, -bits:].astype(bool)
    tree = hierarchy.linkage(pdist(single, "hamming"), linkage.value)
    return np.asarray(hierarchy.fcluster(tree, similarity, "distance") - 1, np.intp)


def _components(hashes: PackedHashes, distance: int) -> Labels:
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
