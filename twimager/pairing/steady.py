"""The geometry that the pairs of two videos share, where it is steady: each pair is aligned by that of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.fingerprint.working_image import WORKING_SIDE
from twimager.geometry import Matrix, Size, frame_corners, transform_points, translation
from twimager.options import PairSettings
from twimager.pairing.by_parts import agreement_of
from twimager.pairing.candidates import overlaid
from twimager.pairing.registration import moved_to
from twimager.pairing.verification import verify_registered
from twimager.pairs import RejectedPair, VerifiedPair
from twimager.runtime.pool import Workers

# So many pairs tell what they share.
LEAST = 8
# Geometry is steady where a quarter of the pairs' own transforms is off the pooled one, in the centre, by no more than
# so many pixels of the LR's working image, and the pooled one leaves, in the median, no more than this share more of
# the LR unexplained. In eight test films of one geometry they are off by 0.003 to 0.009, and 0 to 0.005 more is
# unexplained; in ones that weave by 0.02, 0.05 and 0.1 pixels (sigma) by 0.016, 0.05 and 0.12, and 0.006, 0.04 and 0.2.
STEADY, USUAL_LOSS = 0.012, 0.006
# A pair of which that share is larger keeps its own transform: its frame is framed in another way, or of another
# moment.
MOST_LOSS = 0.1


@dataclass(frozen=True)
class Pool:
    """The transforms of pairs of two videos, whose frames have one size each.

    Attributes
    ----------
    lr, hr : (width, height) of the frames, with black bars
    places : of each pair, (5, 2), where its HR frame's corners and its centre lie in the LR frame
    losses : of each pair that passes the gates so, how much more of the LR the pooled transform leaves unexplained
    """

    lr: Size
    hr: Size
    places: list[NDArray[np.float64]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def add(self, pair: VerifiedPair) -> None:
        """Enter a pair's own transform."""
        lr, hr = (image.picture for image in pair.proposal.images)
        between_frames = translation(lr.x, lr.y) @ pair.match.matrix @ translation(-hr.x, -hr.y)
        self.places.append(transform_points(between_frames, self._points))

    @property
    def weave(self) -> float | None:
        """How far the pairs' own transforms are off the pooled one, LR pixels, in the centre and the median."""
        return float(np.median(self._distances)) if len(self.places) >= LEAST else None

    @property
    def matrix(self) -> Matrix | None:
        """The pooled transform, affine, (3, 3), from HR to LR frames: the median; None where pairs are few or weave."""
        most = STEADY * max(1.0, min(self.lr) / WORKING_SIDE)
        if len(self.places) < LEAST or np.percentile(self._distances, 25) > most:
            return None
        pooled, points = np.median(self.places, axis=0), self._points
        known = np.column_stack([points, np.ones(len(points))])
        return np.vstack([np.linalg.lstsq(known, pooled, rcond=None)[0].T, [0.0, 0.0, 1.0]])

    @property
    def explains(self) -> bool:
        """Whether the pooled transform explains the LRs as well as their own ones do."""
        return bool(self.losses) and float(np.median(self.losses)) <= USUAL_LOSS

    @property
    def _distances(self) -> NDArray[np.float64]:
        centres = np.array(self.places)[:, -1]
        return np.asarray(np.linalg.norm(centres - np.median(centres, axis=0), axis=1))

    @property
    def _points(self) -> NDArray[np.float64]:
        corners = frame_corners(self.hr)
        return np.vstack([corners, corners.mean(axis=0)])


class Pooled(NamedTuple):
    """A pair and the pool of its transform, None if it is of another kind: not affine."""

    pair: VerifiedPair
    pool: Pool | None


def is_affine(pair: VerifiedPair) -> bool:
    """Return whether a pair's transform is affine, and nothing else."""
    return pair.match.displacement is None and not pair.match.matrix[2, :2].any()


def steadied(known: Sequence[Pooled], workers: Workers, settings: PairSettings) -> Iterator[VerifiedPair]:
    """Yield pairs aligned by what their transforms, and those before, have in common, where that explains as much.

    Pairs of one geometry differ by the errors of their alignment alone, which are larger where a frame is dark, say.
    """
    for pair, pool in known:
        if pool:
            pool.add(pair)
    matrices = {id(pool): pool.matrix for _, pool in known if pool}
    tasks = [(pair, matrices.get(id(pool))) for pair, pool in known]
    moved = list(workers.map_shards(partial(_moved, settings=settings), tasks))
    for (pair, pool), other in zip(known, moved, strict=True):
        if pool and other:
            pool.losses.append(_loss(pair, other))
    for (pair, pool), other in zip(known, moved, strict=True):
        is_as_good = pool and other and pool.explains and _loss(pair, other) <= MOST_LOSS
        yield other if other and is_as_good else pair


def _moved(task: tuple[VerifiedPair, Matrix | None], settings: PairSettings) -> VerifiedPair | None:
    """Worker task: return a pair aligned by a matrix between frames; None if there is none, or it passes no gate so."""
    pair, between_frames = task
    if between_frames is None:
        return None
    lr, hr = (image.picture for image in pair.proposal.images)
    found = replace(pair.match, matrix=translation(-lr.x, -lr.y) @ between_frames @ translation(hr.x, hr.y))
    candidate = overlaid(pair.proposal, found)
    moved = None if isinstance(candidate, RejectedPair) else moved_to(candidate, found.matrix)
    other = moved and verify_registered(moved, agreement_of(moved), settings)
    if not isinstance(other, VerifiedPair):
        return None
    return other._replace(rivals=pair.rivals, score_gap=pair.score_gap, native_scale=pair.native_scale)


def _loss(pair: VerifiedPair, other: VerifiedPair) -> float:
    """Return how much more of a pair's LR another alignment leaves unexplained, as a share of what its own does."""
    own, left = (1 - one.scores.correlation**2 for one in (pair, other))
    return left / max(own, 1e-9) - 1
