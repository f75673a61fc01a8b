"""A candidate whose image is gone by then, or lies beside its LR, is rejected with the reason, at whatever step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.folders import Folders
from tests.support.paths import EXAMPLES
from twimager.align.matching import Match
from twimager.errors import Reason
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.fingerprint.working_image import drop_working_images
from twimager.geometry import scaling, translation
from twimager.options import Method, PairSettings
from twimager.pairing.candidates import align, at_full_resolution, overlaid, with_color_distance, with_real_detail
from twimager.pairing.evaluate import evaluate_deferred
from twimager.pairing.verification import verify
from twimager.pairs import Candidate, Deferred, RejectedPair
from twimager.propose.proposal import Proposal, Source
from twimager.runtime import memory
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


ORIGINAL = "P1040771.jpg"


@pytest.fixture
def copies(tmp_path: Path) -> dict[str, Candidate]:
    """An HR, what became of it, and its LR: each a candidate as it would be aligned."""
    hr = cv2.imread(str(EXAMPLES / "HR" / ORIGINAL))
    soft = cv2.resize(cv2.resize(hr, None, fx=0.4, fy=0.4), hr.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    pictures = {
        "original": hr,
        "enlarged": cv2.resize(hr, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC),
        "soft": soft,
        "as large": np.roll(hr, 1, axis=1),
    }
    lr = tmp_path / "lr.png"
    cv2.imwrite(str(lr), cv2.resize(hr, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA))
    made = dict[str, Candidate]()
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
        images = fingerprint(lr, LIGHT_HR), fingerprint(tmp_path / f"{name}.png", LIGHT_HR)
        lying = scaling(images[0].size[0] / images[1].size[0])
        found = overlaid(Proposal(*images, Source.FRAME), Match(lying, 50))
        assert isinstance(found, Candidate)
        made[name] = found
    return made


def details(*candidates: Candidate) -> list[float]:
    return [one.detail for one in with_real_detail(candidates)]


def test_enlarged_copies_have_the_detail_of_their_original(copies: dict[str, Candidate]) -> None:
    original, enlarged, soft = (copies[name] for name in ("original", "enlarged", "soft"))
    assert details(enlarged, original, soft) == [pytest.approx(1 / 1.5), 1, pytest.approx(0.4, abs=0.2)]


def test_alone_among_others_and_as_sharp_they_have_their_own(copies: dict[str, Candidate]) -> None:
    original, enlarged = copies["original"], copies["enlarged"]
    assert details(enlarged) == [1]
    assert details(original, copies["as large"]) == [1, 1]
    assert details(original, enlarged._replace(proposal=enlarged.proposal._replace(mirrored=True))) == [1, 1]
    assert details(original, enlarged._replace(match=BESIDE)) == [1, 1]


def test_what_is_gone_by_then_is_no_enlargement(copies: dict[str, Candidate]) -> None:
    copies["original"].proposal.hr.path.unlink()
    assert details(copies["original"], copies["enlarged"]) == [1, 1]


def test_what_takes_too_much_memory_is_not_compared(
    copies: dict[str, Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.Budget, "limit", 1 << 20)
    assert details(copies["original"], copies["enlarged"]) == [1, 1]
