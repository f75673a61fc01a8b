"""Register a candidate by those parts in which LR and HR agree, and find what at the rim is no part of the picture."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from twimager.align.refinement import FINE
from twimager.fingerprint.working_image import WorkingImage, picture
from twimager.geometry import Rect
from twimager.image.pixels import frame_size, to_8_bit
from twimager.options import Method
from twimager.pairing.registration import register
from twimager.pairs import Candidate
from twimager.verify.agreeing_rectangle import inner_rectangle, to_the_pixel
from twimager.verify.agreement import Agreement, agreement
from twimager.verify.channel_curves import gray_by_channels
from twimager.verify.overlay import make_overlay

# A pair in which something differs is registered anew without it, so many times at most: as long as no more differs than
# before, and much less. Of film with a vignette half of the error is gone then, of frames in frames a third.
MOST_TIMES, GAIN = 3, 0.01
# Pixels of the map around what differs that don't count either.
MARGIN = 2
# Two parts have moved in two ways where so much of a map is misregistered: parts of it, squares of that side, of which
# this share is. Each is registered so many times, and taken if so much less is misregistered then. More noise (variance,
# in squared levels) looks the same.
LAYER, LAYER_SIDE, LAYER_SHARE, LAYER_TIMES, LAYER_GAIN, MOST_NOISE = 0.1, 21, 0.12, 2, 0.012, 5.0


def register_by_agreement(candidate: Candidate, method: Method) -> tuple[Candidate, Agreement]:
    """Return a refined candidate registered without what differs, and its agreement."""
    candidate, found = _by_larger_layer(candidate, agreement_of(candidate), method)
    for _ in range(MOST_TIMES if found.differs.any() else 0):
        moved = register(_only_where_valid(candidate, found, found.differs), FINE, method)
        better = agreement_of(moved)
        gain = found.different - better.different
        if gain < -GAIN:
            break
        candidate, found = moved._replace(lr=candidate.lr), better
        if gain < GAIN:
            break
    return candidate, found


def _by_larger_layer(candidate: Candidate, found: Agreement, method: Method) -> tuple[Candidate, Agreement]:
    """Return a candidate registered by the larger part of what has moved in two ways, instead of by a compromise."""
    off = _misregistered_parts(found)
    if off.mean() < LAYER or found.noise > MOST_NOISE:
        return candidate, found
    for other in (off, ~off):
        moved = candidate
        for _ in range(LAYER_TIMES):
            moved = register(_only_where_valid(moved, found, other), FINE, method)._replace(lr=candidate.lr)
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


def without_rim(candidate: Candidate, found: Agreement) -> tuple[Candidate, Agreement]:
    """Return a candidate whose overlay ends where frames, bars and junk lines begin, and the agreement of that."""
    left, top, right, bottom = (bar > 0 for bar in candidate.proposal.lr.bars)
    inner = inner_rectangle(found.differs, (left, top, right, bottom))
    exact = to_the_pixel(inner, found, *_both(candidate)) if inner[2:] != frame_size(found.labels) else None
    if exact is None:
        return candidate, found
    overlay = candidate.overlay
    narrowed = candidate._replace(overlay=replace(overlay, common=exact.moved(*overlay.common[:2])))
    return narrowed, agreement_of(narrowed)


def by_channels(candidate: Candidate, found: Agreement) -> tuple[Candidate, Agreement]:
    """Return a candidate whose overlay has the HR's colours as the gray nearest to the LR, if more agrees then."""
    overlay = candidate.overlay
    with picture(candidate.proposal.hr) as pixels:
        colors = WorkingImage(to_8_bit(pixels), candidate.hr.size)
        colored = make_overlay(colors, candidate.lr, candidate.match.matrix, displacement=candidate.match.displacement)
    if colored is None:
        return candidate, found
    gray = overlay.hr.copy()
    hr, lr = (np.asarray(overlay.common.cut(pixels), np.uint8) for pixels in (colored.hr, overlay.lr))
    overlay.common.cut(gray)[:] = gray_by_channels(hr, lr)
    mapped = candidate._replace(overlay=replace(overlay, hr=gray))
    better = agreement_of(mapped)
    return (mapped, better) if better.different < found.different else (candidate, found)


def in_full(area: Rect, lr: WorkingImage) -> Rect:
    """Return the whole pixels of an LR that lie in an area of its working image."""
    across, down = (full / small for full, small in zip(lr.size, frame_size(lr.gray), strict=True))
    x, y = math.ceil(area.x * across - 1e-6), math.ceil(area.y * down - 1e-6)
    right, bottom = int((area.x + area.width) * across + 1e-6), int((area.y + area.height) * down + 1e-6)
    return Rect(x, y, right - x, bottom - y)


def agreement_of(candidate: Candidate) -> Agreement:
    """Return the agreement of what both pictures of a candidate show."""
    return agreement(*_both(candidate))


def _both(candidate: Candidate) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    overlay = candidate.overlay
    hr, lr = (np.asarray(overlay.common.cut(pixels), np.uint8) for pixels in (overlay.hr, overlay.lr))
    return hr, lr


def _only_where_valid(candidate: Candidate, found: Agreement, differs: NDArray[np.bool_]) -> Candidate:
    """Return a candidate of whose LR, without its vignette, only what agrees is valid."""
    common, lr = candidate.overlay.common, candidate.lr
    side = 2 * MARGIN + 1
    differing = cv2.dilate(differs.astype(np.uint8), np.ones((side, side), np.uint8))
    valid = np.ones(lr.gray.shape, bool)
    common.cut(valid)[:] = cv2.resize(differing, common[2:], interpolation=cv2.INTER_NEAREST) == 0
    flat = lr.gray.astype(np.float32)
    common.cut(flat)[:] = found.tones.without_vignette(common.cut(flat))
    return candidate._replace(lr=lr._replace(gray=flat, valid=valid))
