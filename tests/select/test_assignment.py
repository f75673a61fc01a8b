"""The right one among look-alikes, and one partner for everybody."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import degraded
from tests.support.pictures import cat
from twimager.align.matching import Match
from twimager.errors import Reason
from twimager.fingerprint.fingerprint import Fingerprint
from twimager.fingerprint.working_image import WorkingImage
from twimager.geometry import Rect, scaling
from twimager.pairs import Candidate, RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.select.assignment import Components, select
from twimager.select.rivals import COARSE_MARGIN, rank_rivals, split_contenders
from twimager.verify.discrimination import DECISIVE, partial_correlation
from twimager.verify.overlay import Overlay, make_overlay
from twimager.verify.scores import Scores

SIZE = (300, 200)
WHOLE = Rect(0, 0, *SIZE)


def image(name: str) -> Fingerprint:
    return Fingerprint(Path(name), SIZE, ())


def pair(lr: str, hr: str, correlation: float, score_gap: float = 0.0) -> VerifiedPair:
    proposal = Proposal(image(lr), image(hr), Source.FEATURES)
    return VerifiedPair(
        proposal, Match(scaling(1), 50), Scores(correlation, 1.0, 100), WHOLE, WHOLE, score_gap=score_gap
    )


def candidate(overlay: Overlay, hr: str, correlation: float = 0.9, coverage: float = 1.0, size: float = 1) -> Candidate:
    """An HR of which a pixel is `size` LR pixels wide."""
    copy = WorkingImage(overlay.lr, SIZE)
    proposal = Proposal(image("lr"), image(hr), Source.FEATURES)
    return Candidate(proposal, Match(scaling(size), 50), Scores(correlation, coverage), overlay, copy, copy)


def names(pairs: list[VerifiedPair] | list[Candidate]) -> list[tuple[str, str]]:
    return [(p.proposal.lr.path.name, p.proposal.hr.path.name) for p in pairs]


def ranked(*candidates: Candidate) -> tuple[list[str], list[RejectedPair]]:
    kept, rejected = rank_rivals(candidates, DECISIVE)
    return [hr for _, hr in names(kept)], rejected


def frames() -> tuple[Overlay, Overlay]:
    """An LR over its own frame, and over the next one, in which a small thing has moved."""
    gray = cv2.cvtColor(cat(), cv2.COLOR_BGR2GRAY)[:200, :300]
    following = gray.copy()
    following[80:110, 123:153] = gray[80:110, 120:150]
    lr = cv2.cvtColor(degraded(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), np.random.default_rng(0)), cv2.COLOR_BGR2GRAY)
    found = [make_overlay(WorkingImage(hr, SIZE), WorkingImage(lr, SIZE), scaling(1)) for hr in (gray, following)]
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1]


def test_a_neighbouring_frame_is_discriminated_from_the_true_one() -> None:
    true, following = frames()
    assert partial_correlation(true, following) > DECISIVE
    assert partial_correlation(following, true) < -DECISIVE
    assert partial_correlation(true, true) == 0


def test_a_sharper_copy_of_the_same_frame_is_no_other_picture() -> None:
    true, _ = frames()
    sharper = cv2.addWeighted(true.hr, 1.5, cv2.GaussianBlur(true.hr, (0, 0), 1), -0.5, 0)
    assert abs(partial_correlation(true, replace(true, hr=sharper))) < DECISIVE


def test_a_nearly_black_and_white_picture_does_not_drown_the_difference() -> None:
    rng = np.random.default_rng(0)
    page = np.where(cv2.GaussianBlur(rng.normal(size=(200, 300)), (0, 0), 4) > 0, 250, 5).astype(np.uint8)
    noisy = np.clip(page + rng.normal(0, 2, page.shape), 0, 255).astype(np.uint8)
    other = np.clip(page + rng.normal(0, 0.3, page.shape), 0, 255).astype(np.uint8)
    overlay = Overlay(page, noisy, WHOLE, 1.0)
    assert abs(partial_correlation(overlay, replace(overlay, hr=other))) < 0.3


def test_look_alikes_of_the_best_are_rejected() -> None:
    true, following = frames()
    kept, rejected = ranked(candidate(true, "true", 0.90), candidate(following, "following", 0.91))
    assert kept == ["true"]
    assert [r.rejection.reason for r in rejected] == [Reason.LOOK_ALIKE]
    assert ranked() == ([], [])


def test_of_equals_the_more_complete_and_the_finer_come_first_and_none_is_rejected() -> None:
    same = frames()[0]
    assert ranked(candidate(same, "part", 0.97, 0.6), candidate(same, "whole", 0.95))[0] == ["whole", "part"]
    assert ranked(candidate(same, "coarse", size=1), candidate(same, "fine", size=0.8))[0] == ["fine", "coarse"]
    assert ranked(candidate(same, "b"), candidate(same, "a"))[0] == ["a", "b"]


def test_what_shows_as_much_with_far_fewer_pixels_is_deferred_but_not_another_picture() -> None:
    true, following = frames()
    candidates = candidate(true, "a"), candidate(true, "b", size=1.04), candidate(true, "c", size=1.5)
    contenders, deferred = split_contenders(rank_rivals([*candidates, candidate(following, "d", size=1.5)], 1)[0])
    assert [hr for _, hr in names(contenders)] == ["a", "b", "d"]
    assert [hr for _, hr in names(deferred)] == ["c"]
    assert deferred[0].score_gap == pytest.approx(np.log(1.5) - COARSE_MARGIN)


def test_every_image_is_in_one_pair_at_most_and_the_best_pairs_come_first() -> None:
    chosen, rejected = select([[pair("a", "x", 0.8), pair("a", "y", 0.5)], [pair("b", "x", 0.9)]])
    assert names(chosen) == [("b", "x"), ("a", "y")]
    assert [r.rejection.reason for r in rejected] == [Reason.TAKEN]


def test_no_lr_stays_alone_for_the_best_of_another() -> None:
    chosen, _ = select([[pair("a", "x", 0.99), pair("a", "y", 0.98, 0.05)], [pair("b", "x", 0.4)]])
    assert sorted(names(chosen)) == [("a", "y"), ("b", "x")]


def test_an_lr_gets_its_best_where_no_other_competes() -> None:
    assert names(select([[pair("a", "x", 0.8), pair("a", "y", 0.9)], []])[0]) == [("a", "x")]
    both = [[pair("a", "x", 0.9), pair("a", "y", 0.9, 0.02)], [pair("b", "x", 0.9), pair("b", "y", 0.9, 0.01)]]
    assert sorted(names(select(both)[0])) == [("a", "x"), ("b", "y")]


def test_ties_are_broken_by_path() -> None:
    for lrs in ("ab", "ba"):
        assert names(select([[pair(lr, "x", 0.9)] for lr in sorted(lrs)])[0]) == [("a", "x")]


def test_a_component_is_complete_once_no_other_lr_can_join_it() -> None:
    proposals = [[Proposal(image(lr), image(hr), Source.FEATURES) for hr in hrs] for lr, hrs in
                 (("a", "xy"), ("b", "y"), ("c", "z"))]  # fmt: skip
    components = Components(proposals, lambda hr: hr)
    for of_one_lr, (lr, hr) in zip(proposals, ("ax", "by", "cz"), strict=True):
        assert added(components, of_one_lr, [pair(lr, hr, 0.9)]) == [[(lr, hr)]]
    components = Components(proposals, lambda hr: hr)
    assert added(components, proposals[0], [pair("a", "y", 0.8), pair("a", "x", 0.8, 0.01)]) == []
    assert added(components, proposals[1], [pair("b", "y", 0.9)]) == [[("a", "y"), ("a", "x")], [("b", "y")]]


def test_a_component_awaits_all_that_may_choose_an_hr_of_a_group() -> None:
    proposals = [[Proposal(image(lr), image(hr), Source.FEATURES)] for lr, hr in ("ax", "by", "cz")]
    components = Components(proposals, lambda hr: image("x").path if hr == image("y").path else hr)
    assert added(components, proposals[0], [pair("a", "y", 0.9)]) == []
    assert added(components, proposals[2], [pair("c", "z", 0.9)]) == [[("c", "z")]]
    assert added(components, proposals[1], [pair("b", "y", 0.9)]) == [[("a", "y")], [("b", "y")]]


def added(
    components: Components, proposals: list[Proposal], choices: list[VerifiedPair]
) -> list[list[tuple[str, str]]]:
    """The choices in the components that are complete now."""
    return [names(list(of_one_lr)) for group in components.add(proposals, choices) for of_one_lr in group]
