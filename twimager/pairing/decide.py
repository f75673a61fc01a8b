"""Evaluate what is proposed, and select the pairs among it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from twimager.errors import Reason
from twimager.fingerprint.cache import Store
from twimager.options import PairSettings
from twimager.pairing.closure import ROUNDS, Evaluated
from twimager.pairing.duplicates import FreeDuplicates
from twimager.pairing.evaluate import evaluate_deferred
from twimager.pairing.evaluation import Evaluation, cache_key, from_kept, is_final, to_text
from twimager.pairing.read import Reader
from twimager.pairing.workers import Evaluators
from twimager.pairs import Choice, Deferred, RejectedPair, VerifiedPair
from twimager.propose.by_similarity import NOTHING_SIMILAR, SimilarHRs
from twimager.propose.proposal import Proposal
from twimager.select.assignment import Components, select

# The progress weight of matching an LR and writing its pair, by measurement on photographs (4 to 6) and frames (12);
# reading an image counts one.
MATCHING = 6.0
# LRs of which more HRs are evaluated in one go: enough for all workers, while pairs are written as they are found.
CLOSED_TOGETHER = 64


class Decider:
    """Evaluates proposals in workers and selects pairs as soon as nothing to come can change them; for one thread."""

    def __init__(self, reader: Reader, evaluators: Evaluators, settings: PairSettings, all_matches: bool) -> None:
        """Evaluate by `settings`; with `all_matches` every pair that passes is selected."""
        self._evaluators, self._settings, self._all_matches = evaluators, settings, all_matches
        self._console, self._progress, self._store = reader.console, reader.progress, reader.store
        self._ledger = reader.ledger

    def pairs(
        self, proposals: Iterable[Sequence[Proposal]], similar: SimilarHRs = NOTHING_SIMILAR, later: float = 0
    ) -> Iterator[VerifiedPair]:
        """Evaluate every LR's proposals; yield the selected pairs, whose images are taken then.

        Of the HRs whose `similar` is given, those most like an LR's best one are evaluated, too. `later` is the work
        that comes for an LR without a pair.
        """
        left = 0
        tasks = neighbours_together([of_one_lr for of_one_lr in proposals if of_one_lr])
        components = Components(tasks, similar.group)
        evaluated = (Evaluated(*one) for one in zip(tasks, self._evaluations(tasks), strict=True))
        closed = self._closed(evaluated, similar, ROUNDS)
        with self._progress.stage("matching"):
            counted = enumerate(self._progress.counted(closed, MATCHING), start=1)
            for number, (of_one_lr, evaluation, *_) in counted:
                left += not evaluation.choices
                # As if one of ten before had been left, too: a share of few says little.
                self._progress.foresee(later * len(tasks) * (left + 1) / (number + 10))
                self._reject(evaluation.rejected)
                if self._all_matches:
                    selected: Iterable[VerifiedPair] = evaluation.pairs
                else:
                    groups = components.add(of_one_lr, evaluation.choices)
                    selected = [pair for group in groups for pair in self._selected(group)]
                for pair in selected:
                    self._ledger.take(pair)
                    yield pair

    def _closed(self, evaluated: Iterable[Evaluated], similar: SimilarHRs, rounds: int) -> Iterator[Evaluated]:
        """Evaluate the HRs most like each LR's best one, `rounds` times at most; yield what is closed."""
        waiting: list[tuple[Evaluated, list[Proposal]]] = []
        for one in evaluated:
            more = one.more(similar, self._ledger.taken) if rounds else []
            if more:
                waiting.append((one, more))
            else:
                yield one
            if len(waiting) == CLOSED_TOGETHER:
                yield from self._closed(self._with_more(waiting), similar, rounds - 1)
                waiting = []
        if waiting:
            yield from self._closed(self._with_more(waiting), similar, rounds - 1)

    def _with_more(self, waiting: Sequence[tuple[Evaluated, list[Proposal]]]) -> Iterator[Evaluated]:
        evaluations = self._evaluations([more for _, more in waiting])
        for (one, more), evaluation in zip(waiting, evaluations, strict=True):
            yield one.with_more(more, evaluation)

    def _evaluations(self, tasks: Sequence[Sequence[Proposal]]) -> Iterator[Evaluation]:
        """Yield the evaluation of every LR's proposals: from the store, else by workers."""
        kind = "all" if self._all_matches else "best"
        waiting = deque[tuple[Sequence[Proposal], bool]]()

        def case(task: Sequence[Proposal]) -> _Case:
            return _Case(self._store, cache_key(kind, self._settings, task), task)

        def unknown() -> Iterator[Sequence[Proposal]]:
            for task in tasks:
                is_known = case(task).stored is not None
                waiting.append((task, is_known))
                if not is_known:
                    yield task

        def known(task: Sequence[Proposal]) -> Evaluation:
            # Read again, as of thousands in a row all would be in memory; by then, the store may have failed.
            return case(task).stored or next(self._evaluators.evaluate([task], 1))

        for evaluation in self._evaluators.evaluate(unknown(), len(tasks)):
            while waiting[0][1]:
                yield known(waiting.popleft()[0])
            yield case(waiting.popleft()[0]).keep(evaluation)
        yield from (known(task) for task, _ in waiting)

    def _selected(self, group: Sequence[Sequence[Choice]]) -> list[VerifiedPair]:
        """Assign the HRs of a component to its LRs; return the pairs, those of duplicates among them."""
        duplicates = FreeDuplicates(self._ledger.duplicates, self._ledger.taken)
        group, pairs, lost = self._resolve_deferred(duplicates.as_choices(group))
        self._ledger.reject(*lost)
        hrs_of: dict[Path, list[Path]] = defaultdict(list)
        for choice in chain(*group):
            lr, hr = choice.proposal.images
            hrs_of[lr.path].append(hr.path)
        pairs = [_with_rivals(pair, hrs_of) for pair in pairs]
        more, lost = duplicates.paired_alike(pairs)
        self._ledger.reject(*lost)
        return pairs + more

    def _resolve_deferred(
        self, group: Sequence[Sequence[Choice]]
    ) -> tuple[Sequence[Sequence[Choice]], list[VerifiedPair], list[RejectedPair]]:
        """Assign, and verify the deferred candidates among the assigned; anew until none is among them.

        Return the choices as they are known then, the assigned pairs, and those that were not assigned.
        """
        while True:
            assigned, lost = select(group)
            deferred = [pair for pair in assigned if isinstance(pair, Deferred)]
            if not deferred:
                return group, [pair for pair in assigned if isinstance(pair, VerifiedPair)], lost
            best_of = {choices[0].proposal.lr.path: choices[0] for choices in group if choices}
            verified = {
                candidate.proposal.key: self._verified(candidate, best_of[candidate.proposal.lr.path])
                for candidate in deferred
            }
            known = (
                [better for one in choices for better in verified.get(one.proposal.key, [one])] for choices in group
            )
            group = [sorted(choices, key=lambda choice: choice.score_gap) for choices in known]

    def _verified(self, candidate: Deferred, best: Choice) -> list[VerifiedPair]:
        """Verify a deferred candidate; return it, if it passes, with its score gap to the LR's best one."""
        proposals, starts = [candidate.proposal, best.proposal], [candidate.match, best.match]
        case = _Case(self._store, cache_key("deferred", self._settings, proposals, starts), proposals)
        evaluation = case.stored or case.keep(evaluate_deferred(candidate, best, self._settings))
        self._reject(evaluation.rejected)
        return [pair._replace(score_gap=best.score_gap + pair.score_gap) for pair in evaluation.pairs]

    def _reject(self, pairs: Iterable[RejectedPair]) -> None:
        """Enter rejected pairs; name those that could not be compared."""
        for pair in pairs:
            self._ledger.reject(pair)
            if pair.rejection.reason is Reason.FAILED:
                self._console.warn(f"{pair.proposal.lr.path} - {pair.proposal.hr.path}: {pair.rejection}")


class _Case:
    """Proposals of one LR, and their evaluation by an earlier run."""

    def __init__(self, store: Store, key: str, proposals: Sequence[Proposal]) -> None:
        self.proposals = proposals
        self._store, self._key = store, key
        self._images = [proposals[0].lr.path, *(proposal.hr.path for proposal in proposals)]
        text = store.evaluation(self._images, key)
        self.stored = from_kept(text, proposals) if text else None

    def keep(self, evaluation: Evaluation) -> Evaluation:
        """Store an evaluation for a later run, if that would get the same one; return it."""
        if self._store.keeps and is_final(evaluation):
            self._store.keep_evaluation(self._images, self._key, to_text(evaluation, self.proposals))
        return evaluation


def neighbours_together(tasks: Sequence[Sequence[Proposal]]) -> list[Sequence[Proposal]]:
    """Order LRs' proposals so that those of the same HRs follow one another: only recent working images are kept.

    For 2,000 crops of 100 photographs they took 1.7 ms an LR in this order, and 3.0 ms in the order of their names.
    """
    tasks_of: dict[Path, list[Sequence[Proposal]]] = defaultdict(list)
    for of_one_lr in tasks:
        for proposal in of_one_lr:
            tasks_of[proposal.hr.path].append(of_one_lr)
    ordered: dict[Path, Sequence[Proposal]] = {}
    for start in tasks:
        ahead = [start]
        while ahead:
            of_one_lr = ahead.pop()
            if ordered.setdefault(of_one_lr[0].lr.path, of_one_lr) is of_one_lr:
                for proposal in reversed(of_one_lr):
                    ahead += tasks_of.pop(proposal.hr.path, [])
    return list(ordered.values())


def _with_rivals(pair: VerifiedPair, hrs_of: Mapping[Path, Sequence[Path]]) -> VerifiedPair:
    """Return a pair that names the other HRs among its LR's choices."""
    lr, own = (image.path for image in pair.proposal.images)
    return pair._replace(rivals=tuple(hr for hr in hrs_of[lr] if hr != own))
