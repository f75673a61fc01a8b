"""Evaluate one LR's proposals: a worker's task, of picklable arguments to a picklable result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import cv2

from twimager.align.matching import Match, implausible, match
from twimager.align.nonrigid import register_nonrigid
from twimager.align.refinement import FINE, NEAR, refine
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import mirrored
from twimager.fingerprint.working_image import WORKING_SIDE, WorkingImage, color_image, precise_picture, working_image
from twimager.geometry import covered_share, mirroring, resize_matrix
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.image.pixels import frame_size, limited
from twimager.options import Options
from twimager.output.render import SAME_SIZE, common_area, native_scale, output_window
from twimager.pairing.disambiguate import disambiguated, register, registered_coarsely
from twimager.pairing.evaluation import Evaluation
from twimager.pairs import Candidate, Choice, Deferred, RejectedPair, VerifiedPair, passed, reject
from twimager.propose.by_hash import nearest_hashes
from twimager.propose.proposal import Proposal, Source
from twimager.select.rivals import COARSE_MARGIN, compared_with_best, rank_rivals, split_contenders
from twimager.similarity.ssim import color_difference
from twimager.verify.discrimination import CLEAR, CLOSE_CALL, DECISIVE, PLAIN
from twimager.verify.overlay import (
    COARSE_SIDE,
    GOOD_CORRELATION,
    MAX_RESIDUAL_SHIFT,
    Overlay,
    Scores,
    coarse_scores,
    failed_gate,
    make_overlay,
    score,
)

NOTHING_IN_COMMON = Rejection(Reason.OVERLAP, "next to nothing in common")


def evaluate(proposals: Sequence[Proposal], options: Options) -> Evaluation:
    """Match, refine and verify one LR's proposals, as far as it takes to know which it would have.

    Each source of proposals is heard only if the ones before it have brought nothing. All that the LR might have are
    verified only if all matches are wanted. A pair that is beyond the libraries costs itself, not the others.
    """
    try:
        return _evaluate_all(proposals, options)
    except LIBRARY_ERRORS as error:
        failure = Rejection(Reason.FAILED, complaint(error))
    alone = [evaluate([proposal], options) for proposal in proposals] if len(proposals) > 1 else []
    failed = [pair for evaluation in alone for pair in evaluation.rejected if pair.rejection.reason is Reason.FAILED]
    if not failed:
        return Evaluation([], [], [RejectedPair(proposal, failure) for proposal in proposals])
    beyond = {pair.proposal.key for pair in failed}
    evaluation = evaluate([proposal for proposal in proposals if proposal.key not in beyond], options)
    return evaluation._replace(rejected=evaluation.rejected + failed)


def _evaluate_all(proposals: Sequence[Proposal], options: Options) -> Evaluation:
    rejected: list[RejectedPair] = []
    for _, batch in groupby(proposals, key=lambda proposal: proposal.source):
        pairs, deferred = _evaluate(batch, options, rejected)
        if pairs:
            return Evaluation(pairs, deferred, rejected)
    return Evaluation([], [], rejected)


def evaluate_deferred(deferred: Deferred, best: Choice, options: Options) -> Evaluation:
    """Refine and verify a deferred candidate, compared at full resolution with its LR's best one."""
    try:
        return _evaluate_deferred(deferred, best, options)
    except LIBRARY_ERRORS as error:
        return Evaluation([], [], [reject(deferred, Rejection(Reason.FAILED, complaint(error)))])


def _evaluate_deferred(deferred: Deferred, best: Choice, options: Options) -> Evaluation:
    rejected: list[RejectedPair] = []
    first = passed([_again(best)], rejected)
    refined = [register(candidate, FINE, options) for candidate in passed([_again(deferred)], rejected)]
    first, near = (passed(_look_closely(candidates), rejected) for candidates in (first, refined))
    compared = passed((compared_with_best(one, other, DECISIVE) for other in first for one in near), rejected)
    return Evaluation(passed((_verify(candidate, options) for candidate in compared), rejected), [], rejected)


def _again(choice: Choice) -> Candidate | RejectedPair:
    """Lay over its LR again what is known to lie there, its colours too."""
    overlay = _overlaid(choice.proposal, choice.match)
    if isinstance(overlay, RejectedPair):
        return overlay
    return overlay._replace(scores=replace(overlay.scores, color_distance=choice.scores.color_distance))


def _evaluate(
    proposals: Iterable[Proposal], options: Options, rejected: list[RejectedPair]
) -> tuple[list[VerifiedPair], list[Deferred]]:
    """Return the pairs of one LR that pass, in the order in which it would have them, and who stands by.

    Add the others to `rejected`.
    """
    candidates = _candidates(proposals, options, rejected)
    near, far = (candidates, []) if options.all_matches else split_contenders(candidates)
    pairs, deferred = _verified(near, options, rejected)
    if pairs:
        deferred += passed((_deferred(candidate, options) for candidate in far), rejected)
    else:
        pairs, deferred = _verified(far, options, rejected)
    return pairs, deferred


def _candidates(proposals: Iterable[Proposal], options: Options, rejected: list[RejectedPair]) -> list[Candidate]:
    """Return those of one LR's proposals that may be it by their features, its best candidate first."""
    proposals = list(proposals)
    aligned = passed(_aligned(proposals, options), rejected)
    candidates: list[Candidate] = []
    for proposal, found in sorted(aligned, key=_coverage, reverse=True):
        compared = passed([_compare(proposal, found, candidates, options)], rejected)
        candidates += passed((_in_color(candidate, options) for candidate in compared), rejected)
    clear = any(candidate.scores.correlation >= GOOD_CORRELATION for candidate in candidates)
    candidates = [registered_coarsely(candidate, clear, options) for candidate in candidates]
    candidates = passed((_gated(candidate, options) for candidate in candidates), rejected)
    if options.all_matches:
        return candidates
    return rank_rivals(candidates, CLEAR if proposals[0].source is Source.FRAME else math.inf, rejected)


def _verified(
    candidates: list[Candidate], options: Options, rejected: list[RejectedPair]
) -> tuple[list[VerifiedPair], list[Deferred]]:
    """Put candidates in place by their pixels; return, in order, the first that passes every gate, and who stands by.

    Where all matches are wanted nobody stands by.
    """
    candidates = [register(candidate, FINE, options) for candidate in candidates]
    if not options.all_matches:
        candidates = rank_rivals(candidates, PLAIN, rejected)
        if any(candidate.score_gap < CLOSE_CALL for candidate in candidates[1:]):
            candidates = rank_rivals(passed(_look_closely(candidates), rejected), DECISIVE, rejected)
        else:
            candidates[1:] = [
                candidate._replace(score_gap=candidate.score_gap - COARSE_MARGIN) for candidate in candidates[1:]
            ]
    pairs, deferred = list[VerifiedPair](), list[Deferred]()
    for candidate in candidates:
        if pairs and not options.all_matches:
            deferred += passed([_deferred(candidate, options)], rejected)
        else:
            pairs += passed([_verify(candidate, options)], rejected)
    return pairs, deferred


def _deferred(candidate: Candidate, options: Options) -> Deferred | RejectedPair:
    """Have a candidate stand by, unless it has too few pixels: that is known already."""
    found = candidate.match
    if failure := _enlarged(native_scale(found, candidate.hr.size, options.scale), options):
        return reject(candidate, failure)
    return Deferred(candidate.proposal, found, candidate.scores, candidate.score_gap)


def _aligned(proposals: Sequence[Proposal], options: Options) -> Iterator[tuple[Proposal, Match] | RejectedPair]:
    """Yield where the HRs that one source proposes lie on their LR."""
    if proposals[0].source is not Source.FRAME:
        yield from (_align(proposal, options) for proposal in proposals)
        return
    # The others, before or after it in a film, lie as the likest does.
    size = proposals[0].hr.size
    try:
        hr, lr = working_image(proposals[0].hr), working_image(proposals[0].lr)
    except UnreadableImage as error:
        yield from (RejectedPair(proposal, Rejection(Reason.UNREADABLE, str(error))) for proposal in proposals)
        return
    small = WorkingImage(limited(lr.gray, COARSE_SIDE), lr.size)
    matrix = refine(resize_matrix(size, lr.size), hr, small, options.method, NEAR)
    for proposal in proposals:
        yield _plausible(proposal, Match(matrix @ resize_matrix(proposal.hr.size, size), None))


def _plausible(proposal: Proposal, found: Match) -> tuple[Proposal, Match] | RejectedPair:
    """Turn a framing down that no picture of a picture has: resampling by it might take any time and memory."""
    flaw = implausible(found.matrix, proposal.hr.size)
    return RejectedPair(proposal, Rejection(Reason.IMPLAUSIBLE, flaw)) if flaw else (proposal, found)


def _align(proposal: Proposal, options: Options) -> tuple[Proposal, Match] | RejectedPair:
    """Match the features, or take a hash's word for the framing."""
    lr, hr = proposal.lr, proposal.hr
    found = match(mirrored(hr) if proposal.mirrored else hr, lr, options.method)
    if isinstance(found, Rejection):
        if proposal.source is Source.FEATURES:
            return RejectedPair(proposal, found)
        return _plausible(proposal, Match(nearest_hashes(lr, hr)[1], 0))
    if proposal.mirrored:
        found = replace(found, matrix=found.matrix @ mirroring(hr.size))
    return proposal, found


def _coverage(aligned: tuple[Proposal, Match]) -> float:
    proposal, found = aligned
    return covered_share(found.matrix, proposal.hr.size, proposal.lr.size)


def _compare(
    proposal: Proposal, found: Match, others: Sequence[Candidate], options: Options
) -> Candidate | RejectedPair:
    """Lay an aligned HR over its LR, unless it can't be as like as another one."""
    reach = _coverage((proposal, found))
    if others and reach < max(other.scores.similarity for other in others) and not options.all_matches:
        detail = f"another HR covers more than {reach:.2f} of the LR"
        return RejectedPair(proposal, Rejection(Reason.LOOK_ALIKE, detail), found)
    return _overlaid(proposal, found)


def _overlaid(proposal: Proposal, found: Match) -> Candidate | RejectedPair:
    """Lay an aligned HR over a small copy of its LR."""
    try:
        hr, lr = working_image(proposal.hr), working_image(proposal.lr)
    except UnreadableImage as error:
        return RejectedPair(proposal, Rejection(Reason.UNREADABLE, str(error)), found)
    overlay = make_overlay(hr, WorkingImage(limited(lr.gray, COARSE_SIDE), lr.size), found.matrix)
    if overlay is None:
        return RejectedPair(proposal, NOTHING_IN_COMMON, found)
    return Candidate(proposal, found, coarse_scores(overlay), overlay, hr, lr)


def _in_color(candidate: Candidate, options: Options) -> Candidate | RejectedPair:
    """Turn a candidate down at once that is in place, but of other colours: else it might oust the right one."""
    if options.max_color_distance is None or candidate.scores.correlation < GOOD_CORRELATION:
        return candidate
    colored = _colored(candidate, candidate.scores)
    return _gated(colored, options) if isinstance(colored, Candidate) else colored


def _colored(candidate: Candidate, scores: Scores) -> Candidate | RejectedPair:
    """Measure how far the colours are apart, and add it to the scores."""
    found = candidate.match
    try:
        hr, lr = color_image(candidate.proposal.hr), color_image(candidate.proposal.lr)
    except UnreadableImage as error:
        return reject(candidate, Rejection(Reason.UNREADABLE, str(error)))
    overlay = make_overlay(hr, lr, found.matrix, displacement=found.displacement)
    if overlay is None:
        return reject(candidate, NOTHING_IN_COMMON)
    distance = color_difference(overlay.both.cut(overlay.hr), overlay.both.cut(overlay.lr), gain=True)
    return candidate._replace(scores=replace(scores, color_distance=distance))


def _gated(candidate: Candidate, options: Options) -> Candidate | RejectedPair:
    """Turn a candidate down if what is known of it does not suffice."""
    failure = failed_gate(
        candidate.scores, options.threshold, options.min_overlap, max_color_distance=options.max_color_distance
    )
    return reject(candidate, failure) if failure else candidate


def _look_closely(candidates: Sequence[Candidate]) -> Iterator[Candidate | RejectedPair]:
    """Lay the own pixels of an LR's candidates over it: what copies have lost may tell them from each other."""
    lr: WorkingImage | None = None
    for candidate in candidates:
        try:
            lr = lr or _precise_lr(candidate)
            overlay = _precise_overlay(candidate, lr)
        except UnreadableImage as error:
            yield reject(candidate, Rejection(Reason.UNREADABLE, str(error)))
            continue
        yield candidate._replace(overlay=overlay) if overlay else reject(candidate, NOTHING_IN_COMMON)


def _precise_lr(candidate: Candidate) -> WorkingImage:
    with precise_picture(candidate.proposal.lr) as lr:
        return lr._replace(gray=limited(lr.gray, WORKING_SIDE))


def _precise_overlay(candidate: Candidate, lr: WorkingImage) -> Overlay | None:
    with precise_picture(candidate.proposal.hr) as hr:
        return make_overlay(hr, lr, candidate.match.matrix, cv2.INTER_CUBIC)


def _registered_nonrigid(candidate: Candidate) -> Candidate:
    """Bend a candidate onto its LR, if that explains more of the LR."""
    hr, lr, found = candidate.hr, candidate.lr, candidate.match
    displacement = register_nonrigid(found.matrix, hr, lr)
    overlay = displacement and make_overlay(hr, lr, found.matrix, displacement=displacement)
    return (
        candidate._replace(match=replace(found, displacement=displacement), overlay=overlay) if overlay else candidate
    )


def _verify(candidate: Candidate, options: Options) -> VerifiedPair | RejectedPair:
    """Make certain where a refined pair lies, bend it, where the method does, and put it through every gate."""
    candidate = disambiguated(candidate, options)
    if options.method.bends:
        candidate = _registered_nonrigid(candidate)
    proposal, found, lr_size = candidate.proposal, candidate.match, candidate.lr.size
    common = common_area(found, candidate.hr.size, lr_size, options.scale)
    if common is None:
        return reject(candidate, NOTHING_IN_COMMON)
    scores = score(candidate.overlay, lr_size)
    if options.max_color_distance is not None:
        colored = _colored(candidate, scores)
        if isinstance(colored, RejectedPair):
            return colored
        scores = colored.scores
    max_residual_shift = options.max_error or MAX_RESIDUAL_SHIFT * lr_size[0] / frame_size(candidate.lr.gray)[0]
    native = native_scale(found, candidate.hr.size, options.scale)
    failure = failed_gate(
        scores, options.threshold, options.min_overlap, max_residual_shift, options.max_color_distance
    ) or _enlarged(native, options)
    window = failure or output_window(common, proposal.lr.frame, options)
    if isinstance(window, Rejection):
        return RejectedPair(proposal, window, found, scores)
    return VerifiedPair(proposal, found, scores, common, window, score_gap=candidate.score_gap, native_scale=native)


def _enlarged(native: float, options: Options) -> Rejection | None:
    least = options.min_native_scale
    if least is None or native >= least * (1 - SAME_SIZE):
        return None
    return Rejection(Reason.ENLARGED, f"{native:.2f} source pixels per output pixel, at least {least:g}")
