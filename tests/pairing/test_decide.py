"""A deferred candidate costs little, and is paired only after having passed every gate."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.known_warp import error
from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.pictures import cat, picture
from tests.support.report import report_of
from tests.support.slow import thorough
from twimager.align.matching import Match
from twimager.errors import Reason, Rejection
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR
from twimager.geometry import scaling, translation
from twimager.options import Method, PairSettings
from twimager.pairing import evaluate
from twimager.pairing.candidates import align, overlaid
from twimager.pairing.decide import neighbours_together
from twimager.pairing.registration import register_coarsely
from twimager.pairs import Deferred, reject
from twimager.propose.proposal import Proposal, Source
from twimager.verify.overlay import COARSE_SIDE
from twimager.verify.scores import Scores


@pytest.fixture
def smaller(folders: Folders) -> Folders:
    """The folders, and another HR for the first LR that has 0.6 of the pixels along a side."""
    whole = cv2.imread(str(folders.hr / "h0.png"))
    cv2.imwrite(str(folders.hr / "small.png"), cv2.resize(whole, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))
    return folders


@pytest.fixture
def contested(smaller: Folders) -> Folders:
    """The same, and another LR that shows the same picture; both are noisy, so that the HRs tell them as much."""
    lr, rng = cv2.imread(str(smaller.lr / "l0.png")), np.random.default_rng(2)
    for name in ("l0.png", "again.png"):
        cv2.imwrite(str(smaller.lr / name), lr * 0.9 + 5 + rng.normal(0, 6, lr.shape))
    return smaller


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the HRs that are put through the gates, as they are."""
    names: list[str] = []
    verify = evaluate.verify

    def counted(candidate, settings):
        names.append(candidate.proposal.hr.path.name)
        return verify(candidate, settings)

    monkeypatch.setattr(evaluate, "verify", counted)
    return names


def partners(folders: Folders) -> dict[str, Any]:
    return {Path(pair["lr"]).name: pair for pair in report_of(folders.dest)["pairs"]}


def test_a_deferred_candidate_that_is_not_assigned_is_named_but_not_verified(
    run: Run, smaller: Folders, verified: list[str]
) -> None:
    assert run(*smaller.flags, "--report").code == 0
    assert sorted(verified) == ["h0.png", "h1.png"]
    assert [Path(rival).name for rival in partners(smaller)["l0.png"]["rivals"]] == ["small.png"]


def test_what_has_too_few_pixels_is_not_deferred(run: Run, smaller: Folders) -> None:
    assert run(*smaller.flags, "--report", "--min_native_scale", 1).code == 0
    assert partners(smaller)["l0.png"]["rivals"] == []
    assert Reason.ENLARGED.value in {pair["reason"] for pair in report_of(smaller.dest)["rejected_pairs"]}


@pytest.mark.parametrize("search", ["auto", "features"])
def test_a_deferred_candidate_that_is_assigned_is_refined_and_verified(
    run: Run, contested: Folders, verified: list[str], tmp_path: Path, search: str
) -> None:
    flags = *contested.flags, "--search", search, "--report", "--save", tmp_path / "kept"
    assert run(*flags).code == 0
    pairs = partners(contested)
    assert len(pairs) == 3
    assert sorted(Path(pairs[lr]["hr"]).name for lr in ("l0.png", "again.png")) == ["h0.png", "small.png"]
    pair = next(pair for pair in pairs.values() if pair["hr"].endswith("small.png"))
    assert None not in (pair["hash_agreement"], pair["residual"])
    assert error(np.array(pair["matrix"]), scaling(1 / 3 / 0.6), (150, 100)) < 0.1
    verified.clear()
    assert run(*flags, "--overwrite").code == 0
    assert verified == []
    assert partners(contested) == pairs


@pytest.mark.slow
def test_a_deferred_candidate_that_does_not_pass_is_not_paired(
    run: Run, contested: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = evaluate.verify

    def strict(candidate, settings):
        if candidate.proposal.hr.path.name == "small.png":
            return reject(candidate, Rejection(Reason.HASH, "for once"))
        return verify(candidate, settings)

    monkeypatch.setattr(evaluate, "verify", strict)
    assert run(*contested.flags, "--report").code == 0
    assert sorted(Path(pair["hr"]).name for pair in partners(contested).values()) == ["h0.png", "h1.png"]
    why = {(Path(p["lr"]).name, Path(p["hr"]).name): p["reason"] for p in report_of(contested.dest)["rejected_pairs"]}
    assert Reason.HASH.value in why.values()
    assert Reason.TAKEN.value in why.values()


def test_a_deferred_candidate_is_compared_with_the_best_where_both_lie(contested: Folders) -> None:
    frame = cat()[:300, :450].copy()
    cv2.circle(frame, (200, 150), 30, (255, 255, 255), -1)
    cv2.imwrite(str(contested.hr / "next.png"), frame)
    lr = fingerprint(contested.lr / "l0.png", LIGHT_HR)

    def lying(name: str, size: float, off: float = 0.0) -> Deferred:
        proposal = Proposal(lr, fingerprint(contested.hr / name, LIGHT_HR), Source.FEATURES)
        return Deferred(proposal, Match(translation(off, off) @ scaling(1 / 3 / size), 50), Scores(0.9, 1.0), 0.0)

    fewer_pixels = pytest.approx(np.log(1 / 0.6), abs=0.1)
    compared = evaluate.evaluate_deferred(lying("small.png", 0.6, off=0.8), lying("h0.png", 1), PairSettings())
    assert [pair.score_gap for pair in compared.pairs] == [fewer_pixels]
    compared = evaluate.evaluate_deferred(lying("h0.png", 1, off=0.8), lying("small.png", 0.6), PairSettings())
    assert [-pair.score_gap for pair in compared.pairs] == [fewer_pixels]
    compared = evaluate.evaluate_deferred(lying("next.png", 1), lying("h0.png", 1), PairSettings())
    assert not compared.pairs
    assert [pair.rejection.reason for pair in compared.rejected] == [Reason.LOOK_ALIKE]


@pytest.mark.slow
@pytest.mark.parametrize("name", thorough(["P1040518", "P1040771", "P1040102"]))
def test_of_lrs_of_one_picture_the_one_made_of_an_hr_gets_it(run: Run, folders: Folders, name: str) -> None:
    for old in (*folders.lr.iterdir(), *folders.hr.iterdir()):
        old.unlink()
    whole = picture(name)
    whole = whole[: whole.shape[0] // 3 * 3, : whole.shape[1] // 3 * 3]
    for size in (1, 0.8, 0.6, 0.45):
        smaller = cv2.resize(whole, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folders.hr / f"{size}.png"), smaller)
    lr = cv2.resize(whole, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folders.lr / "exact.png"), lr)
    cv2.imwrite(str(folders.lr / "faded.png"), lr * 0.9 + 9)
    cv2.imwrite(str(folders.lr / "compressed.jpg"), lr)
    assert run(*folders.flags, "--report").code == 0
    assert Path(partners(folders)["exact.png"]["hr"]).name == "1.png"


def test_a_deferred_candidate_verified_again_has_the_rivals_of_today(
    run: Run, contested: Folders, tmp_path: Path
) -> None:
    flags = *contested.flags, "--report", "--save", tmp_path / "kept"
    assert run(*flags).code == 0
    whole = cv2.imread(str(contested.hr / "h0.png"))
    cv2.imwrite(str(contested.hr / "tiny.png"), cv2.resize(whole, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA))
    assert run(*flags, "--overwrite").code == 0
    pair = next(pair for pair in partners(contested).values() if pair["hr"].endswith("small.png"))
    assert sorted(Path(rival).name for rival in pair["rivals"]) == ["h0.png", "tiny.png"]


def test_lrs_that_are_offered_the_same_hrs_follow_one_another(folders: Folders) -> None:
    image = fingerprint(folders.lr / "l0.png", LIGHT_HR)
    offered = {"a": "uv", "b": "w", "c": "vx", "d": "w", "e": "x"}
    tasks = [
        [Proposal(replace(image, path=Path(lr)), replace(image, path=Path(hr)), Source.FEATURES) for hr in hrs]
        for lr, hrs in offered.items()
    ]
    ordered = neighbours_together(tasks)
    assert "".join(of_one_lr[0].lr.path.name for of_one_lr in ordered) == "acebd"


@pytest.mark.slow
def test_with_all_matches_none_is_deferred_and_no_look_alike_is_rejected(run: Run, contested: Folders) -> None:
    frame = cat()[:300, :450].copy()
    cv2.circle(frame, (200, 150), 30, (255, 255, 255), -1)
    cv2.imwrite(str(contested.hr / "next.png"), frame)
    assert "pairs found: 3" in run(*contested.flags, "--dry").out
    assert "pairs found: 7" in run(*contested.flags, "--all_matches", "--dry").out


def test_rivals_that_are_coarsely_registered_are_compared_on_one_grid(tmp_path: Path) -> None:
    whole = cat()[:300, :450]
    images = {
        "lr": cv2.resize(whole[20:, 30:], (260, 173), interpolation=cv2.INTER_AREA),
        "hr": whole,
        "small": cv2.resize(whole, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA),
    }
    for name, image in images.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
    lr, *hrs = (fingerprint(tmp_path / f"{name}.png", LIGHT_HR.without_features) for name in images)
    proposals = [Proposal(lr, hr, Source.HASH) for hr in hrs]
    method = Method.TRANSFORM
    found = [overlaid(*aligned) for aligned in align(proposals, method)]
    candidates = [register_coarsely(candidate, keep_better=False, method=method) for candidate in found]
    assert {candidate.proposal.hr.path.stem for candidate in candidates} == {"hr", "small"}
    assert {min(candidate.overlay.hr.shape) for candidate in candidates} == {COARSE_SIDE}
    assert all(candidate.scores.correlation > 0.9 for candidate in candidates)
