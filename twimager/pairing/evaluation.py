"""The evaluation of one LR's proposals, and its text, which the store keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from twimager.align.matching import Match, implausible
from twimager.errors import OF_TWO_MOMENTS, Reason, Rejection
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.mask import Mask
from twimager.geometry import Matrix, Rect, mirroring
from twimager.image.displacement import Displacement
from twimager.options import PairSettings
from twimager.pairs import Choice, Deferred, RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal
from twimager.runtime.typed_json import dumps
from twimager.verify.agreement_map import AgreementMap
from twimager.verify.scores import Scores

# Upper bounds of a matrix's condition, and of an evaluation's numbers; only damaged ones have more.
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

    @property
    def is_settled(self) -> bool:
        """Whether the LR has a pair, or none for what it is itself."""
        return bool(self.pairs) or any(one.rejection.reason in OF_TWO_MOMENTS for one in self.rejected)


def cache_key(kind: str, settings: PairSettings, proposals: Sequence[Proposal], starts: Sequence[Match] = ()) -> str:
    """Return a text of all that an evaluation depends on beside the images' contents.

    Parameters
    ----------
    kind : which evaluation it is
    settings : those of the evaluation
    proposals : of one LR
    starts : the transforms that it starts from, where those are known
    """
    matrices = [start.matrix.tolist() for start in starts]
    proposed = [(p.source, p.mirrored, p.negative, p.stretch, *map(_as_read, p.images)) for p in proposals]
    return repr((kind, settings, matrices, proposed))


def _as_read(image: Fingerprint) -> tuple[bool, int, Mask | None, int]:
    """Return how an image was read, and a checksum of its features: some are read again for more."""
    return image.srgb, image.missing, image.mask, image.features.checksum if image.features else 0


def failure(evaluation: Evaluation) -> Rejection | None:
    """Return why a pair could not be compared, None if all could."""
    return next((pair.rejection for pair in evaluation.rejected if pair.rejection.reason is Reason.FAILED), None)


def is_final(evaluation: Evaluation) -> bool:
    """Return whether the same images would get the same evaluation again: not if one could not be read, or compared."""
    return all(pair.rejection.reason not in (Reason.UNREADABLE, Reason.FAILED) for pair in evaluation.rejected)


class _Stored(Struct, frozen=True):
    """An evaluation as its text holds it: of a proposal, its number."""

    pairs: list[tuple[int, Match, Scores, Rect, Rect, float, float, AgreementMap | None]]
    deferred: list[tuple[int, Match, Scores, float]]
    rejected: list[tuple[int, Rejection, Match | None, Scores | None, AgreementMap | None]]


def to_text(evaluation: Evaluation, proposals: Sequence[Proposal]) -> str:
    """Return an evaluation of these proposals as JSON."""
    numbers = {id(proposal): number for number, proposal in enumerate(proposals)}
    stored = _Stored(
        [
            (
                numbers[id(one.proposal)],
                one.match,
                one.scores,
                one.common,
                one.window,
                one.score_gap,
                one.native_scale,
                one.agreement,
            )
            for one in evaluation.pairs
        ],
        [(numbers[id(one.proposal)], one.match, one.scores, one.score_gap) for one in evaluation.deferred],
        [
            (numbers[id(one.proposal)], one.rejection, one.match, one.scores, one.agreement)
            for one in evaluation.rejected
        ],
    )
    return dumps(stored)


def from_text(text: str, proposals: Sequence[Proposal]) -> Evaluation:
    """Return the evaluation that `to_text` was given."""
    stored = msgspec.convert(json.loads(text), _Stored, dec_hook=_array)
    numbered = dict(enumerate(proposals))
    pairs = [
        VerifiedPair(
            numbered[number], match, scores, common, window, score_gap=gap, native_scale=native, agreement=agreement
        )
        for number, match, scores, common, window, gap, native, agreement in stored.pairs
    ]
    deferred = [Deferred(numbered[number], match, scores, gap) for number, match, scores, gap in stored.deferred]
    rejected = [
        RejectedPair(numbered[number], why, match, scores, agreement)
        for number, why, match, scores, agreement in stored.rejected
    ]
    return Evaluation(pairs, deferred, rejected)


def from_kept(text: str, proposals: Sequence[Proposal]) -> Evaluation | None:
    """Return the evaluation that `to_text` was given; None if there is none of these proposals with this text."""
    try:
        evaluation = from_text(text, proposals)
        sound = all(map(_is_sound, (*evaluation.choices, *evaluation.rejected)))
    except (LookupError, ValueError, ArithmeticError, RecursionError):
        return None
    return evaluation if sound else None


def _array(_: type, numbers: Any) -> NDArray[np.float64]:
    """Return an array as JSON has it; ValueError or TypeError if these are no numbers of one shape."""
    return np.array(numbers, np.float64)


def _is_sound(pair: Choice | RejectedPair) -> bool:
    """Return whether the numbers of a pair may be those of one."""
    if pair.match and not _is_sound_match(pair.match):
        return False
    if pair.scores and not all(map(_is_bounded, astuple(pair.scores))):
        return False
    if isinstance(pair, RejectedPair):
        return _is_sound_map(pair.agreement)
    if not _is_bounded(pair.score_gap) or not _is_plausible(pair.match.matrix, pair.proposal):
        return False
    if isinstance(pair, Deferred):
        return True
    frame = pair.proposal.lr.frame
    inside = all(rect.intersection(frame) == rect for rect in (pair.common, pair.window))
    return inside and 0 < pair.native_scale <= MAX_NUMBER and _is_sound_map(pair.agreement)


def _is_sound_map(agreement: AgreementMap | None) -> bool:
    return agreement is None or agreement.is_sound


def _is_plausible(matrix: Matrix, proposal: Proposal) -> bool:
    size = proposal.hr.size
    return not implausible(matrix @ mirroring(size) if proposal.mirrored else matrix, size)


def _is_sound_match(match: Match) -> bool:
    """Return whether matrices can be inverted, and the number of inliers and the displacement are in bounds."""
    inliers, displacement = match.inliers or 0, match.displacement
    return (
        0 <= inliers <= MAX_NUMBER
        and _is_sound_matrix(match.matrix)
        and (displacement is None or (_is_sound_matrix(displacement.to_knots) and _are_sound_controls(displacement)))
    )


def _is_sound_matrix(matrix: Matrix) -> bool:
    return matrix.shape == (3, 3) and bool(np.isfinite(matrix).all()) and bool(np.linalg.cond(matrix) < MAX_CONDITION)


def _are_sound_controls(displacement: Displacement) -> bool:
    controls = displacement.controls
    return controls.ndim == 3 and len(controls) == 2 and min(controls.shape) > 0 and bool(np.isfinite(controls).all())


def _is_bounded(value: float | None) -> bool:
    return value is None or abs(value) <= MAX_NUMBER
