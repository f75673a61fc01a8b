"""Average and weighted linkage of many bit strings, without a matrix of their distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Distances computed in one go: 64 MB.
DISTANCES_AT_ONCE = 16_000_000

Indices = NDArray[np.intp]


def agglomerate(points: NDArray[np.uint8], counts: Indices, most: float, weighted: bool) -> Indices:
    """Return the cluster (n,) of each point, named by the index of one of its points.

    The mean distance of two clusters follows from how often each bit is set in either. All that are mutual nearest
    neighbours are merged at once, which leads to the same tree (Murtagh, A survey of recent advances in hierarchical
    clustering algorithms, 1983). A cluster with none within `most` bits is final: merging others brings none nearer.

    Parameters
    ----------
    points : (n, bytes), bit strings, each once
    counts : (n,), how often each occurs
    most : in bits, the distance up to which clusters are merged
    weighted : whether both halves of a cluster count the same (WPGMA), instead of all members (UPGMA)
    """
    means, sizes = np.unpackbits(points, axis=1).astype(np.float32), counts.astype(np.float64)
    labels = active = stale = np.arange(len(points))
    nearest, distances = np.zeros_like(labels), np.zeros(len(labels))
    while len(active) > 1:
        nearest[stale], distances[stale] = _nearest(means, active, stale)
        changed = distances > most
        active = active[~changed[active]]
        if not len(active):
            break
        first = active[(nearest[nearest[active]] == active) & (active < nearest[active])]
        if not len(first):  # equally near ones, told apart by roundings
            first = active[distances[active].argmin(axis=0, keepdims=True)]
        second = nearest[first]
        share = 0.5 if weighted else (sizes[first] / (sizes[first] + sizes[second]))[:, None]
        means[first] = share * means[first] + (1 - share) * means[second]
        sizes[first] += sizes[second]
        merged_into = np.arange(len(points))
        merged_into[second] = first
        labels = merged_into[labels]
        changed[first] = changed[second] = True
        active = np.setdiff1d(active, second)
        stale = active[changed[active] | changed[nearest[active]]]
    return labels


def _nearest(means: NDArray[np.float32], active: Indices, rows: Indices) -> tuple[Indices, NDArray[np.float64]]:
    """Return the active cluster (rows,) that is nearest to each of `rows` but itself, and their distances in bits."""
    others = means[active]
    sums, columns = others.sum(axis=1), -2 * others.T
    nearest, distances = np.empty(len(rows), np.intp), np.empty(len(rows))
    step = max(1, DISTANCES_AT_ONCE // len(active))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        every, own = np.arange(len(part)), np.searchsorted(active, part)
        apart = np.dot(means[part], columns)
        apart += sums
        apart[every, own] = np.inf
        best = apart.argmin(axis=1)
        nearest[start : start + step] = active[best]
        distances[start : start + step] = apart[every, best] + sums[own]
    return nearest, distances
