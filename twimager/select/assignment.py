"""Settle who belongs to whom: the right one among look-alikes, then every image in one pair at most."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from twimager.align.matching import Match
from twimager.errors import Reason, Rejection
from twimager.fingerprint.fingerprint import Copy
from twimager.geometry import Rect, area_scale
from twimager.propose.proposal import Proposal
from twimager.verify.discrimination import PLAIN, preference
from twimager.verify.overlay import GOOD_CORRELATION, Overlay, Scores


class Candidate(NamedTuple):
    """An aligned pair that may be the one, laid over each other for comparison with its rivals.

    `hr` and `lr` are the working copies of both, `behind` says by how much the LR would rather have its favourite.
    """

    proposal: Proposal
    match: Match
    scores: Scores
    laid: Overlay
    hr: Copy
    lr: Copy
    behind: float = 0.0


class VerifiedPair(NamedTuple):
    """A pair that passed every gate.

    `common` are the LR pixels that the HR covers, `window` those that will be written; `rivals` are HRs that show the
    LR as well as this one, `behind` says by how much the LR would rather have its favourite, `native_scale` how many
    HR source pixels there are, along a side, per output pixel.
    """

    proposal: Proposal
    match: Match
    scores: Scores
    common: Rect
    window: Rect
    rivals: tuple[Path, ...] = ()
    behind: float = 0.0
    native_scale: float = 1.0


class RejectedPair(NamedTuple):
    """A pair that was turned down; what was not reached is None."""

    proposal: Proposal
    rejection: Rejection
    match: Match | None = None
    scores: Scores | None = None


class Standby(NamedTuple):
    """An aligned pair that an LR would rather not have; it is put in place and verified only if it is called for.

    That is where what the LR would rather have goes to another LR. `behind` is how far behind it is at least.
    """

    proposal: Proposal
    match: Match
    scores: Scores
    behind: float


Choice = VerifiedPair | Standby

T = TypeVar("T")

# So many of an LR's best-liked candidates meet one another; true partners were always first or second.
RIVALS = 6
# A candidate that is behind by so much for its fewer pixels, or its part of the LR, stands by before it is put in
# place: of 1,601 such rivals among crops, 3 would have become the favourite.
FAR_BEHIND = 0.06
# What an LR has against one that nobody looked at closely is not known better than this: of those that stood by, 19 in
# 20 were, once in place, behind for no less than their fewer pixels say, less this.
UNSURE = 0.03
# Of two HRs that show the same, the one that covers more of the LR, by more than this, is the better one by so much.
SAME_COVERAGE = 0.02
COVERAGE_LEAD = 0.05
# Where colours were asked for: so much Delta E counts as much as e times the pixels, and as a preference of one. Copies
# in the same colours differ by some tenths.
COLOR_TRADE = 5.0
# What it costs an LR to stay alone, more than any change of partners can save; a pair costs 2 to 4.
ALONE = 8.0
# What the order of the paths counts where nothing else does.
BY_PATH = 1e-9


def settle_rivals(candidates: Sequence[Candidate], decisive: float, rejected: list[RejectedPair]) -> list[Candidate]:
    """Order one LR's candidates, its favourite first, and add those that are mere look-alikes to `rejected`.

    It is, to begin with, the one that would be wanted if all showed the same; the likest meet it one after the other,
    and who leads takes its place. All that explain the LR decisively worse are turned down.
    """
    if len(candidates) < 2:
        return list(candidates)
    ranked = sorted(candidates, key=_rank)
    likest = ranked[:RIVALS]
    in_place = [one for one in likest if one.scores.correlation >= GOOD_CORRELATION]
    favourite = max(in_place or ranked[:1], key=lambda one: _merit(one, ranked[0]))

    @cache
    def lead(place: int) -> float:
        return preference(favourite.laid, ranked[place].laid)

    for place, challenger in enumerate(likest):
        if challenger is not favourite and lead(place) + _merit(favourite, challenger) < 0:
            favourite = challenger
            lead.cache_clear()
    kept = [favourite._replace(behind=0)]
    others = ((place, candidate) for place, candidate in enumerate(ranked) if candidate is not favourite)
    kept += passed((_weighed(candidate, favourite, lead(place), decisive) for place, candidate in others), rejected)
    return sorted(kept, key=lambda candidate: candidate.behind)


def weigh(candidate: Candidate, favourite: Candidate, decisive: float) -> Candidate | RejectedPair:
    """Tell by how much an LR would rather have its favourite; turn down what explains the LR decisively worse."""
    return _weighed(candidate, favourite, preference(favourite.laid, candidate.laid), decisive)


def _weighed(candidate: Candidate, favourite: Candidate, lead: float, decisive: float) -> Candidate | RejectedPair:
    merit = _merit(favourite, candidate)
    if lead + min(0, merit) < decisive:
        return candidate._replace(behind=lead + merit)
    detail = f"{favourite.proposal.hr.path.name} explains the LR better by {lead:.2f}"
    return reject(candidate, Rejection(Reason.LOOK_ALIKE, detail))


def _merit(first: Candidate, second: Candidate) -> float:
    """Return how much rather the first HR is wanted than the second where both show the same.

    For detail, coverage and, where they were measured, colours. A tenth more pixels along a side make up for a tenth of
    the preference.
    """
    areas = [abs(area_scale(one.match.matrix, one.proposal.hr.size)) for one in (first, second)]
    more = first.scores.coverage - second.scores.coverage
    completeness = math.copysign(COVERAGE_LEAD, more) if abs(more) > SAME_COVERAGE else 0
    return math.log(areas[1] / areas[0]) / 2 + completeness + _color_lead(first.scores, second.scores)


def _color_lead(first: Scores, second: Scores) -> float:
    if first.color_distance is None or second.color_distance is None:
        return 0.0
    return (second.color_distance - first.color_distance) / COLOR_TRADE


def left_behind(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Return, of one LR's candidates, its favourite first, those that may yet be its favourite, and those that won't.

    The latter show the LR as well, as far as is known, but with fewer pixels, or less of it.
    """
    near, far = list[Candidate](), list[Candidate]()
    for candidate in candidates:
        merit = _merit(candidates[0], candidate)
        if candidate.behind - merit < PLAIN and merit >= FAR_BEHIND:
            far.append(candidate._replace(behind=merit - UNSURE))
        else:
            near.append(candidate)
    return near, far


class Ballot:
    """Collects what LRs would have, and tells what can be decided because nothing to come can change it."""

    def __init__(self, proposals: Iterable[Sequence[Proposal]]) -> None:
        """Take all proposals, a sequence an LR, in the order in which the LRs will be heard."""
        self._awaited = Counter(hr for of_one_lr in proposals for hr in _hrs(of_one_lr))
        self._wanted: dict[Path, list[Sequence[Choice]]] = defaultdict(list)
        self._decided: set[Path] = set()

    def hear(self, proposals: Sequence[Proposal], choices: Sequence[Choice]) -> Iterator[list[Sequence[Choice]]]:
        """Take what came of one LR's proposals; yield the choices of LRs that are now clear, for `select`."""
        for hr in {pair.proposal.hr.path for pair in choices}:
            self._wanted[hr].append(choices)
        for hr in _hrs(proposals):
            self._awaited[hr] -= 1
        for hr in _hrs(proposals):
            if group := self._clear(hr):
                yield group

    def _clear(self, start: Path) -> list[Sequence[Choice]]:
        """Return the choices that hang together with an HR, if all who may want one of their HRs were heard."""
        group: dict[Path, Sequence[Choice]] = {}
        seen, open_ends = {start}, [start]
        while open_ends:
            hr = open_ends.pop()
            if self._awaited[hr] or hr in self._decided:
                return []
            for choices in self._wanted[hr]:
                group[choices[0].proposal.lr.path] = choices
                reached = {pair.proposal.hr.path for pair in choices} - seen
                seen |= reached
                open_ends += reached
        self._decided |= seen
        return [group[lr] for lr in sorted(group)]


def _hrs(proposals: Iterable[Proposal]) -> dict[Path, None]:
    return {proposal.hr.path: None for proposal in proposals}


def select(choices: Sequence[Sequence[Choice]]) -> tuple[list[Choice], list[RejectedPair]]:
    """Choose one-to-one: as many pairs as can be, and of all ways to do that the likest.

    By the Jonker-Volgenant algorithm (Computing, 1987). LRs that can't have their first choice take a later one.

    Parameters
    ----------
    choices : for every LR its candidates, in the order in which it would have them

    Returns
    -------
    The chosen pairs, the likest first, and those of which one side is in another pair.
    """
    taken = _assignment([pairs for pairs in choices if pairs])
    chosen = sorted(taken, key=_rank)
    owner = {image: pair for pair in chosen for image in (pair.proposal.lr.path, pair.proposal.hr.path)}
    lost = [pair for pairs in choices for pair in pairs if owner.get(pair.proposal.lr.path) is not pair]
    return chosen, [_taken(pair, owner.get(pair.proposal.hr.path) or owner[pair.proposal.lr.path]) for pair in lost]


def _assignment(choices: Sequence[Sequence[Choice]]) -> list[Choice]:
    favourites = [pairs[0] for pairs in choices]
    if len({pair.proposal.hr.path for pair in favourites}) == len(choices):
        return favourites
    # Imported here, as it takes 0.2 s and many jobs never come this way.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    columns: dict[Path, int] = {}
    edges: dict[tuple[int, int], tuple[float, Choice | None]] = {}
    for row, pairs in enumerate(choices):
        for place, pair in enumerate(pairs):
            column = columns.setdefault(pair.proposal.hr.path, len(columns))
            edges[row, column] = 3 - pairs[0].scores.likeness + pair.behind + BY_PATH * (row + place), pair
    # Every row has a column of its own for staying alone, which costs more than any change of partners can save.
    edges |= {(row, len(columns) + row): (ALONE, None) for row in range(len(choices))}
    rows, cols = np.array(list(edges)).T
    costs = np.array([cost for cost, _ in edges.values()])
    graph = coo_array((costs, (rows, cols)), shape=(len(choices), len(columns) + len(choices))).tocsr()
    matched = zip(*min_weight_full_bipartite_matching(graph), strict=True)
    pairs_of = [edges[int(row), int(column)][1] for row, column in matched]
    return [pair for pair in pairs_of if pair]


def reject(pair: Choice | Candidate, rejection: Rejection) -> RejectedPair:
    """Turn a pair down after all."""
    return RejectedPair(pair.proposal, rejection, pair.match, pair.scores)


def passed(outcomes: Iterable[T | RejectedPair], rejected: list[RejectedPair]) -> list[T]:
    """Return what was not turned down; add what was to `rejected`."""
    kept: list[T] = []
    for outcome in outcomes:
        if isinstance(outcome, RejectedPair):
            rejected.append(outcome)
        else:
            kept.append(outcome)
    return kept


def _taken(pair: Choice, better: Choice) -> RejectedPair:
    detail = f"{better.proposal.lr.path.name} with {better.proposal.hr.path.name}"
    return reject(pair, Rejection(Reason.TAKEN, detail))


def _rank(pair: Choice | Candidate) -> tuple[float, tuple[str, ...], tuple[str, ...]]:
    """Sort key: likeness, best first, then the paths."""
    return -pair.scores.likeness, pair.proposal.lr.path.parts, pair.proposal.hr.path.parts
