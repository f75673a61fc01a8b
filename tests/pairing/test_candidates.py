"""A candidate whose image is gone by then, or lies beside its LR, is rejected with the reason, at whatever step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.support.folders import Folders
from twimager.align.matching import Match
from twimager.errors import Reason
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.fingerprint.working_image import drop_working_images
from twimager.geometry import scaling, translation
from twimager.options import Method, PairSettings
from twimager.pairing.candidates import align, at_full_resolution, overlaid, with_color_distance
from twimager.pairing.evaluate import evaluate_deferred, verify
from twimager.pairs import Candidate, Deferred, RejectedPair
from twimager.propose.proposal import Proposal, Source
from twimager.verify.scores import Scores

LYING = Match(scaling(1 / 3), 50)
BESIDE = Match(translation(1000, 0) @ scaling(1 / 3), 50)
COLORS = Scores(0.9, 1.0)


def deferred(candidate: Candidate) -> Deferred:
    return Deferred(candidate.proposal, candidate.match, candidate.scores, 0.0)


# Each returns what has become of a candidate.
STEPS: dict[str, Callable[[Candidate], Iterable[Any]]] = {
    "align by frames": lambda candidate: align([candidate.proposal], Method.TRANSFORM),
    "overlay": lambda candidate: [overlaid(candidate.proposal, candidate.match)],
    "colours": lambda candidate: [with_color_distance(candidate, COLORS)],
    "full resolution": lambda candidate: at_full_resolution([candidate]),
    "deferred": lambda candidate: evaluate_deferred(*[deferred(candidate)] * 2, PairSettings()).rejected,
    "verify": lambda candidate: [verify(candidate, PairSettings())],
}


@pytest.fixture
def candidate(folders: Folders) -> Candidate:
    """An HR that lies on its LR."""
    images = (fingerprint(path, LIGHT_HR) for path in (folders.lr / "l0.png", folders.hr / "h0.png"))
    candidate = overlaid(Proposal(*images, Source.FRAME), LYING)
    assert isinstance(candidate, Candidate)
    return candidate


def reasons(outcomes: Iterable[Any]) -> set[Reason]:
    """Return why pairs were rejected, all of which were."""
    rejected = list(outcomes)
    assert rejected
    assert all(isinstance(one, RejectedPair) for one in rejected)
    return {one.rejection.reason for one in rejected}


@pytest.mark.parametrize("side", ["lr", "hr"])
@pytest.mark.parametrize("step", sorted(STEPS.keys() - {"verify"}))
def test_what_is_gone_by_then_is_unreadable(candidate: Candidate, step: str, side: str) -> None:
    drop_working_images()
    getattr(candidate.proposal, side).path.unlink()
    assert reasons(STEPS[step](candidate)) == {Reason.UNREADABLE}


@pytest.mark.parametrize("step", sorted(STEPS.keys() - {"align by frames"}))
def test_what_lies_beside_its_lr_has_nothing_in_common_with_it(candidate: Candidate, step: str) -> None:
    assert reasons(STEPS[step](candidate._replace(match=BESIDE))) == {Reason.OVERLAP}


def test_what_lies_on_its_lr_is_not_rejected(candidate: Candidate) -> None:
    for step in STEPS.values():
        assert not any(isinstance(one, RejectedPair) for one in step(candidate))
