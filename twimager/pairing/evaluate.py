"""Evaluate one LR's proposals: a worker's task, of picklable arguments to a picklable result."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from twimager.align.matching import Match
from twimager.errors import Reason, Rejection
from twimager.image.decode import LIBRARY_ERRORS, complaint
from twimager.options import Gates, PairSettings
from twimager.pairing.by_parts import (
    register_finely,
)
from twimager.pairing.candidates import (
    align,
    at_full_resolution,
    coverage,
    gated,
    gated_by_color,
    overlaid,
    with_real_detail,
)
from twimager.pairing.evaluation import Evaluation
from twimager.pairing.moments import of_two_moments
from twimager.pairing.registration import (
    is_registered,
    register_coarsely,
)
from twimager.pairing.verification import enlarged, real_native_scale, verify
from twimager.pairs import Candidate, Choice, Deferred, RejectedPair, VerifiedPair, partition, reject
from twimager.propose.proposal import Proposal, Source
from twimager.select.rivals import (
    COARSE_MARGIN,
    by_similarity,
    compared_with_best,
    rank_rivals,
    split_contenders,
)
from twimager.verify.discrimination import CLOSE_SCORE_GAP, DECISIVE, DECISIVE_COARSE, DECISIVE_UNREFINED
from twimager.verify.scores import MIN_CORRELATION

# Candidates whose mean level is by more than this nearer to the LR's than the best one's are compared with it at full
# resolution, tones and all: those of a fade of ten steps differ by 5 and more, most neighbouring frames by less than 1.
NEARER_LEVEL = 3.0

# An evaluation of the proposals of one source.
Evaluate = Callable[[Sequence[Proposal], PairSettings], Evaluation]


def evaluate_best(proposals: Sequence[Proposal], settings: PairSettings) -> Evaluation:
    """Match, refine and verify one LR's proposals, as far as it takes to know the best; the others are deferred.

    A source of proposals is evaluated only if those before it bring no pair.
    """
    return _first_source(proposals, settings, _best)


def evaluate_all(proposals: Sequence[Proposal], settings: PairSettings) -> Evaluation:
    """Match, refine and verify all of one LR's proposals, of the first source that brings a pair."""
    return _first_source(proposals, settings, _all)


def evaluate_deferred(deferred: Deferred, best: Choice, settings: PairSettings) -> Evaluation:
    """Refine and verify a deferred candidate, compared at full resolution with its LR's best one."""
    try:
        return _deferred(deferred, best, settings)
    except LIBRARY_ERRORS as error:
        return Evaluation([], [], [reject(deferred, Rejection(Reason.FAILED, complaint(error)))])


def _first_source(proposals: Sequence[Proposal], settings: PairSettings, evaluate: Evaluate) -> Evaluation:
    """Return the evaluation of the first source that brings a pair, with all that was rejected before.

    A pair that is beyond the libraries fails alone: the others are evaluated without it.
    """
    try:
        rejected: list[RejectedPair] = []
        for _, of_one_source in groupby(proposals, key=lambda proposal: proposal.source):
            found = evaluate(list(of_one_source), settings)
            rejected += filter(_is_candidate, found.rejected)
            if found.is_settled:
                return found._replace(rejected=rejected)
        return Evaluation([], [], rejected)
    except LIBRARY_ERRORS as error:
        failure = Rejection(Reason.FAILED, complaint(error))
    alone = [_first_source([proposal], settings, evaluate) for proposal in proposals] if len(proposals) > 1 else []
    failed = [pair for one in alone for pair in one.rejected if pair.rejection.reason is Reason.FAILED]
    if not failed:
        return Evaluation([], [], [RejectedPair(proposal, failure) for proposal in proposals])
    beyond = {pair.proposal.key for pair in failed}
    others = _first_source([proposal for proposal in proposals if proposal.key not in beyond], settings, evaluate)
    return others._replace(rejected=others.rejected + failed)


def _is_candidate(pair: RejectedPair) -> bool:
    """Return whether a rejected pair is worth a word: every HR has a thumbnail, most similar or not."""
    correlation = pair.scores.correlation if pair.scores else 0.0
    return pair.proposal.source is not Source.THUMBNAIL or correlation >= MIN_CORRELATION


def _all(proposals: Sequence[Proposal], settings: PairSettings) -> Evaluation:
    aligned, rejected = partition(align(proposals, settings.align.method))
    found, failed = partition(_candidate(*one, settings.gates) for one in sorted(aligned, key=coverage, reverse=True))
    candidates, unregistered = _registered(found, settings)
    refined, diverged = partition(register_finely(candidate, settings.align.method) for candidate in candidates)
    rejected += failed + unregistered + diverged
    pairs, unverified = partition(verify(candidate, settings) for candidate in refined)
    if not settings.gates.keep_combed and (flaw := _flaw(pairs, sorted(refined, key=by_similarity))):
        return Evaluation([], [], rejected + [reject(candidate, flaw) for candidate in refined])
    return Evaluation(pairs, [], rejected + unverified)


def _best(proposals: Sequence[Proposal], settings: PairSettings) -> Evaluation:
    aligned, rejected = partition(align(proposals, settings.align.method))
    found: list[Candidate] = []
    for one in sorted(aligned, key=coverage, reverse=True):
        candidate = _dominated(*one, found) or _candidate(*one, settings.gates)
        if isinstance(candidate, RejectedPair):
            rejected.append(candidate)
        else:
            found.append(candidate)
    candidates, unregistered = _registered(found, settings)
    decisive = DECISIVE_UNREFINED if proposals[0].source is Source.FRAME else math.inf
    ranked, look_alikes = rank_rivals(candidates, decisive)
    contenders, others = split_contenders(ranked)
    best = _best_of(contenders, settings)
    rejected += unregistered + look_alikes + best.rejected
    if best.is_settled:
        deferred, failed = partition(
            _defer(candidate, settings) if best.pairs else reject(candidate, best.rejected[-1].rejection)
            for candidate in others
        )
        return Evaluation(best.pairs, best.deferred + deferred, rejected + failed)
    second_best = _best_of(others, settings)
    return second_best._replace(rejected=rejected + second_best.rejected)


def _candidate(proposal: Proposal, found: Match, gates: Gates) -> Candidate | RejectedPair:
    candidate = overlaid(proposal, found)
    return gated_by_color(candidate, gates) if isinstance(candidate, Candidate) else candidate


def _dominated(proposal: Proposal, found: Match, others: Sequence[Candidate]) -> RejectedPair | None:
    """Reject an aligned HR that can't be as similar to the LR as one of the others is, however well it correlates."""
    reach, best = coverage((proposal, found)), max(others, key=lambda other: other.scores.similarity, default=None)
    if best is None or reach >= best.scores.similarity:
        return None
    detail = f"another HR covers {best.scores.coverage:.2f} of the LR, this one {reach:.2f}"
    return RejectedPair(proposal, Rejection(Reason.LOOK_ALIKE, detail), found)


def _registered(candidates: Sequence[Candidate], settings: PairSettings) -> tuple[list[Candidate], list[RejectedPair]]:
    """Return candidates coarsely registered, as far as they pass the gates by that, and the others."""
    any_registered = any(map(is_registered, candidates))
    found = [
        one if is_registered(one) else register_coarsely(one, any_registered, settings.align.method)
        for one in candidates
    ]
    passed, rejected = partition(gated(candidate, settings.gates) for candidate in found)
    return with_real_detail(passed), rejected


def _best_of(candidates: Sequence[Candidate], settings: PairSettings) -> Evaluation:
    """Refine an LR's candidates and rank them; verify them in that order until one passes, and defer the rest."""
    refined, diverged = partition(register_finely(one, settings.align.method) for one in candidates)
    ranked, look_alikes = rank_rivals(refined, DECISIVE_COARSE)
    rejected = diverged + look_alikes
    if any(one.score_gap < CLOSE_SCORE_GAP or _has_nearer_level(one, ranked[0]) for one in ranked[1:]):
        compared, failed = partition(at_full_resolution(ranked))
        ranked, look_alikes = rank_rivals(compared, DECISIVE)
        rejected += failed + look_alikes
    else:
        ranked[1:] = [one._replace(score_gap=one.score_gap - COARSE_MARGIN) for one in ranked[1:]]
    pairs, deferred, failed_gates = list[VerifiedPair](), list[Deferred](), list[RejectedPair]()
    for candidate in ranked:
        outcome = _defer(candidate, settings) if pairs else verify(candidate, settings)
        match outcome:
            case VerifiedPair():
                pairs.append(outcome)
            case Deferred():
                deferred.append(outcome)
            case RejectedPair():
                failed_gates.append(outcome)
    if flaw := _flaw(pairs, [*ranked[:1], *refined]):
        if not settings.gates.keep_combed:
            return Evaluation([], [], rejected + [reject(candidate, flaw) for candidate in ranked])
        if not pairs:
            kept, failed = partition([verify(ranked[0], _with_any_difference(settings))])
            return Evaluation(kept, [], rejected + failed + failed_gates[1:])
    return Evaluation(pairs, deferred, rejected + failed_gates)


def _has_nearer_level(candidate: Candidate, best: Candidate) -> bool:
    """Return whether a candidate is nearer to the LR's brightness than the best one, which shows the same."""
    nearer = best.overlay.level_distance - candidate.overlay.level_distance
    return candidate.score_gap < DECISIVE_COARSE and nearer > NEARER_LEVEL


def _with_any_difference(settings: PairSettings) -> PairSettings:
    """Return settings for LRs of two moments that are to be kept: a part is of another moment than the HR."""
    return replace(settings, gates=replace(settings.gates, max_difference=1.0))


def _flaw(pairs: Sequence[VerifiedPair], refined: Sequence[Candidate]) -> Rejection | None:
    """Return what an LR is if it is of two moments, by its pairs and its refined candidates, the best of them first."""
    if not refined or not (pairs or is_registered(refined[0])):
        return None
    proposal = pairs[0].proposal if pairs else refined[0].proposal
    best = next(one for one in refined if one.proposal is proposal)
    return of_two_moments(best, [one for one in refined if one.proposal is not proposal])


def _defer(candidate: Candidate, settings: PairSettings) -> Deferred | RejectedPair:
    """Defer a candidate, unless it has too few pixels: that is known already."""
    found = candidate.match
    if failure := enlarged(real_native_scale(candidate, settings.framing.scale), settings.gates):
        return reject(candidate, failure)
    return Deferred(candidate.proposal, found, candidate.scores, candidate.score_gap)


def _deferred(deferred: Deferred, best: Choice, settings: PairSettings) -> Evaluation:
    again, rejected = partition(map(_overlaid_again, (best, deferred)))
    if rejected:
        return Evaluation([], [], rejected)
    known = with_real_detail(again)
    refined = register_finely(known[1], settings.align.method)
    if isinstance(refined, RejectedPair):
        return Evaluation([], [], [refined])
    compared, rejected = partition(at_full_resolution([known[0], refined]))
    if rejected:
        return Evaluation([], [], rejected)
    outcome = compared_with_best(compared[1], compared[0], DECISIVE)
    pairs, rejected = partition([verify(outcome, settings) if isinstance(outcome, Candidate) else outcome])
    return Evaluation(pairs, [], rejected)


def _overlaid_again(choice: Choice) -> Candidate | RejectedPair:
    """Return the candidate that a choice was, with what was measured of its colours."""
    candidate = overlaid(choice.proposal, choice.match)
    if isinstance(candidate, RejectedPair):
        return candidate
    return candidate._replace(scores=replace(candidate.scores, color_distance=choice.scores.color_distance))
