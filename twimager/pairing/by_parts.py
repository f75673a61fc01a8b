"""Register a candidate by those parts in which LR and HR agree, and find what at the rim is no part of the picture."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.refinement import FINE
from twimager.fingerprint.working_image import WorkingImage, picture
from twimager.geometry import Rect, frame_corners, transform_points
from twimager.image.pixels import frame_size, to_8_bit
from twimager.options import Method
from twimager.pairing.registration import moved_to, register, register_or_keep
from twimager.pairs import Candidate, RejectedPair
from twimager.verify.agreeing_rectangle import inner_rectangle, largest_rectangle, to_the_pixel
from twimager.verify.agreement import Agreement, agreement
from twimager.verify.channel_curves import gray_by_channels
from twimager.verify.line_jitter import with_line_jitter
from twimager.verify.overlay import make_overlay
from twimager.verify.scores import PARTLY_CORRELATED

# A pair in which something differs is registered anew without it, so many times at most, until the transform moves no
# corner by so many LR pixels, or more of it differs than a twentieth more and so much. What is covered differs as much
# before as after: of covered pairs the median error is 0.010 LR pixels, 0.07 if each time has to make more agree. Of
# film with a vignette half of the error is gone then, of pictures in frames a third.
MOST_TIMES, CONVERGED, MORE, LOSS = 3, 0.01, 1.05, 0.002
# From so much on, a pair is registered without what differs from the first, so that it is not pulled towards that. Of
# 630 such pairs (covered, framed, film, other moments) none correlates better than 0.93.
MUCH, WHOLLY_CORRELATED = 0.1, 0.95
# What a rim leaves is at least so much of the LR; where it is less than that share of what both show, it correlates so
# well: in some part, unlike pictures agree as well.
LEAST_INNER, MOST_OF_IT, CLEARLY_CORRELATED = 0.22, 0.5, 0.8
# Pixels of the map around what differs that don't count either.
MARGIN = 2
# Two parts have moved in two ways where so much of a map is misregistered: parts of it, squares of that side, of which
# this share is. Each is registered so many times, and taken if so much less is misregistered then. More noise
# (variance, in squared levels) looks the same.
LAYER, LAYER_SIDE, LAYER_SHARE, LAYER_TIMES, LAYER_GAIN, MOST_NOISE = 0.2, 21, 0.12, 2, 0.012, 5.0


def register_by_agreement(candidate: Candidate, method: Method) -> tuple[Candidate, Agreement]:
    """Return a refined candidate registered without what differs, and its agreement."""
    candidate, found = _by_larger_layer(candidate, agreement_of(candidate), method)
    for _ in range(MOST_TIMES if found.differs.any() else 0):
        moved = _registered_without(found.differs, candidate, found, method)
        agreeing = agreement_of(moved)
        if agreeing.different > MORE * found.different + LOSS:
            break
        moved_by = _moved_by(candidate, moved)
        candidate, found = moved, agreeing
        if moved_by < CONVERGED:
            break
    return candidate, found


def _by_larger_layer(candidate: Candidate, found: Agreement, method: Method) -> tuple[Candidate, Agreement]:
    """Return a candidate registered by the larger part of what has moved in two ways, instead of by a compromise."""
    off = _misregistered_parts(found)
    if off.mean() < LAYER or found.noise > MOST_NOISE:
        return candidate, found
    for one in (off, ~off):
        moved, other = candidate, one
        for _ in range(LAYER_TIMES):
            moved = _registered_without(other, moved, found, method)
            better = agreement_of(moved)
            other = _misregistered_parts(better)
        correlates = moved.scores.correlation > candidate.scores.correlation
        if correlates and other.mean() < off.mean() - LAYER_GAIN:
            candidate, found, off = moved, better, other
    return candidate, found


def _misregistered_parts(found: Agreement) -> NDArray[np.bool_]:
    """Return the parts of the map, (h, w), in which much is misregistered."""
    share = cv2.blur(found.misregistered.astype(np.float32), (LAYER_SIDE, LAYER_SIDE))
    return np.asarray(share > LAYER_SHARE)


def register_finely(candidate: Candidate, method: Method) -> Candidate | RejectedPair:
    """Refine an aligned candidate's transform, by what agrees from the first if much differs.

    A candidate whose transform becomes implausible is rejected: it would be written as its features put it.
    """
    partly = PARTLY_CORRELATED <= candidate.scores.correlation < WHOLLY_CORRELATED
    much = partly and agreement_of(candidate).different > MUCH
    # The candidate's overlay may be on a coarse grid.
    if much and (overlay := make_overlay(candidate.hr, candidate.lr, candidate.match.matrix)):
        on_grid = candidate._replace(overlay=overlay)
        found = agreement_of(on_grid)
        moved = _registered_without(found.differs, on_grid, found, method)
        if agreement_of(moved).different > MUCH:
            return moved
        candidate = moved  # what differed was misregistered
    return register(candidate, FINE, method)


def without_rim(candidate: Candidate, found: Agreement) -> tuple[Candidate, Agreement]:
    """Return a candidate whose overlay ends where frames, bars and junk lines begin, and the agreement of that."""
    left, top, right, bottom = (bar > 0 for bar in candidate.proposal.lr.bars)
    common, (width, height) = candidate.overlay.common, frame_size(candidate.lr.gray)
    least = LEAST_INNER * width * height / (common.width * common.height)
    inner = inner_rectangle(found.differs, (left, top, right, bottom), least)
    narrowed = _narrowed(candidate, found, inner)
    if narrowed is None:
        return candidate, found
    small = inner.width * inner.height < MOST_OF_IT * found.labels.size
    return (candidate, found) if small and narrowed[0].overlay.correlation < CLEARLY_CORRELATED else narrowed


def cut_to_agreement(candidate: Candidate, found: Agreement) -> tuple[Candidate, Agreement]:
    """Return a candidate whose overlay is the largest rectangle in which both agree, and the agreement of that."""
    agreeing = largest_rectangle(~found.differs)
    cut = agreeing and _narrowed(candidate, found, agreeing)
    if not cut:
        return candidate, found
    before, after = (math.prod(one.overlay.common[2:]) for one in (candidate, cut[0]))
    overlay = replace(cut[0].overlay, coverage=candidate.overlay.coverage * after / before)
    return cut[0]._replace(overlay=overlay), cut[1]


def _narrowed(candidate: Candidate, found: Agreement, part: Rect) -> tuple[Candidate, Agreement] | None:
    """Return a candidate whose overlay is a part of the map, and the agreement of that; None where it is all of it."""
    exact = to_the_pixel(part, found, *_both(candidate)) if part[2:] != frame_size(found.labels) else None
    if exact is None:
        return None
    overlay = candidate.overlay
    narrowed = candidate._replace(overlay=replace(overlay, common=exact.moved(*overlay.common[:2])))
    return narrowed, agreement_of(narrowed)


def by_channels(candidate: Candidate, found: Agreement, max_difference: float) -> tuple[Candidate, Agreement]:
    """Return a candidate whose overlay has the HR's colours as the gray nearest to the LR, if nothing contradicts then.

    Else it is returned as it was: the colours may account for only a part of a watermark.
    """
    overlay = candidate.overlay
    with picture(candidate.proposal.hr) as pixels:
        colors = candidate.proposal.as_shown(WorkingImage(to_8_bit(pixels), candidate.hr.size))
        colored = make_overlay(colors, candidate.lr, candidate.match.matrix, displacement=candidate.match.displacement)
    if colored is None:
        return candidate, found
    gray = overlay.hr.copy()
    hr, lr = (np.asarray(overlay.common.cut(pixels), np.uint8) for pixels in (colored.hr, overlay.lr))
    overlay.common.cut(gray)[:] = gray_by_channels(hr, lr)
    mapped = candidate._replace(overlay=replace(overlay, hr=gray))
    better = agreement_of(mapped)
    return (mapped, better) if better.contradicted <= max_difference else (candidate, found)


def without_line_jitter(candidate: Candidate, found: Agreement, max_difference: float) -> Agreement:
    """Return the agreement of a candidate whose LR's lines jitter with that taken out, if nothing contradicts then."""
    hr, lr = _both(candidate)
    size = frame_size(lr)
    jittered = with_line_jitter(hr, found.tones.apply(hr.astype(np.float32), Rect(0, 0, *size), size), lr)
    if jittered is None:
        return found
    valid = candidate.overlay.valid
    better = agreement(jittered, lr, None if valid is None else candidate.overlay.common.cut(valid))
    return better if better.contradicted <= max_difference else found


def in_full(area: Rect, lr: WorkingImage) -> Rect:
    """Return the whole pixels of an LR that lie in an area of its working image."""
    across, down = (full / small for full, small in zip(lr.size, frame_size(lr.gray), strict=True))
    x, y = math.ceil(area.x * across - 1e-6), math.ceil(area.y * down - 1e-6)
    right, bottom = int((area.x + area.width) * across + 1e-6), int((area.y + area.height) * down + 1e-6)
    return Rect(x, y, right - x, bottom - y)


def agreement_of(candidate: Candidate) -> Agreement:
    """Return the agreement of what both pictures of a candidate show."""
    overlay = candidate.overlay
    return agreement(*_both(candidate), None if overlay.valid is None else overlay.common.cut(overlay.valid))


def _moved_by(before: Candidate, after: Candidate) -> float:
    """Return by how many LR pixels the HR's corners have moved at most."""
    corners = frame_corners(before.hr.size)
    moved = [transform_points(one.match.matrix, corners) for one in (before, after)]
    return float(np.linalg.norm(moved[1] - moved[0], axis=1).max())


def _both(candidate: Candidate) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    overlay = candidate.overlay
    hr, lr = (np.asarray(overlay.common.cut(pixels), np.uint8) for pixels in (overlay.hr, overlay.lr))
    return hr, lr


def _registered_without(
    differs: NDArray[np.bool_], candidate: Candidate, found: Agreement, method: Method
) -> Candidate:
    """Register a candidate without its LR's vignette, and without what differs on the map, (h, w)."""
    common, lr = candidate.overlay.common, candidate.lr
    side = 2 * MARGIN + 1
    near = cv2.dilate(differs.astype(np.uint8), np.ones((side, side), np.uint8))
    valid = np.ones(lr.gray.shape, bool) if lr.valid is None else lr.valid.copy()
    common.cut(valid)[:] &= cv2.resize(near, common[2:], interpolation=cv2.INTER_NEAREST) == 0
    flat = lr.gray.astype(np.float32)
    common.cut(flat)[:] = found.tones.without_vignette(common.cut(flat))
    moved = register_or_keep(candidate._replace(lr=lr._replace(gray=flat, valid=valid)), FINE, method)
    return moved_to(candidate, moved.match.matrix) or candidate
