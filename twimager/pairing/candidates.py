"""Align proposed pairs, lay both images on one grid, and score what both show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from twimager.align.matching import Match, implausible, match
from twimager.align.refinement import NEAR, refine
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.fingerprint import Fingerprint, mirrored, negative, stretched, stretching
from twimager.fingerprint.working_image import (
    WORKING_SIDE,
    WorkingImage,
    color_image,
    precise_frame,
    precise_picture,
    working_image,
)
from twimager.geometry import (
    Matrix,
    covered_share,
    frame_corners,
    mirroring,
    resize_matrix,
    transform_points,
)
from twimager.options import Gates, Method
from twimager.pairs import Candidate, RejectedPair, reject
from twimager.propose.by_hash import nearest_hashes
from twimager.propose.by_thumbnail import framing
from twimager.propose.proposal import Proposal, Source
from twimager.runtime.memory import budget
from twimager.verify.color import color_difference
from twimager.verify.detail import LARGER, fineness, is_enlarged
from twimager.verify.overlay import COARSE_SIDE, make_overlay
from twimager.verify.scores import GOOD_CORRELATION, Scores, coarse_scores, failed_gate

# HRs are of the same frame if their corners, as aligned, are off by no more than this share of the shorter side.
SAME_FRAME = 0.02
# Of those as large, few are compared in full: where, by their spectra, so many times fewer pixels along a side hold
# detail. Those of neighbouring frames differ as well.
SOFTER = 1.5
# What comparing them takes, a pixel of the larger one: its gray, enlargements of the smaller one and their differences.
COMPARED_BYTES = 32
NOTHING_IN_COMMON = Rejection(Reason.OVERLAP, "next to nothing in common")

Aligned = tuple[Proposal, Match]


def align(proposals: Sequence[Proposal], method: Method) -> Iterator[Aligned | RejectedPair]:
    """Yield the initial alignment of each of one source's proposals for an LR."""
    if proposals[0].source is Source.FRAME:
        yield from _align_frames(proposals, method)
    else:
        yield from (_align(proposal, method) for proposal in proposals)


def _align_frames(proposals: Sequence[Proposal], method: Method) -> Iterator[Aligned | RejectedPair]:
    """Yield the alignment of the first HR for all: the others, its neighbours in a film, share its transform."""
    size = proposals[0].hr.size
    try:
        hr, lr = working_image(proposals[0].hr), working_image(proposals[0].lr)
    except UnreadableImage as error:
        yield from (RejectedPair(proposal, Rejection(Reason.UNREADABLE, str(error))) for proposal in proposals)
        return
    matrix = refine(resize_matrix(size, lr.size), hr, _coarse(lr), method, NEAR)
    for proposal in proposals:
        yield _plausible(proposal, Match(matrix @ resize_matrix(proposal.hr.size, size), None))


def _align(proposal: Proposal, method: Method) -> Aligned | RejectedPair:
    """Match the features; where too few match, a proposal by hash is aligned as its hashes were.

    One by its thumbnail is aligned as that was.
    """
    lr, hr = proposal.lr, proposal.hr
    if proposal.source is Source.THUMBNAIL:
        return _plausible(proposal, Match(framing(hr, lr), 0))
    found = match(*features_as_proposed(proposal, hr, lr), method)
    if isinstance(found, Rejection):
        if proposal.source is Source.FEATURES:
            return RejectedPair(proposal, found)
        return _plausible(proposal, Match(nearest_hashes(lr, hr)[1], 0))
    return _plausible(proposal, replace(found, matrix=matrix_of_files(proposal, found.matrix)))


def features_as_proposed(proposal: Proposal, hr: Fingerprint, lr: Fingerprint) -> tuple[Fingerprint, Fingerprint]:
    """Return both images of a proposal as one is to be found in the other: mirrored, inverted, stretched."""
    hr = negative(hr) if proposal.negative else hr
    return mirrored(hr) if proposal.mirrored else hr, stretched(lr, proposal.stretch) if proposal.stretch != 1 else lr


def matrix_of_files(proposal: Proposal, matrix: Matrix) -> Matrix:
    """Return a matrix, (3, 3), between `features_as_proposed` as one between the images themselves."""
    if proposal.stretch != 1:
        matrix = stretching(1 / proposal.stretch) @ matrix
    return matrix @ mirroring(proposal.hr.size) if proposal.mirrored else matrix


def _plausible(proposal: Proposal, found: Match) -> Aligned | RejectedPair:
    """Reject a transform that no picture of a picture has: resampling by it might take any time and memory."""
    flaw = flaw_of(proposal, found.matrix)
    return RejectedPair(proposal, flaw) if flaw else (proposal, found)


def flaw_of(proposal: Proposal, matrix: Matrix) -> Rejection | None:
    """Return why a matrix, (3, 3), from HR to LR pixels is implausible, if it is."""
    size = proposal.hr.size
    flaw = implausible(matrix @ mirroring(size) if proposal.mirrored else matrix, size)
    return Rejection(Reason.IMPLAUSIBLE, flaw) if flaw else None


def coverage(aligned: Aligned) -> float:
    """Return the share (0..1) of the LR frame that an aligned HR covers."""
    proposal, found = aligned
    return covered_share(found.matrix, proposal.hr.size, proposal.lr.size)


def overlaid(proposal: Proposal, found: Match) -> Candidate | RejectedPair:
    """Return an aligned pair as a candidate: overlaid on a coarse grid of the LR, and scored there."""
    try:
        hr, lr = working_image(proposal.hr), working_image(proposal.lr)
    except UnreadableImage as error:
        return RejectedPair(proposal, Rejection(Reason.UNREADABLE, str(error)), found)
    hr = proposal.as_shown(hr)
    overlay = make_overlay(hr, _coarse(lr), found.matrix)
    if overlay is None:
        return RejectedPair(proposal, NOTHING_IN_COMMON, found)
    return Candidate(proposal, found, coarse_scores(overlay), overlay, hr, lr)


def on_coarse_grid(candidate: Candidate) -> Candidate:
    """Return a candidate with a small LR, which suffices for its registration."""
    return candidate._replace(lr=_coarse(candidate.lr))


def _coarse(lr: WorkingImage) -> WorkingImage:
    return lr.limited(COARSE_SIDE)


def gated_by_color(candidate: Candidate, gates: Gates) -> Candidate | RejectedPair:
    """Reject a registered candidate of other colours before it is ranked: it might oust the right one."""
    if gates.max_color_distance is None or candidate.scores.correlation < GOOD_CORRELATION:
        return candidate
    colored = with_color_distance(candidate, candidate.scores)
    return gated(colored, gates) if isinstance(colored, Candidate) else colored


def with_color_distance(candidate: Candidate, scores: Scores) -> Candidate | RejectedPair:
    """Return a candidate with these scores and its colour distance."""
    try:
        distance = _color_distance(candidate, gain=True)
    except UnreadableImage as error:
        return reject(candidate, Rejection(Reason.UNREADABLE, str(error)))
    if distance is None:
        return reject(candidate, NOTHING_IN_COMMON)
    return candidate._replace(scores=replace(scores, color_distance=distance))


def _color_distance(candidate: Candidate, gain: bool) -> float | None:
    """Return how far the colours of both are apart; None if they have next to nothing in common."""
    found = candidate.match
    proposal = candidate.proposal
    hr, lr = proposal.as_shown(color_image(proposal.hr)), color_image(proposal.lr)
    overlay = make_overlay(hr, lr, found.matrix, displacement=found.displacement)
    if overlay is None:
        return None
    return color_difference(overlay.common.cut(overlay.hr), overlay.common.cut(overlay.lr), gain=gain)


def gated(candidate: Candidate, gates: Gates) -> Candidate | RejectedPair:
    """Reject a candidate that fails a gate by what is known of it so far."""
    failure = failed_gate(
        candidate.scores, gates.threshold, gates.min_overlap, max_color_distance=gates.max_color_distance
    )
    return reject(candidate, failure) if failure else candidate


def at_full_resolution(candidates: Sequence[Candidate]) -> Iterator[Candidate | RejectedPair]:
    """Yield an LR's candidates overlaid at full resolution, where they may differ in what working images have lost.

    How fine their detail is, and how far their tones are from the LR's, is measured as well.
    """
    lr: WorkingImage | None = None
    for candidate in candidates:
        try:
            lr = lr or _full_resolution_lr(candidate)
            yield _at_full_resolution(candidate, lr)
        except UnreadableImage as error:
            yield reject(candidate, Rejection(Reason.UNREADABLE, str(error)))


def _full_resolution_lr(candidate: Candidate) -> WorkingImage:
    with precise_picture(candidate.proposal.lr) as lr:
        return lr.limited(WORKING_SIDE)


def _at_full_resolution(candidate: Candidate, lr: WorkingImage) -> Candidate | RejectedPair:
    with precise_picture(candidate.proposal.hr) as hr:
        shown = candidate.proposal.as_shown(hr)
        overlay = make_overlay(shown, lr, candidate.match.matrix, cv2.INTER_CUBIC)
        finest = fineness(np.asarray(hr.gray, np.float32))
    if overlay is None:
        return reject(candidate, NOTHING_IN_COMMON)
    distance = _color_distance(candidate, gain=False)
    return candidate._replace(overlay=overlay, fineness=finest, tone_distance=distance)


def with_real_detail(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return an LR's candidates, those that are enlargements of others with the detail of these.

    Only HRs of the same frame are compared: copies of one picture.
    """
    found = list(candidates)
    registered = [place for place, one in enumerate(found) if one.scores.correlation >= GOOD_CORRELATION]
    for place in sorted(registered, key=lambda place: _side(found[place])):
        larger = found[place]
        others = (found[other] for other in registered if found[other].detail == 1)
        originals = (one for one in others if _may_enlarge(larger, one) and _of_same_frame(one, larger))
        original = max(originals, key=_side, default=None)
        if original and _enlarges(larger, original):
            share = _side(original) / _side(larger)
            found[place] = larger._replace(detail=min(share, larger.proposal.hr.detail))
    return found


def _may_enlarge(larger: Candidate, other: Candidate) -> bool:
    """Return whether an HR has more pixels than another, or as many of which far fewer seem to hold detail."""
    more = _side(larger) / _side(other)
    softer = other.proposal.hr.detail / larger.proposal.hr.detail
    return more >= LARGER or (more > 1 / LARGER and softer >= SOFTER)


def _side(candidate: Candidate) -> float:
    """Return the side of a square that has as many pixels as the HR's file."""
    return math.sqrt(math.prod(candidate.proposal.hr.frame[2:]))


def _of_same_frame(candidate: Candidate, other: Candidate) -> bool:
    """Return whether two HRs' files show the same frame, mirrored alike; bars may be found in one of them alone."""
    if candidate.proposal.mirrored != other.proposal.mirrored:
        return False
    frames = (one.proposal.hr.frame for one in (candidate, other))
    corners, others = (frame_corners(frame[2:]) + np.array(frame[:2]) for frame in frames)
    seen = transform_points(np.linalg.inv(candidate.match.matrix) @ other.match.matrix, others)
    return bool(abs(seen - corners).max() <= SAME_FRAME * min(candidate.proposal.hr.frame[2:]))


def _enlarges(larger: Candidate, smaller: Candidate) -> bool:
    """Return whether an HR is an enlargement; not if one can't be read any more, or they take too much memory."""
    hr, original = larger.proposal.hr, smaller.proposal.hr
    try:
        with budget.admit(COMPARED_BYTES * math.prod(hr.frame[2:])):
            return is_enlarged(precise_frame(hr), precise_frame(original))
    except UnreadableImage:
        return False
