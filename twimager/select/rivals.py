"""Rank an LR's candidates by pairwise comparison, and tell which of them can still become the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import permutations

from twimager.errors import Reason, Rejection
from twimager.geometry import area_scale
from twimager.pairs import Candidate, Choice, RejectedPair, partition, reject
from twimager.verify.detail import MIN_FINENESS
from twimager.verify.discrimination import DECISIVE_COARSE, partial_correlation
from twimager.verify.scores import GOOD_CORRELATION, Scores

# So many of an LR's candidates, by similarity, are compared with one another; true partners were always first or
# second.
COMPARED = 6
# A candidate of so much lower a prior, for its fewer pixels or its part of the LR, is deferred before it is refined: of
# 1,601 such rivals among crops, 3 would have become the best.
DEFERRAL_GAP = 0.06
# The error margin of a score that was not measured at full resolution: of deferred candidates, 19 in 20 had, once
# refined, a gap of no less than their prior says, less this.
COARSE_MARGIN = 0.03
# Of two HRs that show the same, the one that covers more of the LR, by more than this, is the better one by so much.
SAME_COVERAGE = 0.02
COVERAGE_LEAD = 0.05
# One that is enlarged is worse than its original by more than its pixels: made of the LR itself, or of its source, it
# explained the LR better by up to 0.42.
ENLARGED_LEAD = 0.5
# Of two HRs of the same pixels, the one of the finer detail is the better one by so much.
FINENESS_LEAD = 0.3
# Where colours are compared: so much Delta E counts as much as e times the pixels, and as a partial correlation of one.
# Copies in the same colours differ by some tenths, exposure and white balance fitted; as they are, they and
# neighbouring frames by less than TONE_NOISE, which is hardly to be seen.
COLOR_TRADE, TONE_NOISE = 5.0, 1.0


def rank_rivals(candidates: Sequence[Candidate], decisive: float) -> tuple[list[Candidate], list[RejectedPair]]:
    """Return one LR's candidates, the best first, and those that are mere look-alikes.

    The best is, to begin with, the registered one of the highest prior; the most similar are compared with it one after
    the other, and the better one of each two stays. It rejects what it leads by a partial correlation of `decisive`.
    """
    if len(candidates) < 2:
        return list(candidates), []
    ranked = sorted(candidates, key=by_similarity)
    compared = ranked[:COMPARED]
    registered = [one for one in compared if one.scores.correlation >= GOOD_CORRELATION]
    best = max(registered or ranked[:1], key=lambda one: _prior(one, ranked[0]))

    @cache
    def lead(place: int) -> float:
        return partial_correlation(best.overlay, ranked[place].overlay)

    for place, challenger in enumerate(compared):
        if challenger is not best and lead(place) + _prior(best, challenger) < 0:
            best = challenger
            lead.cache_clear()
    others = ((place, candidate) for place, candidate in enumerate(ranked) if candidate is not best)
    kept, rejected = partition(_with_gap(candidate, best, lead(place), decisive) for place, candidate in others)
    return sorted([best._replace(score_gap=0), *kept], key=lambda candidate: candidate.score_gap), rejected


def compared_with_best(candidate: Candidate, best: Candidate, decisive: float) -> Candidate | RejectedPair:
    """Return a candidate with its score gap to the LR's best one; rejected if that leads by `decisive`."""
    return _with_gap(candidate, best, partial_correlation(best.overlay, candidate.overlay), decisive)


def _with_gap(candidate: Candidate, best: Candidate, lead: float, decisive: float) -> Candidate | RejectedPair:
    prior = _prior(best, candidate)
    if lead + min(0, prior) < decisive:
        return candidate._replace(score_gap=lead + prior)
    detail = f"{best.proposal.hr.path.name} explains the LR better by {lead:.2f}"
    return reject(candidate, Rejection(Reason.LOOK_ALIKE, detail))


def _prior(first: Candidate, second: Candidate) -> float:
    """Return by how much the first HR is the better one where both show the same.

    For detail, coverage and, where they were measured, colours and tones. A tenth more pixels along a side make up for
    a tenth of the partial correlation.
    """
    sides = [math.sqrt(abs(area_scale(one.match.matrix, one.proposal.hr.size))) / one.detail for one in (first, second)]
    more = first.scores.coverage - second.scores.coverage
    completeness = math.copysign(COVERAGE_LEAD, more) if abs(more) > SAME_COVERAGE else 0
    original = ENLARGED_LEAD * ((second.detail < 1) - (first.detail < 1))
    colors = _color_lead(first.scores, second.scores) + _tone_lead(first, second)
    return math.log(sides[1] / sides[0]) + completeness + original + _fineness_lead(first, second) + colors


def _fineness_lead(first: Candidate, second: Candidate) -> float:
    if first.fineness is None or second.fineness is None:
        return 0.0
    lacking = [one < MIN_FINENESS * other for one, other in permutations((first.fineness, second.fineness))]
    return FINENESS_LEAD * (lacking[1] - lacking[0])


def _color_lead(first: Scores, second: Scores) -> float:
    if first.color_distance is None or second.color_distance is None:
        return 0.0
    return (second.color_distance - first.color_distance) / COLOR_TRADE


def _tone_lead(first: Candidate, second: Candidate) -> float:
    if first.tone_distance is None or second.tone_distance is None:
        return 0.0
    nearer = second.tone_distance - first.tone_distance
    return math.copysign(max(0.0, abs(nearer) - TONE_NOISE), nearer) / COLOR_TRADE


def split_contenders(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Return, of one LR's candidates, the best first, the contenders, and those to be deferred.

    The latter show the LR as well, as far as is known, but with fewer pixels, or less of it.
    """
    contenders, deferred = list[Candidate](), list[Candidate]()
    for candidate in candidates:
        prior = _prior(candidates[0], candidate)
        if candidate.score_gap - prior < DECISIVE_COARSE and prior >= DEFERRAL_GAP:
            deferred.append(candidate._replace(score_gap=prior - COARSE_MARGIN))
        else:
            contenders.append(candidate)
    return contenders, deferred


def by_similarity(pair: Choice | Candidate) -> tuple[float, tuple[str, ...], tuple[str, ...]]:
    """Sort key: the most similar first, then the paths."""
    return -pair.scores.similarity, pair.proposal.lr.path.parts, pair.proposal.hr.path.parts
