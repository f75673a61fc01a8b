"""The report keeps to its schema."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.support.command import Run
from tests.support.folders import Folders
from tests.support.paths import EXAMPLES
from tests.support.pictures import cat, picture
from tests.support.report import SCHEMA, VALIDATOR, report_of
from twimager.align.matching import Match
from twimager.errors import Reason, Rejection
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_LR
from twimager.options import Options, plain_settings
from twimager.pairs import RejectedPair
from twimager.propose.proposal import Proposal, Source
from twimager.report.ledger import Ledger
from twimager.runtime.console import Console
from twimager.verify.scores import Scores


@pytest.fixture
def odd_folders(folders: Folders) -> Folders:
    """Pairs, one of them mirrored, and all that may be rejected: a broken file, no partner, too little overlap."""
    cv2.imwrite(str(folders.hr / "h1.png"), picture("P1040102")[:399, 600:0:-1])
    cv2.imwrite(str(folders.hr / "h2.png"), picture("P1040771")[:, :500])
    cv2.imwrite(str(folders.lr / "l2.png"), picture("P1040771")[::4, ::4])
    cv2.imwrite(str(folders.lr / "noise.png"), np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8))
    (folders.lr / "broken.png").write_bytes(cv2.imencode(".png", cat())[1].tobytes()[:500])
    return folders


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--dry", "--output", "hr"],
        ["--crop", 4, "--scale", "4/3", "--color_transfer", "lab", "--max_error", 3, "--limit", 1],
        ["--min_overlap", 0.99, "--search", "hash", "--distance", 30, "--crop", 1, 2, 60, 50, "--save"],
    ],
)
def test_a_report_is_valid(run: Run, odd_folders: Folders, flags: list[object]) -> None:
    run(*odd_folders.flags, "--report", *flags)
    report = report_of(odd_folders.dest)
    assert report["pairs"]
    assert report["rejected_images"]
    VALIDATOR.validate(report)


OPTIONS = Options(Path("low"), Path("high"))


def test_the_schema_holds_every_option_and_reason() -> None:
    assert set(SCHEMA["properties"]["settings"]["properties"]) == set(plain_settings(OPTIONS))
    assert SCHEMA["$defs"]["reason"]["enum"] == [reason.value for reason in Reason]


def test_of_two_attempts_the_one_that_came_further_is_reported() -> None:
    lr, hr = (fingerprint(EXAMPLES / name, LIGHT_LR) for name in ("LR/still_02.jpg", "HR/P1040847.jpg"))
    shifted = RejectedPair(
        Proposal(lr, hr, Source.HASH), Rejection(Reason.RESIDUAL), Match(np.eye(3), 0), Scores(0.9, 1.0)
    )
    hopeless = RejectedPair(Proposal(lr, hr, Source.FEATURES), Rejection(Reason.FEW_MATCHES))
    ledger = Ledger(Console(quiet=True))
    for first, second in ((shifted, hopeless), (hopeless, shifted)):
        ledger.reject(first)
        ledger.reopen([first.proposal])
        assert rejected(ledger) == []
        ledger.reject(second)
        assert [(pair.match and pair.match.inliers, pair.scores) for pair in rejected(ledger)] == [(0, shifted.scores)]
        assert all(image.features is None for pair in rejected(ledger) for image in pair.proposal.images)
        ledger.reopen([first.proposal])


def test_each_candidate_is_told_once_below_the_decision_on_its_lr() -> None:
    lr, hr, other = (fingerprint(EXAMPLES / name, LIGHT_LR) for name in (
        "LR/still_02.jpg", "HR/P1040847.jpg", "HR/P1040102.jpg",
    ))  # fmt: skip
    stream = io.StringIO()
    ledger = Ledger(Console(quiet=True, verbose=2, stream=stream))
    for inliers, one, mirrored in ((3, hr, False), (1, other, False), (2, other, True), (3, hr, True)):
        proposal = Proposal(lr, one, Source.FEATURES, mirrored=mirrored)
        few = Rejection(Reason.FEW_MATCHES, f"{inliers} of at least 4 agree")
        ledger.reject(RejectedPair(proposal, few, Match(np.eye(3), inliers)))
    assert stream.getvalue() == ""
    ledger.account_for_unpaired([lr.path], [], "", 0.006)
    assert stream.getvalue().splitlines() == [
        "still_02.jpg left: nothing similar; closest P1040847.jpg, too few matching features: 3 of at least 4 agree",
        "still_02.jpg - P1040102.jpg: too few matching features: 2 of at least 4 agree",
    ]


def rejected(ledger: Ledger) -> list[RejectedPair]:
    return list(ledger.report(OPTIONS).rejected_pairs)


def objects(value: Any) -> list[dict[str, Any]]:
    """Every object in a JSON document that has fixed keys."""
    if isinstance(value, list):
        return [found for item in value for found in objects(item)]
    if not isinstance(value, dict):
        return []
    return [value] + [found for key, item in value.items() if key != "seconds" for found in objects(item)]


@pytest.mark.slow
def test_the_schema_takes_no_less_and_no_more(run: Run, odd_folders: Folders) -> None:
    run(*odd_folders.flags, "--report")
    report = report_of(odd_folders.dest)
    assert len(report["pairs"]) >= 2
    del report["rejected_pairs"][1:]
    for found in objects(report):
        for key in list(found):
            kept = found.pop(key)
            assert not VALIDATOR.is_valid(report), key
            found[key] = kept
    report["pairs"][0]["extra"] = 1
    assert not VALIDATOR.is_valid(report)


def test_a_pair_names_the_simplest_method_that_gives_it(run: Run, folders: Folders) -> None:
    corners = np.float32([[0, 0], [450, 0], [450, 300], [0, 300]])
    seen = np.float32([[0, 0], [150, 8], [144, 92], [6, 100]])
    matrix = cv2.getPerspectiveTransform(corners, seen)
    tilted = cv2.warpPerspective(cat()[:300, :450], matrix, (150, 100), flags=cv2.INTER_AREA)
    cv2.imwrite(str(folders.lr / "l0.png"), tilted)
    run(*folders.flags, "--report", "--method", "warp")
    pairs = {Path(pair["lr"]).stem: pair for pair in report_of(folders.dest)["pairs"]}
    assert {name: pair["method"] for name, pair in pairs.items()} == {"l0": "warp", "l1": "transform"}
    assert pairs["l1"]["matrix"][2] == [0, 0, 1]
