"""Put candidates in place by their pixels, where features did not suffice for that, and then exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from twimager.align.matching import CERTAIN_INLIERS, implausible, places
from twimager.align.refinement import COARSE, FINE, Pass, refine
from twimager.fingerprint.extract import extract_features
from twimager.fingerprint.fingerprint import RICH, mirrored
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Matrix, mirroring
from twimager.image.pixels import limited
from twimager.options import Method, Options
from twimager.pairs import Candidate
from twimager.verify.discrimination import DECISIVE, UNEXPLAINED, partial_correlation, unexplained_variance
from twimager.verify.overlay import (
    COARSE_SIDE,
    GOOD_CORRELATION,
    MIN_CORRELATION,
    PROMISING,
    coarse_scores,
    make_overlay,
)

# With so many inliers no pattern that repeats was seen to mislead.
MANY_INLIERS = 40


def registered_coarsely(candidate: Candidate, clear: bool, options: Options) -> Candidate:
    """Put a candidate in place by its pixels, coarsely, if they do not say that it is there.

    With `clear`, another candidate is: what becomes less likely by it stays where it was.
    """
    if candidate.scores.correlation >= GOOD_CORRELATION:
        return candidate
    found = _searched(_small(candidate), options)
    if clear and found.scores.correlation < candidate.scores.correlation:
        return candidate
    return found._replace(lr=candidate.lr)


def disambiguated(candidate: Candidate, options: Options) -> Candidate:
    """Put a refined candidate in place again if it may lie a window or a plank off, where a pattern repeats.

    That is if not many features agree and its pixels leave something of the LR unexplained. All places that richer
    features name are looked at then, and it lies where it explains the LR best.
    """
    inliers = candidate.match.inliers
    if inliers is None or inliers >= MANY_INLIERS or candidate.scores.correlation < MIN_CORRELATION:
        return candidate
    # From where a few features put it, the pixels may go for a wrong perspective that explains nearly as much.
    has_start = options.method is Method.TRANSFORM or inliers >= CERTAIN_INLIERS
    if has_start and unexplained_variance(candidate.overlay) <= UNEXPLAINED:
        return candidate
    first = _moved(_small(candidate), candidate.match.matrix)
    if first is None:
        return candidate
    best, proposal = first, candidate.proposal
    hr = extract_features(proposal.hr, candidate.hr.gray, RICH)
    lr = extract_features(proposal.lr, candidate.lr.gray, RICH)
    seen, flip = (mirrored(hr), mirroring(hr.size)) if proposal.mirrored else (hr, np.eye(3))
    moved = (_moved(first, matrix @ flip) for matrix in places(seen, lr, options.method))
    for found in (_searched(there, options) for there in moved if there):
        if partial_correlation(found.overlay, best.overlay) > DECISIVE:
            best = found
    return candidate if best is first else register(best._replace(lr=candidate.lr), FINE, options)


def _small(candidate: Candidate) -> Candidate:
    """Return a candidate with a small copy of the LR, which suffices for where it lies."""
    return candidate._replace(lr=WorkingImage(limited(candidate.lr.gray, COARSE_SIDE), candidate.lr.size))


def _searched(candidate: Candidate, options: Options) -> Candidate:
    """Put a candidate in place by its pixels, as long as they show something of it."""
    found = register(candidate, COARSE[:1], options)
    return register(found, COARSE[1:], options) if found.scores.correlation >= PROMISING else found


def register(candidate: Candidate, passes: tuple[Pass, ...], options: Options) -> Candidate:
    """Refine a candidate by its pixels; leave it as it was where that would be no place for a picture."""
    hr = candidate.hr
    matrix = refine(candidate.match.matrix, hr, candidate.lr, options.method, passes)
    if implausible(matrix @ mirroring(hr.size) if candidate.proposal.mirrored else matrix, hr.size):
        return candidate
    return _moved(candidate, matrix) or candidate


def _moved(candidate: Candidate, matrix: Matrix) -> Candidate | None:
    """Lay a candidate elsewhere; None if it would have next to nothing in common there."""
    overlay = make_overlay(candidate.hr, candidate.lr, matrix)
    if overlay is None:
        return None
    scores = replace(coarse_scores(overlay), color_distance=candidate.scores.color_distance)
    return candidate._replace(match=replace(candidate.match, matrix=matrix), scores=scores, overlay=overlay)
