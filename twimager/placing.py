"""Put candidates in place by their pixels, where features did not suffice for that, and then exactly."""

from __future__ import annotations

from dataclasses import replace

from twimager.fingerprints import Copy, limited
from twimager.geometry import Matrix, mirroring
from twimager.matching import implausible
from twimager.options import Options
from twimager.refinement import COARSE, Pass, refine
from twimager.selection import Candidate
from twimager.verification import GLANCE_SIDE, GOOD_CORRELATION, PROMISING, glance, overlay


def found_again(candidate: Candidate, clear: bool, options: Options) -> Candidate:
    """Put a candidate in place by its pixels, coarsely, if they do not say that it is there.

    With `clear`, another candidate is: what becomes less likely by it stays where it was.
    """
    if candidate.scores.correlation >= GOOD_CORRELATION:
        return candidate
    found = _searched(_small(candidate), options)
    if clear and found.scores.correlation < candidate.scores.correlation:
        return candidate
    return found._replace(lr=candidate.lr)


def elsewhere(candidate: Candidate, options: Options) -> Candidate:
    """Put a candidate where fewer of its features agree, if its pixels are convincing there."""
    moved = (_moved(_small(candidate), other) for other in candidate.match.others)
    for found in (_searched(there, options) for there in moved if there):
        if found.scores.is_convincing:
            return found._replace(lr=candidate.lr)
    return candidate


def _small(candidate: Candidate) -> Candidate:
    """Return a candidate with a small copy of the LR, which suffices for where it lies."""
    return candidate._replace(lr=Copy(limited(candidate.lr.gray, GLANCE_SIDE), candidate.lr.size))


def _searched(candidate: Candidate, options: Options) -> Candidate:
    """Put a candidate in place by its pixels, as long as they show something of it."""
    found = put_in_place(candidate, COARSE[:1], options)
    return put_in_place(found, COARSE[1:], options) if found.scores.correlation >= PROMISING else found


def put_in_place(candidate: Candidate, passes: tuple[Pass, ...], options: Options) -> Candidate:
    """Refine a candidate by its pixels; leave it as it was where that would be no place for a picture."""
    hr = candidate.hr
    matrix = refine(candidate.match.matrix, hr, candidate.lr, options.method, passes)
    if implausible(matrix @ mirroring(hr.size) if candidate.proposal.mirrored else matrix, hr.size):
        return candidate
    return _moved(candidate, matrix) or candidate


def _moved(candidate: Candidate, matrix: Matrix) -> Candidate | None:
    """Lay a candidate elsewhere; None if it would have next to nothing in common there."""
    laid = overlay(candidate.hr, candidate.lr, matrix)
    if laid is None:
        return None
    scores = replace(glance(laid), color_distance=candidate.scores.color_distance)
    return candidate._replace(match=replace(candidate.match, matrix=matrix), scores=scores, laid=laid)
