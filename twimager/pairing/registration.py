"""Register candidates by their pixels, and disambiguate those on repetitive patterns."""

from __future__ import annotations

from dataclasses import replace

from twimager.align.matching import CERTAIN_INLIERS, hypotheses, implausible
from twimager.align.refinement import COARSE, FINE, PyramidLevel, refine
from twimager.errors import Reason, Rejection
from twimager.fingerprint.extract import extract_features
from twimager.fingerprint.fingerprint import RICH
from twimager.geometry import Matrix, mirroring
from twimager.options import Method
from twimager.pairing.candidates import features_as_proposed, matrix_of_files, on_coarse_grid
from twimager.pairs import Candidate, RejectedPair, reject
from twimager.verify.discrimination import DECISIVE, MAX_UNEXPLAINED, partial_correlation, unexplained_variance
from twimager.verify.overlay import make_overlay
from twimager.verify.scores import (
    GOOD_CORRELATION,
    MIN_CORRELATION,
    PARTLY_CORRELATED,
    PROMISING_CORRELATION,
    coarse_scores,
)

# With so many inliers no repetitive pattern was seen to mislead.
MANY_INLIERS = 40


def is_registered(candidate: Candidate) -> bool:
    """Tell whether a candidate's pixels correlate where its features, frame or hashes put it."""
    return candidate.scores.correlation >= GOOD_CORRELATION


def register_coarsely(candidate: Candidate, keep_better: bool, method: Method) -> Candidate:
    """Register a candidate by its pixels on a coarse grid.

    With `keep_better`, or if it is partly correlated, return it as it was if it was better.
    """
    found = _coarse_to_fine(on_coarse_grid(candidate), method)
    keep_better |= candidate.scores.correlation >= PARTLY_CORRELATED
    if keep_better and found.scores.correlation < candidate.scores.correlation:
        return candidate
    return found._replace(lr=candidate.lr)


def register(candidate: Candidate, levels: tuple[PyramidLevel, ...], method: Method) -> Candidate | RejectedPair:
    """Refine a candidate's transform by its pixels; reject it if that makes the transform implausible."""
    hr = candidate.hr
    matrix = refine(candidate.match.matrix, hr, candidate.lr, method, levels)
    flaw = implausible(matrix @ mirroring(hr.size) if candidate.proposal.mirrored else matrix, hr.size)
    if flaw:
        return reject(candidate, Rejection(Reason.IMPLAUSIBLE, flaw))
    return moved_to(candidate, matrix) or candidate


def registered(candidate: Candidate, levels: tuple[PyramidLevel, ...], method: Method) -> Candidate:
    """Return a candidate refined by its pixels; as it was if that makes the transform implausible."""
    found = register(candidate, levels, method)
    return found if isinstance(found, Candidate) else candidate


def may_be_ambiguous(candidate: Candidate, method: Method) -> bool:
    """Tell whether a refined candidate may be off by a period of a repetitive pattern.

    That is where few features agree and the HR leaves variance of the LR unexplained.
    """
    inliers = candidate.match.inliers
    if inliers is None or inliers >= MANY_INLIERS or candidate.scores.correlation < MIN_CORRELATION:
        return False
    # Started from few features, a perspective may converge to a wrong one that explains nearly as much.
    has_start = method is Method.TRANSFORM or inliers >= CERTAIN_INLIERS
    return not has_start or unexplained_variance(candidate.overlay) > MAX_UNEXPLAINED


def disambiguate(candidate: Candidate, method: Method) -> Candidate:
    """Register a candidate anew from every hypothesis of richer features; return the one that explains the LR best."""
    first = moved_to(on_coarse_grid(candidate), candidate.match.matrix)
    if first is None:
        return candidate
    best, proposal = first, candidate.proposal
    hr = extract_features(proposal.hr, (candidate.hr.negative if proposal.negative else candidate.hr).gray, RICH)
    lr = extract_features(proposal.lr, candidate.lr.gray, RICH._replace(stretch=proposal.stretch))
    found_in = hypotheses(*features_as_proposed(proposal, hr, lr), method)
    moved = (moved_to(first, matrix_of_files(proposal, matrix)) for matrix in found_in)
    for found in (_coarse_to_fine(hypothesis, method) for hypothesis in moved if hypothesis):
        if partial_correlation(found.overlay, best.overlay) > DECISIVE:
            best = found
    return candidate if best is first else registered(best._replace(lr=candidate.lr), FINE, method)


def _coarse_to_fine(candidate: Candidate, method: Method) -> Candidate:
    """Register a candidate from the coarsest pyramid level on; stop there if nothing correlates."""
    found = registered(candidate, COARSE[:1], method)
    return registered(found, COARSE[1:], method) if found.scores.correlation >= PROMISING_CORRELATION else found


def moved_to(candidate: Candidate, matrix: Matrix) -> Candidate | None:
    """Return a candidate under another transform; None if the two have next to nothing in common there."""
    overlay = make_overlay(candidate.hr, candidate.lr, matrix)
    if overlay is None:
        return None
    scores = replace(coarse_scores(overlay), color_distance=candidate.scores.color_distance)
    return candidate._replace(match=replace(candidate.match, matrix=matrix), scores=scores, overlay=overlay)
