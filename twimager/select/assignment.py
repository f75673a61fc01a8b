"""Assign HRs to LRs one to one, as soon as nothing to come can change the assignment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from twimager.errors import Reason, Rejection
from twimager.pairs import Choice, RejectedPair, reject
from twimager.propose.proposal import Proposal
from twimager.select.rivals import by_similarity

# What an LR without a pair costs, more than any change of partners can save; a pair costs 2 to 4.
ALONE = 8.0
# What the order of the paths counts where nothing else does.
BY_PATH = 1e-9


class Components:
    """The connected components of LRs that compete for the same HRs; complete once nothing to come can join."""

    def __init__(self, proposals: Iterable[Sequence[Proposal]], group: Callable[[Path], Path]) -> None:
        """Take all proposals, a sequence an LR; an LR may choose any HR of the same `group` as one proposed for it."""
        self._group = group
        self._awaited = Counter(group for of_one_lr in proposals for group in self._groups(of_one_lr))
        self._choices: dict[Path, list[Sequence[Choice]]] = defaultdict(list)
        self._decided: set[Path] = set()

    def add(self, proposals: Sequence[Proposal], choices: Sequence[Choice]) -> Iterator[list[Sequence[Choice]]]:
        """Add the choices among one LR's proposals; yield those of the LRs in each component that is complete now."""
        for group in self._groups(pair.proposal for pair in choices):
            self._choices[group].append(choices)
        proposed = self._groups(proposals)
        self._awaited.subtract(proposed)
        for group in proposed:
            if component := self._complete(group):
                yield component

    def _complete(self, start: Path) -> list[Sequence[Choice]]:
        """Return the choices in a group's component, if every LR that may choose one of its HRs was added."""
        component: dict[Path, Sequence[Choice]] = {}
        seen, open_ends = {start}, [start]
        while open_ends:
            group = open_ends.pop()
            if self._awaited[group] or group in self._decided:
                return []
            for choices in self._choices[group]:
                component[choices[0].proposal.lr.path] = choices
                reached = set(self._groups(pair.proposal for pair in choices)) - seen
                seen |= reached
                open_ends += reached
        self._decided |= seen
        for group in seen:
            self._choices.pop(group, None)
        return [component[lr] for lr in sorted(component)]

    def _groups(self, proposals: Iterable[Proposal]) -> list[Path]:
        return list(dict.fromkeys(self._group(proposal.hr.path) for proposal in proposals))


def select(choices: Sequence[Sequence[Choice]]) -> tuple[list[Choice], list[RejectedPair]]:
    """Assign one to one: as many pairs as can be, and of all ways to do that the one of the highest scores.

    By the Jonker-Volgenant algorithm (Computing, 1987). An LR whose best candidate is assigned to another LR gets a
    later one.

    Parameters
    ----------
    choices : for every LR its candidates, the best first

    Returns
    -------
    The chosen pairs, the most similar first, and those of which one side is in another pair.
    """
    taken = _assignment([pairs for pairs in choices if pairs])
    chosen = sorted(taken, key=by_similarity)
    owner = {image: pair for pair in chosen for image in (pair.proposal.lr.path, pair.proposal.hr.path)}
    lost = [pair for pairs in choices for pair in pairs if owner.get(pair.proposal.lr.path) is not pair]
    return chosen, [_taken(pair, owner.get(pair.proposal.hr.path) or owner[pair.proposal.lr.path]) for pair in lost]


def _assignment(choices: Sequence[Sequence[Choice]]) -> list[Choice]:
    best = [pairs[0] for pairs in choices]
    if len({pair.proposal.hr.path for pair in best}) == len(choices):
        return best
    # Imported here, as it takes 0.2 s and many jobs never come this way.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    columns: dict[Path, int] = {}
    edges: dict[tuple[int, int], tuple[float, Choice | None]] = {}
    for row, pairs in enumerate(choices):
        for place, pair in enumerate(pairs):
            column = columns.setdefault(pair.proposal.hr.path, len(columns))
            edges[row, column] = 3 - pairs[0].scores.similarity + pair.score_gap + BY_PATH * (row + place), pair
    # Every row has a column of its own for staying alone, which costs more than any change of partners can save.
    edges |= {(row, len(columns) + row): (ALONE, None) for row in range(len(choices))}
    rows, cols = np.array(list(edges)).T
    costs = np.array([cost for cost, _ in edges.values()])
    graph = coo_array((costs, (rows, cols)), shape=(len(choices), len(columns) + len(choices))).tocsr()
    matched = zip(*min_weight_full_bipartite_matching(graph), strict=True)
    pairs_of = [edges[int(row), int(column)][1] for row, column in matched]
    return [pair for pair in pairs_of if pair]


def _taken(pair: Choice, better: Choice) -> RejectedPair:
    detail = f"{better.proposal.lr.path.name} with {better.proposal.hr.path.name}"
    return reject(pair, Rejection(Reason.TAKEN, detail))
