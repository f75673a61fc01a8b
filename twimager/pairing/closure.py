"""Close an LR's candidates under similarity: try the HRs most like the best one, until none of them is better."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from typing import NamedTuple

from twimager.align.matching import Match
from twimager.errors import OF_TWO_MOMENTS, Reason, Rejection
from twimager.pairing.evaluation import Evaluation
from twimager.pairs import reject
from twimager.propose.by_similarity import SimilarHRs
from twimager.propose.proposal import Proposal
from twimager.report.records import how_far
from twimager.verify.discrimination import DECISIVE
from twimager.verify.scores import GOOD_CORRELATION

# So often the HRs most like the best one are tried.
ROUNDS = 4
OF_ONE_REJECTED = Rejection(Reason.LOOK_ALIKE, "one that did not pass explains the LR better")


class Evaluated(NamedTuple):
    """An LR's proposals, and the evaluation of those and of the HRs that were tried after them.

    Attributes
    ----------
    is_closed : whether those tried last were no better than the best one before
    """

    proposals: Sequence[Proposal]
    evaluation: Evaluation
    is_closed: bool = False

    def more(self, similar: SimilarHRs, taken: Set[Path]) -> list[Proposal]:
        """Return the LR's best HR, and those like it that were not evaluated nor `taken`; nothing if there are none.

        Where the LR is of two moments, all those that it was found to be of come first.
        """
        best = None if self.is_closed else _best(self.evaluation)
        if best is None:
            return []
        tried = {one.proposal.hr.path for one in (*self.evaluation.choices, *self.evaluation.rejected)}
        alike = similar.propose(best[0], best[1].matrix, tried | taken)
        # Without the others, it would pass for a frame of the best one.
        blended = [
            one.proposal
            for one in self.evaluation.rejected
            if one.rejection.reason in OF_TWO_MOMENTS and one.proposal is not best[0]
        ]
        return [best[0], *blended, *alike] if alike else []

    def with_more(self, more: Sequence[Proposal], evaluation: Evaluation) -> Evaluated:
        """Return this with the evaluation of what `more` returned."""
        best = _best(evaluation)
        is_closed = best is None or best[0] is more[0]
        return Evaluated(self.proposals, _joined(self.evaluation, more, evaluation), is_closed)


def _best(evaluation: Evaluation) -> tuple[Proposal, Match] | None:
    """Return the best pair; if none passed, the rejected one that came closest, if it shows what the LR does."""
    for pair in evaluation.pairs:
        return pair.proposal, pair.match
    closest = max(evaluation.rejected, key=how_far, default=None)
    if closest and closest.match and closest.scores and closest.scores.correlation >= GOOD_CORRELATION:
        return closest.proposal, closest.match
    return None


def _joined(first: Evaluation, more: Sequence[Proposal], second: Evaluation) -> Evaluation:
    """Return two evaluations of an LR as one, the second being that of `more`, the best HR of the first before others.

    If the best of the first is a mere look-alike in the second, the others of the first are worse by that at least; if
    none passes in the second, they are look-alikes of what did not.
    """
    best, again = more[0], {one.key for one in more}
    rejected = [*(pair for pair in first.rejected if pair.proposal.key not in again), *second.rejected]
    if not second.pairs:
        return Evaluation([], [], rejected + [reject(one, OF_ONE_REJECTED) for one in first.deferred])
    gap = next((one.score_gap for one in second.choices if one.proposal is best), DECISIVE)
    others = [one._replace(score_gap=one.score_gap + gap) for one in first.deferred]
    return Evaluation(second.pairs, sorted(second.deferred + others, key=lambda one: one.score_gap), rejected)
