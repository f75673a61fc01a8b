"""Put hashes into groups: hierarchical clustering by the share of bits in which they differ, for any number of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from twimager.errors import UsageError
from twimager.propose.by_hash import range_search

# So many are compared each with each: 64 MB of distances, and as much again for SciPy's own copy.
MATRIX_UP_TO = 4000
# Complete linkage knows no other way than each with each; this many take 800 MB.
COMPLETE_UP_TO = 10_000
# Distances computed in one go: 64 MB.
DISTANCES_AT_ONCE = 16_000_000
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
    points, point_of = np.unique(hashes, axis=0, return_inverse=True)
    component_of = _components(points, int(similarity * bits + ROUNDING))[point_of.reshape(-1)]
    if linkage is Linkage.SINGLE:
        return renumbered(component_of)
    labels = np.empty(len(hashes), np.intp)
    for members in members_of(component_of):
        labels[members] = members[_inside(hashes[members], bits, similarity, linkage, matrix_up_to)]
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
    """Return the groups in one component, each named by the place of one of its members."""
    if len(hashes) <= matrix_up_to or (linkage is Linkage.COMPLETE and len(hashes) <= COMPLETE_UP_TO):
        labels = _by_matrix(hashes, bits, similarity, linkage)
        return np.asarray(np.unique(labels, return_index=True)[1][_ranks(labels)], np.intp)
    if linkage is Linkage.COMPLETE:
        raise UsageError(
            f"--linkage complete: {len(hashes)} images hang together, {COMPLETE_UP_TO} at most can be compared each "
            "with each; lower --similarity, or raise --hash_size"
        )
    points, first, point_of, counts = np.unique(
        hashes, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    most = similarity * bits + ROUNDING
    return np.asarray(first[_in_rounds(points, counts, most, linkage)[point_of.reshape(-1)]], np.intp)


def _ranks(labels: Labels) -> Labels:
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def _by_matrix(hashes: Packed, bits: int, similarity: float, linkage: Linkage) -> Labels:
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import pdist

    if len(hashes) < 2:
        return np.zeros(len(hashes), np.intp)
    single = np.unpackbits(hashes, axis=1)[:, -bits:].astype(bool)
    tree = hierarchy.linkage(pdist(single, "hamming"), linkage.value)
    return np.asarray(hierarchy.fcluster(tree, similarity, "distance"), np.intp)


def _components(points: Packed, distance: int) -> Labels:
    """Return the number of each point's component, points at most `distance` bits apart being connected."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    labels: Labels = np.arange(len(points), dtype=np.intp)
    asked = 0
    for starts, _, near in range_search(points, points, distance):
        ends = starts.astype(np.int64)
        askers = asked + np.repeat(np.arange(len(ends) - 1), ends[1:] - ends[:-1])
        asked += len(ends) - 1
        a, b = labels[askers], labels[near]
        # The graph is never held as a whole: in a dense one there would be no room for it.
        if new := np.flatnonzero(a != b).tolist():
            edges = coo_array((np.ones(len(new), bool), (a[new], b[new])), shape=(len(points), len(points)))
            labels = np.asarray(connected_components(edges, directed=False)[1], np.intp)[labels]
    return labels


def _in_rounds(points: Packed, counts: NDArray[np.intp], most: float, linkage: Linkage) -> Labels:
    """Return the groups of points, of which there are several each, named by a point, without a matrix of distances.

    The mean distance between two groups follows from how often each bit is set in either. All groups that are each
    other's nearest are joined at once, which leads to the same tree (Murtagh, 1983); who has nobody within `most` bits
    has done.
    """
    labels = np.arange(len(points))
    names, sizes, means = labels, counts.astype(np.float64), np.unpackbits(points, axis=1).astype(np.float32)
    nearest, distances, stale = np.zeros_like(names), np.zeros(len(names)), names
    while len(names) > 1:
        nearest[stale], distances[stale] = _nearest(means, stale)
        rows, near = np.arange(len(names)), distances <= most
        first = rows[near & near[nearest] & (nearest[nearest] == rows) & (rows < nearest)]
        if not len(first):  # equally near ones, told apart by roundings
            first = distances.argmin(axis=0, keepdims=True)
            if distances[first] > most:
                break
        second = nearest[first]
        share = 0.5 if linkage is Linkage.WEIGHTED else (sizes[first] / (sizes[first] + sizes[second]))[:, None]
        means[first] = share * means[first] + (1 - share) * means[second]
        sizes[first] += sizes[second]
        renamed = np.arange(len(points))
        renamed[names[second]] = names[first]
        labels = renamed[labels]
        changed, kept = np.zeros((2, len(names)), bool)
        changed[first] = changed[second] = True
        kept[near] = True
        kept[first], kept[second] = True, False
        place = np.where(kept, np.cumsum(kept) - 1, -1)
        anew = changed | changed[nearest] | (place[nearest] < 0)
        names, sizes, means, distances = names[kept], sizes[kept], means[kept], distances[kept]
        nearest, stale = place[nearest[kept]], np.flatnonzero(anew[kept])
    return np.asarray(labels, np.intp)


def _nearest(means: NDArray[np.float32], rows: Labels) -> tuple[Labels, NDArray[np.float64]]:
    """Return which other group is the nearest to each of `rows`, and how many bits away."""
    sums = means.sum(axis=1)
    places, distances = np.empty(len(rows), np.intp), np.empty(len(rows))
    step = max(1, DISTANCES_AT_ONCE // len(means))
    for start in range(0, len(rows), step):
        asked = rows[start : start + step]
        apart = np.dot(means[asked], -2 * means.T)
        apart += sums
        apart[np.arange(len(asked)), asked] = np.inf
        best = apart.argmin(axis=1)
        places[start : start + step] = best
        distances[start : start + step] = apart[np.arange(len(asked)), best] + sums[asked]
    return places, distances
