"""Verify a refined candidate: registered by what agrees, without rims, through every gate."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from twimager.align.nonrigid import register_nonrigid
from twimager.errors import Reason, Rejection, UnreadableImage
from twimager.image.pixels import frame_size
from twimager.options import Gates, Method, PairSettings, Partial
from twimager.output.render import SAME_SIZE, common_area, native_scale, output_window
from twimager.pairing.by_parts import (
    LOSS,
    agreement_of,
    by_channels,
    cut_to_agreement,
    in_full,
    register_by_agreement,
    without_line_jitter,
    without_rim,
)
from twimager.pairing.candidates import NOTHING_IN_COMMON, with_color_distance
from twimager.pairing.registration import disambiguate, is_registered, may_be_ambiguous
from twimager.pairs import Candidate, RejectedPair, VerifiedPair, reject
from twimager.verify.agreement import Agreement
from twimager.verify.agreement_map import AgreementMap
from twimager.verify.overlay import make_overlay
from twimager.verify.scores import MAX_RESIDUAL_SHIFT, WORTH_CUTTING, Scores, failed_gate, score

# A pair is cut so many times at most: what is left after the first may be told apart better.
MOST_CUTS = 3


def verify(candidate: Candidate, settings: PairSettings) -> VerifiedPair | RejectedPair:
    """Disambiguate a refined candidate and displace it, as far as the method does, and put it through every gate."""
    return verify_registered(*_registered(candidate, settings.align.method), settings)


def verify_registered(
    registered: Candidate, agreeing: Agreement, settings: PairSettings
) -> VerifiedPair | RejectedPair:
    """Put a candidate that is registered as well as it can be through every gate."""
    try:
        candidate, agreeing = _without_what_differs(registered, agreeing, settings)
    except UnreadableImage as error:
        return reject(candidate, Rejection(Reason.UNREADABLE, str(error)))
    proposal, found, lr_size, scale = candidate.proposal, candidate.match, candidate.lr.size, settings.framing.scale
    common = common_area(found, candidate.hr.size, lr_size, scale)
    if common and candidate.overlay.common != registered.overlay.common:
        common = common.intersection(in_full(candidate.overlay.common, candidate.lr))
    if common is None:
        return reject(candidate, NOTHING_IN_COMMON)
    scores = score(candidate.overlay, lr_size, agreeing)
    if settings.gates.max_color_distance is not None:
        colored = with_color_distance(candidate, scores)
        if isinstance(colored, RejectedPair):
            return colored
        scores = colored.scores
    native = real_native_scale(candidate, scale)
    failure = failure_of(candidate, scores, settings) or enlarged(native, settings.gates)
    window = failure or output_window(common, proposal.lr.frame, settings.framing)
    compared = in_full(candidate.overlay.common, candidate.lr)
    differing = AgreementMap.of(agreeing.labels, compared) if agreeing.differs.any() else None
    if isinstance(window, Rejection):
        return RejectedPair(proposal, window, found, scores, differing)
    return VerifiedPair(
        proposal, found, scores, common, window, score_gap=candidate.score_gap, native_scale=native,
        agreement=differing,
    )  # fmt: skip


def failure_of(candidate: Candidate, scores: Scores, settings: PairSettings) -> Rejection | None:
    """Return the first gate that a candidate of these scores does not pass, or None."""
    gates = settings.gates
    max_residual_shift = gates.max_error or MAX_RESIDUAL_SHIFT * candidate.lr.size[0] / frame_size(candidate.lr.gray)[0]
    return failed_gate(
        scores, gates.threshold, gates.min_overlap, max_residual_shift=max_residual_shift,
        max_color_distance=gates.max_color_distance, max_difference=gates.max_difference,
        partial=settings.framing.partial,
    )  # fmt: skip


def _registered(candidate: Candidate, method: Method) -> tuple[Candidate, Agreement]:
    """Return a candidate registered by what agrees, disambiguated and displaced, and its agreement."""
    candidate, agreeing = register_by_agreement(candidate, method)
    if may_be_ambiguous(candidate, method) and (other := disambiguate(candidate, method)) is not candidate:
        other, other_agreeing = register_by_agreement(other, method)
        # What covers a part of the LR is not explained by any other transform either.
        if other_agreeing.different <= agreeing.different + LOSS:
            candidate, agreeing = other, other_agreeing
    if method.is_nonrigid:
        candidate = _registered_nonrigid(candidate)
        agreeing = agreement_of(candidate)
    return candidate, agreeing


def _without_what_differs(
    candidate: Candidate, agreeing: Agreement, settings: PairSettings
) -> tuple[Candidate, Agreement]:
    """Return a candidate without rims, watermarks and, as settings have it, jitter or all that differs; its agreement.

    Raises UnreadableImage.
    """
    candidate, agreeing = by_channels_or_jitter(*without_rim(candidate, agreeing), settings)
    is_cut = settings.framing.partial is Partial.CUT
    return _cut(candidate, agreeing, settings.gates) if is_cut else (candidate, agreeing)


def by_channels_or_jitter(
    candidate: Candidate, agreeing: Agreement, settings: PairSettings
) -> tuple[Candidate, Agreement]:
    """Return a candidate without watermarks and, as settings have it, jitter, where it is contradicted; its agreement.

    Raises UnreadableImage.
    """
    most = settings.gates.max_difference
    if agreeing.contradicted > most and is_registered(candidate):
        candidate, agreeing = by_channels(candidate, agreeing, most)
        # Parts that are off are still to be cut or masked.
        if settings.framing.partial is Partial.NONE and agreeing.contradicted > most:
            agreeing = without_line_jitter(candidate, agreeing, most)
    return candidate, agreeing


def _cut(candidate: Candidate, found: Agreement, gates: Gates) -> tuple[Candidate, Agreement]:
    """Return a candidate cut until what is left agrees, and its agreement; as it was if too little would be left."""
    cut, left = candidate, found
    for _ in range(MOST_CUTS):
        if left.contradicted <= gates.max_difference and left.different <= WORTH_CUTTING:
            break
        cut, left = cut_to_agreement(cut, left)
    return (cut, left) if cut.overlay.coverage >= gates.min_overlap else (candidate, found)


def _registered_nonrigid(candidate: Candidate) -> Candidate:
    """Return a candidate with a displacement field, if that explains more of the LR."""
    hr, lr, found = candidate.hr, candidate.lr, candidate.match
    displacement = register_nonrigid(found.matrix, hr, lr)
    overlay = displacement and make_overlay(hr, lr, found.matrix, displacement=displacement)
    if not overlay:
        return candidate
    return candidate._replace(match=replace(found, displacement=displacement), overlay=overlay)


def real_native_scale(candidate: Candidate, scale: Fraction) -> float:
    """Return how many HR source pixels that hold detail there are, along a side, per output pixel."""
    held = min(candidate.detail, candidate.proposal.hr.detail)
    return held * native_scale(candidate.match, candidate.hr.size, scale)


def enlarged(native: float, gates: Gates) -> Rejection | None:
    """Return why an HR of so many source pixels per output pixel is rejected, if it is."""
    least = gates.min_native_scale
    if least is None or native >= least * (1 - SAME_SIZE):
        return None
    return Rejection(Reason.ENLARGED, f"{native:.2f} source pixels per output pixel, at least {least:g}")
