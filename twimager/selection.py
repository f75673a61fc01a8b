"""Settle who belongs to whom: the right one among look-alikes, then every image in one pair at most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
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


# So many of an LR's best-liked candidates meet one another; true partners were always first or second.
RIVALS = 6
# Of two HRs that show the same, the one that covers more of the LR by this share is the better one.
SAME_COVERAGE = 0.02


def settle_rivals(
    candidates: Sequence[tuple[VerifiedPair, Overlay]],
) -> tuple[list[VerifiedPair], list[RejectedPair]]:
    """Order one LR's candidates, its favourite first, and turn down those that are mere look-alikes of that.

    The best-liked meet one after the other: who explains the LR better becomes the favourite, who covers less of it
    only by a decisive lead. All that the favourite beats decisively are turned down.
    """
    if not candidates:
        return [], []
    ranked = sorted(candidates, key=lambda candidate: _rank(candidate[0]))
    favourite = ranked[0]
    for challenger in ranked[1:RIVALS]:
        covers_less = challenger[0].scores.coverage < favourite[0].scores.coverage - SAME_COVERAGE
        if preference(challenger[1], favourite[1]) > (DECISIVE if covers_less else 0):
            favourite = challenger
    kept, rejected = [favourite[0]], []
    for pair, laid in ranked:
        if pair is favourite[0]:
            continue
        lead = preference(favourite[1], laid)
        if lead < DECISIVE:
            kept.append(pair)
        else:
            name = favourite[0].proposal.hr.path.name
            rejected.append(reject(pair, Reason.LOOK_ALIKE, f"{name} explains the LR better by {lead:.2f}"))
    return kept, rejected


def select(choices: Iterable[Sequence[VerifiedPair]]) -> tuple[list[VerifiedPair], list[RejectedPair]]:
    """Choose one-to-one, best pairs first.

    Parameters
    ----------
    choices : for every LR its candidates, in the order in which it would have them

    Returns
    -------
    The chosen pairs, best first, and those of which one side is in a better pair.
    """
    chosen: list[VerifiedPair] = []
    rejected: list[RejectedPair] = []
    owner: dict[Path, VerifiedPair] = {}
    waiting = [(_rank(pairs[0]), list(pairs)) for pairs in choices if pairs]
    heapify(waiting)
    while waiting:
        _, (pair, *others) = heappop(waiting)
        better = owner.get(pair.proposal.hr.path)
        if better is None:
            chosen.append(pair)
            owner[pair.proposal.hr.path] = pair
            rejected += [_taken(other, pair) for other in others]
        else:
            rejected.append(_taken(pair, better))
            if others:
                heappush(waiting, (_rank(others[0]), others))
    return chosen, rejected


def reject(pair: VerifiedPair, reason: Reason, detail: str = "") -> RejectedPair:
    """Turn a verified pair down after all."""
    return RejectedPair(pair.proposal, Rejection(reason, detail), pair.match, pair.scores)


def _taken(pair: VerifiedPair, better: VerifiedPair) -> RejectedPair:
    return reject(pair, Reason.TAKEN, f"{better.proposal.lr.path.name} with {better.proposal.hr.path.name}")


def _rank(pair: VerifiedPair) -> tuple[float, tuple[str, ...], tuple[str, ...]]:
    """Sort key: likeness, best first, then the paths."""
    return -pair.scores.likeness, pair.proposal.lr.path.parts, pair.proposal.hr.path.parts
