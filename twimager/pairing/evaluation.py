"""The evaluation of one LR's proposals, as text and back: what the store keeps of it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

import numpy as np

from twimager.align.matching import Match, implausible
from twimager.errors import Reason, Rejection
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.geometry import Matrix, Rect, mirroring
from twimager.image.displacement import Displacement
from twimager.options import PairSettings
from twimager.pairs import Choice, Deferred, RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.verify.scores import Scores

# What a matrix, or a number of an evaluation, is at most; only what is damaged has more.
MAX_CONDITION = 1e14
MAX_NUMBER = 1e12


class Evaluation(NamedTuple):
    """The evaluation of one LR's proposals: the pairs that pass, the best first, those deferred, and the others."""

    pairs: list[VerifiedPair]
    deferred: list[Deferred]
    rejected: list[RejectedPair]

    @property
    def choices(self) -> list[Choice]:
        """All that the LR may be paired with, the best first."""
        return [*self.pairs, *self.deferred]


def cache_key(kind: str, settings: PairSettings, proposals: Sequence[Proposal], starts: Sequence[Match] = ()) -> str:
    """Return all that an evaluation depends on beside the images' contents: the same text, the same evaluation.

    Parameters
    ----------
    kind : which evaluation it is
    settings : what it was given
    proposals : of one LR
    starts : the transforms that it starts from, where those are known
    """
    matrices = [start.matrix.tolist() for start in starts]
    return repr((kind, settings, matrices, [(p.source, p.mirrored, *map(_as_read, p.images)) for p in proposals]))


def _as_read(image: Fingerprint) -> tuple[bool, int, int]:
    """Return how an image was read, and a checksum of its features: some are read again for more."""
    return image.srgb, image.missing, zlib.crc32(image.known_features.points.tobytes())


def failure(evaluation: Evaluation) -> Rejection | None:
    """Return why a pair could not be compared, None if all could."""
    return next((pair.rejection for pair in evaluation.rejected if pair.rejection.reason is Reason.FAILED), None)


def is_final(evaluation: Evaluation) -> bool:
    """Tell whether the same images would get the same evaluation again: not if one could not be read, or compared."""
    return all(pair.rejection.reason not in (Reason.UNREADABLE, Reason.FAILED) for pair in evaluation.rejected)


def to_text(evaluation: Evaluation, proposals: Sequence[Proposal]) -> str:
    """Return an evaluation on these proposals as JSON."""
    places = {id(proposal): place for place, proposal in enumerate(proposals)}
    document = {
        "pairs": [
            [places[id(pair.proposal)], _match_to_json(pair.match), astuple(pair.scores), pair.common, pair.window,
             pair.score_gap, pair.native_scale]
            for pair in evaluation.pairs
        ],
        "deferred": [
            [places[id(pair.proposal)], _match_to_json(pair.match), astuple(pair.scores), pair.score_gap]
            for pair in evaluation.deferred
        ],
        "rejected": [
            [places[id(pair.proposal)], pair.rejection.reason.name, pair.rejection.detail,
             pair.match and _match_to_json(pair.match), pair.scores and astuple(pair.scores)]
            for pair in evaluation.rejected
        ],
    }  # fmt: skip
    return json.dumps(document, default=lambda number: number.item())


def from_text(text: str, proposals: Sequence[Proposal]) -> Evaluation:
    """Return what `to_text` was given."""
    document = json.loads(text)
    numbered = dict(enumerate(proposals))
    pairs = [
        VerifiedPair(numbered[place], _match_from_json(match), Scores(*scores), Rect(*common), Rect(*window),
                     score_gap=score_gap, native_scale=native_scale)
        for place, match, scores, common, window, score_gap, native_scale in document["pairs"]
    ]  # fmt: skip
    deferred = [
        Deferred(numbered[place], _match_from_json(match), Scores(*scores), score_gap)
        for place, match, scores, score_gap in document["deferred"]
    ]
    rejected = [
        RejectedPair(numbered[place], Rejection(Reason[reason], detail), match and _match_from_json(match),
                     scores and Scores(*scores))
        for place, reason, detail, match, scores in document["rejected"]
    ]  # fmt: skip
    return Evaluation(pairs, deferred, rejected)


def from_kept(text: str, proposals: Sequence[Proposal]) -> Evaluation | None:
    """Return what `to_text` was given; None if it can't have been given that, on these proposals."""
    try:
        evaluation = from_text(text, proposals)
        sound = all(map(_is_sound, (*evaluation.choices, *evaluation.rejected)))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
        return None
    return evaluation if sound else None


def _match_to_json(match: Match) -> list[Any]:
    displacement = match.displacement and [match.displacement.controls.tolist(), match.displacement.to_knots.tolist()]
    return [match.matrix.tolist(), match.inliers, displacement]


def _match_from_json(match: list[Any]) -> Match:
    matrix, inliers, displacement = match
    return Match(
        np.array(matrix, np.float64),
        inliers,
        displacement and Displacement(*(np.array(one, np.float64) for one in displacement)),
    )


def _is_sound(pair: Choice | RejectedPair) -> bool:
    """Tell whether all that is said of a pair may be said of one."""
    if pair.match and not _is_sound_match(pair.match):
        return False
    if pair.scores and not _are_sound(pair.scores):
        return False
    if isinstance(pair, RejectedPair):
        return isinstance(pair.rejection.detail, str)
    if not _is_number(pair.score_gap) or not _is_plausible(pair.match.matrix, pair.proposal):
        return False
    if isinstance(pair, Deferred):
        return True
    frame = pair.proposal.lr.frame
    positive = _is_number(pair.native_scale) and pair.native_scale > 0
    return positive and all(_is_inside(rect, frame) for rect in (pair.common, pair.window))


def _is_plausible(matrix: Matrix, proposal: Proposal) -> bool:
    size = proposal.hr.size
    return not implausible(matrix @ mirroring(size) if proposal.mirrored else matrix, size)


def _is_sound_match(match: Match) -> bool:
    """Tell whether numbers say how an HR lies: a matrix that can be inverted, maybe a displacement."""
    inliers, displacement = match.inliers, match.displacement
    return (
        (inliers is None or (type(inliers) is int and 0 <= inliers <= MAX_NUMBER))
        and _is_sound_matrix(match.matrix)
        and (displacement is None or (_is_sound_matrix(displacement.to_knots) and _are_sound_controls(displacement)))
    )


def _is_sound_matrix(matrix: Matrix) -> bool:
    return matrix.shape == (3, 3) and bool(np.isfinite(matrix).all()) and bool(np.linalg.cond(matrix) < MAX_CONDITION)


def _are_sound_controls(displacement: Displacement) -> bool:
    controls = displacement.controls
    return controls.ndim == 3 and len(controls) == 2 and min(controls.shape) > 0 and bool(np.isfinite(controls).all())


def _are_sound(scores: Scores) -> bool:
    known = [value for value in astuple(scores) if value is not None]
    return None not in (scores.correlation, scores.coverage) and all(map(_is_number, known))


def _is_inside(rect: Rect, frame: Rect) -> bool:
    return all(type(value) is int for value in rect) and rect.intersection(frame) == rect


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_NUMBER
