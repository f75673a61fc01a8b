"""Verify the frames of a clip by the transform of its pair."""

from __future__ import annotations

from dataclasses import replace

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.working_image import working_image
from twimager.geometry import Rect
from twimager.image.pixels import frame_size
from twimager.options import Framing, PairSettings
from twimager.pairing.by_parts import agreement_of
from twimager.pairing.candidates import NOTHING_IN_COMMON
from twimager.pairing.verification import by_channels_or_jitter, failure_of
from twimager.pairs import Candidate, ClipFrame, VerifiedPair
from twimager.verify.overlay import make_overlay
from twimager.verify.scores import coarse_scores, score


def differing_frame(pair: VerifiedPair, settings: PairSettings) -> Rejection | None:
    """Return which frame of a pair's clip fails a gate of pairs, and why, None if all pass."""
    assert pair.clip
    for number, frame in enumerate(pair.clip.frames, 1):
        if frame.lr != pair.proposal.lr.path and (failure := _failure(pair, frame, settings)):
            return Rejection(Reason.CLIP, f"frame {number} of {len(pair.clip.frames)}: {failure}")
    return None


def _failure(pair: VerifiedPair, frame: ClipFrame, settings: PairSettings) -> Rejection | None:
    proposal, found = pair.of_frame(frame).proposal, pair.match
    try:
        hr, lr = proposal.as_shown(working_image(proposal.hr, keep=False)), working_image(proposal.lr, keep=False)
        overlay = make_overlay(hr, lr, found.matrix, displacement=found.displacement)
        if overlay is None:
            return NOTHING_IN_COMMON
        across, down = (small / full for full, small in zip(lr.size, frame_size(lr.gray), strict=True))
        x, y, width, height = pair.common
        common = Rect(round(x * across), round(y * down), int(width * across), int(height * down))
        overlay = replace(overlay, common=common.intersection(overlay.common) or overlay.common)
        candidate = Candidate(proposal, found, coarse_scores(overlay), overlay, hr, lr)
        # What differs is not cut or masked: a clip is as a whole, or not at all.
        whole = replace(settings, framing=Framing())
        candidate, agreeing = by_channels_or_jitter(candidate, agreement_of(candidate), whole)
        return failure_of(candidate, score(candidate.overlay, lr.size, agreeing), whole)
    except UnreadableImage as error:
        return Rejection(Reason.UNREADABLE, str(error))
