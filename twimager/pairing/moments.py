"""Whether an LR that has a pair is of two moments: combed, or blended of two HRs."""

from __future__ import annotations

from collections.abc import Iterable

import cv2

from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.fingerprint.combing import MAX_COMBED, has_doubled_lines
from twimager.fingerprint.working_image import precise_picture
from twimager.pairs import Candidate
from twimager.verify.moments import Blend, blend, combed_share
from twimager.verify.overlay import Overlay, make_overlay
from twimager.verify.scores import GOOD_CORRELATION


def of_two_moments(best: Candidate, rivals: Iterable[Candidate]) -> Rejection | None:
    """Return what an LR is if it is no single frame; None if it is one, as far as these candidates tell.

    Parameters
    ----------
    best : its best candidate, registered
    rivals : its other candidates, registered as precisely
    """
    try:
        return _combed(best) or _blended(best, rivals)
    except UnreadableImage as error:
        return Rejection(Reason.UNREADABLE, str(error))


def _combed(best: Candidate) -> Rejection | None:
    overlay = _full_overlay(best) if best.proposal.lr.combing > MAX_COMBED else None
    if overlay and (share := combed_share(overlay)) > MAX_COMBED:
        return Rejection(Reason.COMBED, f"its fields are of different moments in {share:.0%} of the picture")
    return None


def _blended(best: Candidate, rivals: Iterable[Candidate]) -> Rejection | None:
    for rival in rivals:
        if found := _blend(best, rival):
            names = [one.proposal.hr.path.name for one in (best, rival)]
            with precise_picture(best.proposal.lr) as lr:
                # What moves by a line between the fields has no teeth.
                if has_doubled_lines(lr.gray):
                    return Rejection(Reason.COMBED, f"its fields are of {names[0]} and {names[1]}")
            return Rejection(Reason.BLENDED, f"{found.share:.0%} of {names[0]}, the rest of {names[1]}")
    return None


def _blend(best: Candidate, rival: Candidate) -> Blend | None:
    """Return how an LR is blended of two candidates, if it is."""
    if min(best.scores.correlation, rival.scores.correlation) < GOOD_CORRELATION:
        return None
    found = blend(best.overlay, rival.overlay)
    return found if found and found.is_significant else None


def _full_overlay(candidate: Candidate) -> Overlay | None:
    """Return the overlay on the full LR's grid: smaller copies show no combing."""
    with precise_picture(candidate.proposal.lr) as lr:
        pass
    with precise_picture(candidate.proposal.hr) as hr:
        shown = candidate.proposal.as_shown(hr)
        return make_overlay(shown, lr, candidate.match.matrix, cv2.INTER_CUBIC, candidate.match.displacement)
