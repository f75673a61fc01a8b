"""The right one among look-alikes, and one partner for everybody."""

from pathlib import Path

import cv2
import numpy as np
from pictures import cat

from benchmarks.known_warp import degraded
from twimager.errors import Reason
from twimager.fingerprints import Fingerprint
from twimager.geometry import Rect, scaling
from twimager.matching import Match
from twimager.proposals.hashes import Proposal
from twimager.selection import RejectedPair, VerifiedPair, select, settle_rivals
from twimager.verification import DECISIVE, Overlay, Scores, overlay, preference


def image(name: str) -> Fingerprint:
    return Fingerprint(Path(name), (9, 9), (), np.empty((0, 2)), np.empty(0), np.empty((0, 128), np.uint8))


def pair(lr: Fingerprint, hr: Fingerprint, correlation: float, coverage: float = 1.0) -> VerifiedPair:
    whole = Rect(0, 0, 9, 9)
    return VerifiedPair(Proposal(lr, hr, 0), Match(scaling(1), 50), Scores(100, correlation, coverage), whole, whole)


def names(pairs: list[VerifiedPair]) -> list[tuple[str, str]]:
    return [(p.proposal.lr.path.name, p.proposal.hr.path.name) for p in pairs]


def settled(*pairs: VerifiedPair) -> tuple[list[VerifiedPair], list[RejectedPair]]:
    """One LR's choice among HRs that show the very same."""
    same = frames()[0]
    kept, rejected = settle_rivals([(pair, same) for pair in pairs])
    chosen, taken = select([kept])
    return chosen, rejected + taken


def frames() -> tuple[Overlay, Overlay]:
    """An LR over its own frame, and over the next one, in which a small thing has moved."""
    gray = cv2.cvtColor(cat(), cv2.COLOR_BGR2GRAY)[:200, :300]
    following = gray.copy()
    following[80:110, 123:153] = gray[80:110, 120:150]
    lr = cv2.cvtColor(degraded(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), np.random.default_rng(0)), cv2.COLOR_BGR2GRAY)
    found = [overlay(hr, lr, scaling(1), (300, 200), (300, 200)) for hr in (gray, following)]
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1]


def test_a_neighbouring_frame_is_told_from_the_true_one() -> None:
    true, following = frames()
    assert preference(true, following) > DECISIVE
    assert preference(following, true) < -DECISIVE
    assert preference(true, true) == 0


def test_a_sharper_copy_of_the_same_frame_is_no_other_picture() -> None:
    true, _ = frames()
    sharper = Overlay(cv2.addWeighted(true.hr, 1.5, cv2.GaussianBlur(true.hr, (0, 0), 1), -0.5, 0), true.lr, true.both)
    assert abs(preference(true, sharper)) < DECISIVE


def test_the_favourite_turns_its_look_alikes_down() -> None:
    lr, true, following = image("lr"), image("true"), image("following")
    candidates = list(zip((pair(lr, true, 0.90), pair(lr, following, 0.91)), frames(), strict=True))
    kept, rejected = settle_rivals(candidates)
    assert names(kept) == [("lr", "true")]
    assert [r.rejection.reason for r in rejected] == [Reason.LOOK_ALIKE]
    assert settle_rivals([]) == ([], [])


def test_coverage_counts_as_well_as_likeness() -> None:
    lr, whole, part = image("lr"), image("whole"), image("part")
    chosen, rejected = settled(pair(lr, part, 0.97, 0.6), pair(lr, whole, 0.95, 1.0))
    assert names(chosen) == [("lr", "whole")]
    assert [r.rejection.reason for r in rejected] == [Reason.TAKEN]


def test_everybody_is_in_one_pair_at_most_and_the_best_pairs_come_first() -> None:
    a, b, x, y = (image(name) for name in "abxy")
    chosen, rejected = select([[pair(a, x, 0.8), pair(a, y, 0.5)], [pair(b, x, 0.9), pair(b, y, 0.85)]])
    assert names(chosen) == [("b", "x"), ("a", "y")]
    assert [r.rejection.reason for r in rejected] == [Reason.TAKEN] * 2


def test_an_lr_gets_the_one_it_would_rather_have() -> None:
    a, x, y = (image(name) for name in "axy")
    assert names(select([[pair(a, x, 0.8), pair(a, y, 0.9)], []])[0]) == [("a", "x")]


def test_ties_are_broken_by_path() -> None:
    lr, x, y = image("lr"), image("x"), image("y")
    for order in ([pair(lr, x, 0.9), pair(lr, y, 0.9)], [pair(lr, y, 0.9), pair(lr, x, 0.9)]):
        assert names(settled(*order)[0]) == [("lr", "x")]
    b = image("b")
    for lrs in ([lr, b], [b, lr]):
        assert names(select([[pair(one, x, 0.9)] for one in lrs])[0]) == [("b", "x")]
