"""The HRs most like an LR's best one are tried until none is better: the frame that it shows is found among many."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.paths import EXAMPLES
from tests.support.pictures import moving
from tests.support.report import report_of
from twimager.align.matching import Match
from twimager.errors import Reason, Rejection
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.pairing import decide, evaluate
from twimager.pairing.closure import Evaluated
from twimager.pairing.duplicates import FreeDuplicates
from twimager.pairing.evaluation import Evaluation
from twimager.pairs import Deferred, RejectedPair, VerifiedPair, reject
from twimager.propose import by_features
from twimager.propose.by_similarity import NOTHING_SIMILAR, SimilarHRs
from twimager.propose.proposal import Proposal, Source
from twimager.verify.discrimination import DECISIVE
from twimager.verify.scores import Scores

SHOWN = [3, 8]


@pytest.fixture
def film(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> Folders:
    """Every frame of a shot as HRs, and cropped LRs of two of them, for each of which one HR is proposed."""
    for old in (*folders.lr.iterdir(), *folders.hr.iterdir()):
        old.unlink()
    for number in range(10):
        cv2.imwrite(str(folders.hr / f"{number}.png"), moving(number))
    for number in SHOWN:
        lr = cv2.resize(moving(number)[12:288, 20:430], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folders.lr / f"{number}.png"), lr * 0.8 + 20)
    propose = by_features.FeatureIndex.propose

    def badly(index: Any, lrs: Any, **settings: Any) -> Any:
        for of_one_lr in propose(index, lrs, **settings, limit=12):
            yield [one for one in of_one_lr if one.hr.path.stem == "0"]

    monkeypatch.setattr(by_features.FeatureIndex, "propose", badly)
    return folders


def paired(folders: Folders) -> dict[str, str]:
    return {Path(pair["lr"]).stem: Path(pair["hr"]).stem for pair in report_of(folders.dest)["pairs"]}


@pytest.mark.slow
def test_the_frame_shown_is_found_though_another_is_proposed(
    run: Run, film: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = *film.flags, "--search", "features", "--report", "--overwrite", "--save", tmp_path / "kept"
    monkeypatch.setattr(decide, "CLOSED_TOGETHER", 1)
    assert run(*flags, "--jobs", 1).code == 0
    assert paired(film) == {str(number): str(number) for number in SHOWN}
    report = report_of(film.dest)
    monkeypatch.setattr(evaluate, "verify", None)  # all is known
    monkeypatch.setattr(decide, "CLOSED_TOGETHER", 64)
    assert run(*flags, "--jobs", 2).code == 0
    assert [report_of(film.dest)[part] for part in ("pairs", "rejected_pairs")] == [
        report[part] for part in ("pairs", "rejected_pairs")
    ]


@pytest.mark.slow
def test_without_that_lrs_get_the_proposed_frame_or_none(
    run: Run, film: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "ROUNDS", 0)
    assert run(*film.flags, "--search", "features", "--report").code in (0, 4)
    assert set(paired(film).values()) <= {"0"}


def test_a_rejected_frame_leads_to_the_one_that_passes(
    run: Run, film: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = evaluate.verify

    def strict(candidate: Any, settings: Any) -> Any:
        if candidate.proposal.hr.path.stem == "0":
            return reject(candidate, Rejection(Reason.HASH, "for once"))
        return verify(candidate, settings)

    monkeypatch.setattr(evaluate, "verify", strict)
    assert run(*film.flags, "--search", "features", "--report").code == 0
    assert paired(film) == {str(number): str(number) for number in SHOWN}


@pytest.mark.slow
def test_with_all_matches_no_more_are_tried(run: Run, film: Folders) -> None:
    run(*film.flags, "--search", "features", "--report", "--all_matches")
    assert set(paired(film).values()) <= {"0"}


@pytest.fixture(scope="module")
def proposals() -> list[Proposal]:
    lr = fingerprint(EXAMPLES / "LR/still_02.jpg", LIGHT_HR.without_features)
    hrs = [fingerprint(path, LIGHT_HR.without_features) for path in sorted((EXAMPLES / "HR").iterdir())[:4]]
    return [Proposal(lr, hr, Source.FEATURES) for hr in hrs]


def passed(proposal: Proposal) -> VerifiedPair:
    return VerifiedPair(proposal, Match(np.eye(3), 50), Scores(0.9, 1.0), proposal.lr.frame, proposal.lr.frame)


def deferred(proposal: Proposal, gap: float) -> Deferred:
    return Deferred(proposal, Match(np.eye(3), 50), Scores(0.8, 1.0), gap)


def rejected(proposal: Proposal, correlation: float = 0.7) -> RejectedPair:
    return RejectedPair(proposal, Rejection(Reason.HASH), Match(np.eye(3), 50), Scores(correlation, 1.0))


def joined(first: Evaluation, more: list[Proposal], second: Evaluation) -> Evaluated:
    return Evaluated(more[:1], first).with_more(more, second)


def test_what_was_deferred_is_behind_the_new_best_by_what_the_old_one_is(proposals: list[Proposal]) -> None:
    a, b, c, _ = proposals
    first = Evaluation([passed(a)], [deferred(b, 0.02)], [])
    both = joined(first, [a, c], Evaluation([passed(c)], [deferred(a, 0.05)], []))
    assert not both.is_closed
    assert [one.proposal for one in both.evaluation.choices] == [c, a, b]
    assert [one.score_gap for one in both.evaluation.deferred] == pytest.approx([0.05, 0.07])
    both = joined(first, [a, c], Evaluation([passed(c)], [], [rejected(a)]))
    assert [one.score_gap for one in both.evaluation.deferred] == pytest.approx([0.02 + DECISIVE])
    both = joined(first, [a, c], Evaluation([passed(a)], [deferred(c, 0.01)], []))
    assert both.is_closed
    assert [one.proposal for one in both.evaluation.choices] == [a, c, b]


def test_nothing_is_chosen_that_is_like_a_better_one_that_does_not_pass(proposals: list[Proposal]) -> None:
    a, b, c, _ = proposals
    first = Evaluation([passed(a)], [deferred(b, 0.02)], [])
    both = joined(first, [a, c], Evaluation([], [], [rejected(c), rejected(a, 0.6)]))
    assert both.evaluation.choices == []
    assert [(one.proposal, one.rejection.reason) for one in both.evaluation.rejected] == [
        (c, Reason.HASH), (a, Reason.HASH), (b, Reason.LOOK_ALIKE),
    ]  # fmt: skip


def test_which_of_equal_files_an_lr_gets_does_not_depend_on_other_hrs(proposals: list[Proposal]) -> None:
    a, b, *_ = proposals
    files = (b.hr.path, b.hr.path.with_name("copy.jpg"))
    free = FreeDuplicates(dict.fromkeys(files, files), set())
    group = free.as_choices([[passed(a)], [passed(b)], [passed(b)]])
    assert [[one.proposal.hr.path for one in choices] for choices in group] == [
        [a.hr.path], [*files], [*reversed(files)],
    ]  # fmt: skip


def test_only_what_shows_the_lr_and_has_others_like_it_leads_to_more(proposals: list[Proposal]) -> None:
    a = proposals[0]
    alike = SimilarHRs([a.hr])
    alike.propose = lambda *_: proposals[1:2]  # type: ignore[method-assign]
    for evaluation in (Evaluation([], [], []), Evaluation([], [], [rejected(a, 0.5)])):
        assert Evaluated([a], evaluation).more(alike, set()) == []
    assert Evaluated([a], Evaluation([passed(a)], [], []), is_closed=True).more(alike, set()) == []
    assert Evaluated([a], Evaluation([passed(a)], [], [])).more(NOTHING_SIMILAR, set()) == []
    assert Evaluated([a], Evaluation([], [], [rejected(a, 0.7)])).more(alike, set()) == proposals[:2]


def test_all_that_a_blended_lr_is_made_of_is_evaluated_again_with_more(proposals: list[Proposal]) -> None:
    a, b, c, d = proposals
    blended = [RejectedPair(a, Rejection(Reason.BLENDED)), RejectedPair(b, Rejection(Reason.BLENDED))]
    first = Evaluation([], [], [blended[0]._replace(match=Match(np.eye(3), 50), scores=Scores(0.9, 1.0)), blended[1],
                                rejected(c, 0.3)])  # fmt: skip
    alike = SimilarHRs([a.hr])
    alike.propose = lambda *_: [d]  # type: ignore[method-assign]
    more = Evaluated([a], first).more(alike, set())
    assert more == [a, b, d]
    both = joined(first, more, Evaluation([], [], [*blended, rejected(d)]))
    assert [one.proposal for one in both.evaluation.rejected] == [c, a, b, d]
