"""Settle who belongs to whom: the right one among look-alikes, then every image in one pair at most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from twimager.errors import Reason, Rejection
from twimager.geometry import Rect
from twimager.matching import Match
from twimager.proposals.hashes import Proposal
from twimager.verification import DECISIVE, Overlay, Scores, preference


class VerifiedPair(NamedTuple):
    """A pair that passed every gate.

    `common` are the LR pixels that the HR covers, `window` those that will be written.
    """

    proposal: Proposal
    match: Match
    scores: Scores
    common: Rect
    window: Rect


class RejectedPair(NamedTuple):
    """A pair that was turned down; what was not reached is None."""

    proposal: Proposal
    rejection: Rejection
    match: Match | None = None
    scores: Scores | None = None


# So many of an LR's best candidates are compared with one another; of true partners none was ever ranked lower than 4.
RIVALS = 6


def rank(pair: VerifiedPair) -> tuple[float, tuple[str, ...], tuple[str, ...]]:
    """Sort key: likeness, best first, then the paths."""
    return -pair.scores.likeness, pair.proposal.lr.path.parts, pair.proposal.hr.path.parts


def settle_rivals(
    candidates: Sequence[tuple[VerifiedPair, Overlay]],
) -> tuple[list[VerifiedPair], list[RejectedPair]]:
    """Among one LR's candidates, keep those that no other shows to be a mere look-alike.

    The best-liked meet one after the other: who explains the LR better becomes the favourite. Then all that
    the favourite beats decisively are turned down.
    """
    if not candidates:
        return [], []
    ranked = sorted(candidates, key=lambda candidate: rank(candidate[0]))
    favourite = ranked[0]
    for challenger in ranked[1:RIVALS]:
        if preference(challenger[1], favourite[1]) > 0:
            favourite = challenger
    kept, rejected = [], []
    for candidate in ranked:
        lead = 0.0 if candidate is favourite else preference(favourite[1], candidate[1])
        if lead < DECISIVE:
            kept.append(candidate[0])
        else:
            name = favourite[0].proposal.hr.path.name
            rejected.append(reject(candidate[0], Reason.LOOK_ALIKE, f"{name} explains the LR better by {lead:.2f}"))
    return kept, rejected


def select(pairs: Sequence[VerifiedPair]) -> tuple[list[VerifiedPair], list[RejectedPair]]:
    """Choose one-to-one, best first; return the chosen and those of which one side is in a better pair."""
    chosen: list[VerifiedPair] = []
    rejected: list[RejectedPair] = []
    owner: dict[Path, VerifiedPair] = {}
    for pair in sorted(pairs, key=rank):
        lr, hr = pair.proposal.lr.path, pair.proposal.hr.path
        better = owner.get(lr) or owner.get(hr)
        if better is None:
            chosen.append(pair)
            owner[lr] = owner[hr] = pair
        else:
            names = f"{better.proposal.lr.path.name} with {better.proposal.hr.path.name}"
            rejected.append(reject(pair, Reason.TAKEN, names))
    return chosen, rejected


def reject(pair: VerifiedPair, reason: Reason, detail: str = "") -> RejectedPair:
    """Turn a verified pair down after all."""
    return RejectedPair(pair.proposal, Rejection(reason, detail), pair.match, pair.scores)
