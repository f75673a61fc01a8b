"""The geometry that the pairs of two videos share, where it is steady: each pair is aligned by that of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twimager.align.matching import Match
from twimager.fingerprint.working_image import WORKING_SIDE
from twimager.geometry import Matrix, Size, frame_corners, transform_points, translation
from twimager.options import PairSettings
from twimager.pairing.by_parts import agreement_of
from twimager.pairing.candidates import overlaid
from twimager.pairing.registration import moved_to
from twimager.pairing.verification import verify_registered
from twimager.pairs import Candidate, RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.runtime.pool import Workers

# So many pairs tell what they share.
LEAST = 8
# Geometry is steady where a quarter of the pairs' own transforms is off the pooled one, in the centre, by no more than
# so many pixels of the LR's working image, and the pooled one leaves, in the median, no more than this share more of
# the LR unexplained. In eight test films of one geometry they are off by 0.003 to 0.009, and 0 to 0.005 more is
# unexplained; in ones that weave by 0.02, 0.05 and 0.1 pixels (sigma) by 0.016, 0.05 and 0.12, and 0.006, 0.04 and 0.2.
STEADY, USUAL_LOSS = 0.012, 0.006
# Where they are off by no more than this, it is steady, whatever is left unexplained: what moves is dragged along by
# strong compression, and transforms with it, by up to 0.07 pixels.
VERY_STEADY = 0.003
# So it is where they are off by up to this, but pairs of one shot by no more than this share of it from one another:
# weave is another in each frame, where compression drags along what moves the same way all through a shot. In films of
# pans in H.264 the share is 0.3 to 0.55, in MPEG-2 0.6 and more, in what weaves 1.4.
MOST_DRAGGED, SHARE_IN_SHOT, LEAST_SHOTS = 0.03, 0.6, 5
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
    shots : of each pair, which shot it is of
    losses : of each pair that passes the gates so, how much more of the LR the pooled transform leaves unexplained
    is_sure : whether it is known that all pairs have one geometry
    """

    lr: Size
    hr: Size
    is_sure: bool = False
    places: list[NDArray[np.float64]] = field(default_factory=list)
    shots: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def add(self, pair: VerifiedPair, shot: int) -> None:
        """Enter the own transform of a pair of a shot."""
        self.places.append(self._place(pair))
        self.shots.append(shot)

    def distance(self, pair: VerifiedPair) -> float | None:
        """Return how far a pair's own transform is off the pooled one, LR pixels, in the centre; None of few pairs."""
        if len(self.places) < LEAST:
            return None
        return float(np.linalg.norm(self._place(pair)[-1] - np.median(self.places, axis=0)[-1]))

    @property
    def weave(self) -> float | None:
        """How far the pairs' own transforms are off the pooled one, LR pixels, in the centre and the median."""
        return float(np.median(self._distances)) if len(self.places) >= LEAST else None

    @property
    def matrix(self) -> Matrix | None:
        """The pooled transform, affine, (3, 3), from HR to LR frames: the median; None where pairs are few or weave."""
        if len(self.places) < LEAST or not (self.is_sure or self._quarter_off <= STEADY or self._is_dragged):
            return None
        pooled, points = np.median(self.places, axis=0), self._points
        known = np.column_stack([points, np.ones(len(points))])
        return np.vstack([np.linalg.lstsq(known, pooled, rcond=None)[0].T, [0.0, 0.0, 1.0]])

    @property
    def explains(self) -> bool:
        """Whether there is a pooled transform, and it explains the LRs as well as their own ones do."""
        if self.matrix is None:
            return False
        is_steady = self.is_sure or self._quarter_off <= VERY_STEADY or self._is_dragged
        return is_steady or (bool(self.losses) and float(np.median(self.losses)) <= USUAL_LOSS)

    def _place(self, pair: VerifiedPair) -> NDArray[np.float64]:
        lr, hr = (image.picture for image in pair.proposal.images)
        between_frames = translation(lr.x, lr.y) @ pair.match.matrix @ translation(-hr.x, -hr.y)
        return transform_points(between_frames, self._points)

    @property
    def _is_dragged(self) -> bool:
        """Whether own transforms differ by little, and as shots do."""
        of_shots: dict[int, list[NDArray[np.float64]]] = {}
        for shot, place in zip(self.shots, self.places, strict=True):
            of_shots.setdefault(shot, []).append(place[-1])
        within = [float(np.linalg.norm(b - a)) for places in of_shots.values() for a, b in pairwise(places)]
        if len(within) < LEAST_SHOTS or self._quarter_off > MOST_DRAGGED:
            return False
        return bool(np.median(within) <= SHARE_IN_SHOT * np.median(self._distances))

    @property
    def _quarter_off(self) -> float:
        """By how many pixels of the LR's working image a quarter of the transforms is off the pooled one, or less."""
        return float(np.percentile(self._distances, 25)) / max(1.0, min(self.lr) / WORKING_SIDE)

    @property
    def _distances(self) -> NDArray[np.float64]:
        centres = np.array(self.places)[:, -1]
        return np.asarray(np.linalg.norm(centres - np.median(centres, axis=0), axis=1))

    @property
    def _points(self) -> NDArray[np.float64]:
        corners = frame_corners(self.hr)
        return np.vstack([corners, corners.mean(axis=0)])


class Pooled(NamedTuple):
    """A pair, the shot that it is of, and the pool of its transform, None if it is of another kind: not affine."""

    pair: VerifiedPair
    shot: int
    pool: Pool | None


class Steadied(NamedTuple):
    """A pair, and whether it is at odds with what explains the others: framed in another way, or of another moment."""

    pair: VerifiedPair
    is_doubtful: bool


def is_affine(pair: VerifiedPair) -> bool:
    """Return whether a pair's transform is affine, and nothing else."""
    return pair.match.displacement is None and not pair.match.matrix[2, :2].any()


def steadied(known: Sequence[Pooled], workers: Workers, settings: PairSettings) -> Iterator[Steadied]:
    """Yield pairs aligned by what their transforms, and those before, have in common, where that explains as much.

    Pairs of one geometry differ by the errors of their alignment alone, which are larger where a frame is dark, say.
    """
    for pair, shot, pool in known:
        if pool:
            pool.add(pair, shot)
    matrices = {id(pool): pool.matrix for *_, pool in known if pool}
    tasks = [([pair.proposal], matrices.get(id(pool))) for pair, _, pool in known]
    moved = list(workers.map_shards(partial(_placed, settings=settings), tasks))
    for (pair, _, pool), other in zip(known, moved, strict=True):
        if pool and other:
            pool.losses.append(_loss(pair, other))
    explaining = {id(pool) for *_, pool in known if pool and pool.explains}
    for (pair, _, pool), other in zip(known, moved, strict=True):
        own = pair._replace(weave=pool.distance(pair) if pool else None)
        if pool and other and id(pool) in explaining and (pool.is_sure or is_explained(pair, other)):
            # All else that is known of the pair stays.
            pooled = own._replace(
                match=replace(pair.match, matrix=other.match.matrix), scores=other.scores, common=other.common,
                window=other.window, agreement=other.agreement,
            )  # fmt: skip
            yield Steadied(pooled, is_doubtful=False)
        else:
            yield Steadied(own, is_doubtful=id(pool) in explaining)


def placed(
    tasks: Sequence[tuple[Sequence[Proposal], Pool | None]], workers: Workers, settings: PairSettings
) -> Iterator[VerifiedPair | None]:
    """Yield, of each LR's proposals, the one that is most like it by its pool's transform.

    None if that does not pass the gates so, or the pool does not explain its pairs.
    """
    known = ((proposals, pool.matrix if pool and pool.explains else None) for proposals, pool in tasks)
    return workers.map_shards(partial(_placed, settings=settings), known)


def _placed(task: tuple[Sequence[Proposal], Matrix | None], settings: PairSettings) -> VerifiedPair | None:
    """Worker task: return the proposal that is most like its LR by a matrix between frames, if it passes the gates."""
    proposals, between_frames = task
    if between_frames is None:
        return None
    found = filter(None, (_moved(proposal, between_frames) for proposal in proposals))
    best = max(found, key=lambda candidate: candidate.scores.correlation, default=None)
    pair = best and verify_registered(best, agreement_of(best), settings)
    return pair if isinstance(pair, VerifiedPair) else None


def _moved(proposal: Proposal, between_frames: Matrix) -> Candidate | None:
    """Return a proposal aligned by a matrix between frames; None if both have next to nothing in common so."""
    lr, hr = (image.picture for image in proposal.images)
    found = Match(translation(-lr.x, -lr.y) @ between_frames @ translation(hr.x, hr.y), None)
    candidate = overlaid(proposal, found)
    return None if isinstance(candidate, RejectedPair) else moved_to(candidate, found.matrix)


def is_explained(pair: VerifiedPair, other: VerifiedPair) -> bool:
    """Return whether another alignment of a pair's LR, or another frame, explains that nearly as well."""
    return _loss(pair, other) <= MOST_LOSS


def _loss(pair: VerifiedPair, other: VerifiedPair) -> float:
    """Return how much more of a pair's LR another alignment leaves unexplained, as a share of what its own does."""
    own, left = (1 - one.scores.correlation**2 for one in (pair, other))
    return left / max(own, 1e-9) - 1
