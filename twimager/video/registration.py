"""Where the LR frame lies in the HR frame, found on thumbnails of frames that show the same."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.video.descriptors import Area, Describer, Framing, framing_of

Thumbnails = NDArray[np.uint8]
Edges = NDArray[np.float64]
# Shares of the HR's sides that the LR may show, if they don't agree without; above 1 the LR shows more.
CROPS = (1.0, 0.92, 0.85, 0.78, 1 / 0.92, 1 / 0.85)
# The mean correlation of the best matches with which the first is good enough: the right one has 0.95 or more, and one
# that is off by a twentieth of a side 0.6 to 0.8, on films of pans over photographs and on clips.
AGREED = 0.85
# Steps by which edges are moved until correlations rise no more, in shares of a side, so many times each.
STEPS, SWEEPS = (0.04, 0.02, 0.01), 4
# Steps of Gauss-Newton; the differences, in shares of a side, that its derivatives are of; and a step that is the last.
ITERATIONS, DIFFERENCE, STILL = 6, 0.004, 1e-4
# The share of the worst frames that are left out: some matches are wrong.
WORST = 3


class Pairs(NamedTuple):
    """Thumbnails of frames that show the same, (n, side, side) each; and of the HR frames before and after them."""

    lr: Thumbnails
    hr: Thumbnails
    before: Thumbnails
    after: Thumbnails


def search_framing(lr: Thumbnails, hr: Thumbnails, areas: tuple[Area, Area]) -> Describer:
    """Return what describes both videos, in the framing in which LR frames find their like among HR frames best."""

    def agreement(describer: Describer) -> float:
        best = (describer.lr(lr) @ describer.hr(hr).T).max(axis=1)
        return float(np.sort(best)[len(best) // 4 :].mean())

    plain = Describer(*areas, framing_of(*areas))
    if agreement(plain) >= AGREED:
        return plain
    return max((Describer(*areas, framing_of(*areas, keep)) for keep in product(CROPS, CROPS)), key=agreement)


def refine_framing(describer: Describer, pairs: Pairs) -> Describer:
    """Return what describes both videos, in the framing in which pairs of frames correlate most.

    Coarsely by moving edges one at a time, then by Gauss-Newton. What a frame differs by may be that it is of another
    moment: what changes between its neighbours is therefore taken out of each frame, and out of the derivatives.
    """
    edges = _moved_coarsely(describer, pairs)
    for _ in range(ITERATIONS):
        step = _step(_at(describer, edges), edges, pairs)
        edges = edges + step
        if np.abs(step).max() < STILL:
            break
    return _at(describer, edges) if np.isfinite(edges).all() else describer


def _at(describer: Describer, edges: Edges) -> Describer:
    """Return what describes in the framing whose left, right, top and bottom edges lie there in the HR."""
    left, right, top, bottom = map(float, edges)
    return describer.at(Framing((right - left, left), (bottom - top, top)))


def _edges(framing: Framing) -> Edges:
    return np.array([(shift, shift + scale) for scale, shift in framing]).ravel()


def _moved_coarsely(describer: Describer, pairs: Pairs) -> Edges:
    def agreement(edges: Edges) -> float:
        moved = _at(describer, edges)
        scores = np.einsum("ij,ij->i", moved.lr(pairs.lr), moved.hr(pairs.hr))
        return float(np.sort(scores)[len(scores) // WORST :].mean())

    edges = _edges(describer.framing)
    best = agreement(edges)
    if best >= AGREED:
        return edges
    for step in STEPS:
        edges, best = _climbed(agreement, edges, best, step)
    return edges


def _climbed(agreement: Callable[[Edges], float], edges: Edges, best: float, step: float) -> tuple[Edges, float]:
    """Return edges that are moved by steps as long as they agree better, and how well they do."""
    moves = np.concatenate([np.eye(4), [[1, 1, 0, 0], [0, 0, 1, 1], [1, -1, 0, 0], [0, 0, 1, -1]]])
    for _ in range(SWEEPS):
        before = best
        for move in (*moves, *-moves):
            if (score := agreement(edges + step * move)) > best:
                edges, best = edges + step * move, score
        if best == before:
            break
    return edges, best


def _step(describer: Describer, edges: Edges, pairs: Pairs) -> Edges:
    """Return the step of Gauss-Newton, (4,)."""
    lr, hr = describer.lr(pairs.lr), describer.hr(pairs.hr)
    motion = describer.hr(pairs.after) - describer.hr(pairs.before)
    motion /= np.maximum(np.linalg.norm(motion, axis=1, keepdims=True), MIN_MOTION)

    def unmoved(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(vectors - (vectors * motion).sum(axis=1, keepdims=True) * motion, np.float32)

    residual = unmoved(lr - hr)
    errors = (residual**2).sum(axis=1)
    kept = errors <= np.quantile(errors, 1 - 1 / WORST)
    # Pixels that differ in all frames, as those of a logo, count less.
    variance = (residual[kept] ** 2).mean(axis=0)
    weight = 1 / (variance + np.median(variance) + 1e-9)
    columns = []
    for axis in np.eye(4):
        wider, narrower = (describer.moved(_at(describer, edges + sign * DIFFERENCE * axis).framing).hr(pairs.hr)
                           for sign in (1, -1))  # fmt: skip
        columns.append((unmoved(wider - narrower)[kept] / (2 * DIFFERENCE)).ravel())
    jacobian = np.stack(columns, axis=1).astype(np.float64)
    weights = np.broadcast_to(weight, residual[kept].shape).ravel()
    normal = jacobian.T @ (jacobian * weights[:, None])
    pull = jacobian.T @ (weights * residual[kept].ravel())
    step = np.linalg.solve(normal + RIDGE * np.trace(normal) * np.eye(4), pull)
    return np.clip(step, -MAX_STEP, MAX_STEP)


# Descriptors of neighbours that differ by less do so by noise alone.
MIN_MOTION = 0.02
# Keeps what can't be told from moving far, and steps from overshooting, in shares of a side.
RIDGE, MAX_STEP = 1e-4, 0.01
