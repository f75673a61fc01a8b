"""The text of an evaluation gives that evaluation; a text that none can have gives none."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.support.paths import EXAMPLES
from twimager.align.matching import Match
from twimager.errors import Reason, Rejection
from twimager.fingerprint.extract import fingerprint
from twimager.fingerprint.fingerprint import LIGHT_HR, LIGHT_LR
from twimager.geometry import mirroring, resize_matrix
from twimager.image.displacement import Displacement
from twimager.pairing.evaluation import Evaluation, from_kept, to_text
from twimager.pairs import Deferred, RejectedPair, VerifiedPair
from twimager.propose.proposal import Proposal, Source
from twimager.verify.scores import Scores

MAX = 10**400


@pytest.fixture(scope="module")
def proposals() -> list[Proposal]:
    lr = fingerprint(EXAMPLES / "LR/still_02.jpg", LIGHT_LR)
    hr = fingerprint(EXAMPLES / "HR/P1040847.jpg", LIGHT_HR)
    return [Proposal(lr, hr, source, mirrored) for source in Source for mirrored in (False, True)]


@pytest.fixture(scope="module")
def evaluation(proposals: list[Proposal]) -> Evaluation:
    lr, hr = proposals[0].images
    matrix = resize_matrix(hr.size, lr.size)
    bent = Displacement(np.random.default_rng(0).normal(size=(2, 7, 8)), np.eye(3))
    scores = Scores(np.float64(0.9), 1.0, 98.4375, None, 1.5)
    first, mirrored, *others = proposals
    return Evaluation(
        [VerifiedPair(first, Match(matrix, 40, bent), scores, lr.frame, lr.frame, score_gap=0.25, native_scale=1.5)],
        [Deferred(mirrored, Match(matrix @ mirroring(hr.size), None), Scores(0.5, 0.25), -0.5)],
        [
            RejectedPair(others[0], Rejection(Reason.FEW_MATCHES, "2 of at least 4 agree")),
            RejectedPair(others[1], Rejection(Reason.FAILED, "caf\udce9.png"), Match(matrix, np.int64(3)), scores),
        ],
    )


def test_the_text_of_an_evaluation_gives_it_again(proposals: list[Proposal], evaluation: Evaluation) -> None:
    text = to_text(evaluation, proposals)
    again = from_kept(text, proposals)
    assert again
    assert to_text(again, proposals) == text
    assert [pair.proposal for pair in again.choices] == [pair.proposal for pair in evaluation.choices]
    (pair,), (given,) = again.pairs, evaluation.pairs
    assert (pair.scores, pair.common, pair.window) == (given.scores, given.common, given.window)
    assert (pair.score_gap, pair.native_scale, pair.match.inliers) == (0.25, 1.5, 40)
    assert np.array_equal(pair.match.matrix, given.match.matrix)
    assert np.array_equal(pair.match.displacement.controls, given.match.displacement.controls)
    assert [pair.rejection for pair in again.rejected] == [pair.rejection for pair in evaluation.rejected]


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("pairs", (0,), 99), ("pairs", (0,), -1), ("pairs", (0,), "0"), ("pairs", (0,), True),
        ("pairs", (1, "matrix"), np.zeros((3, 3)).tolist()), ("pairs", (1, "matrix"), [[1, 0], [0, 1]]),
        ("pairs", (1, "matrix"), None), ("pairs", (1, "matrix", 0), [1, 0]), ("pairs", (1, "matrix", 0, 0), MAX),
        ("pairs", (1, "matrix", 0, 0), float("nan")), ("pairs", (1, "matrix", 0, 0), "1.0x"),
        ("pairs", (1, "matrix", 0, 0), 1e-9), ("pairs", (1, "inliers"), 1.5), ("pairs", (1, "inliers"), -1),
        ("pairs", (1, "inliers"), True), ("pairs", (1, "displacement", "controls"), [[1.0]]),
        ("pairs", (1, "displacement", "controls", 0, 0, 0), float("inf")), ("pairs", (1, "displacement"), []),
        ("pairs", (2, "correlation"), None), ("pairs", (2, "correlation"), float("nan")),
        ("pairs", (2, "coverage"), "1"), ("pairs", (2, "hash_agreement"), 1e300), ("pairs", (2, "coverage"), MAX),
        ("pairs", (3,), [0, 0, 1]), ("pairs", (3, 2), 10**9), ("pairs", (4, 0), -1), ("pairs", (4, 0), 0.0),
        ("pairs", (5,), None), ("pairs", (5,), float("inf")), ("pairs", (6,), 0), ("pairs", (6,), float("nan")),
        ("deferred", (3,), "x"), ("deferred", (1,), None), ("deferred", (2,), {}),
        ("rejected", (1, "reason"), "none of them"), ("rejected", (1, "detail"), 5), ("rejected", (2,), 5),
    ],
)  # fmt: skip
def test_a_text_that_no_evaluation_has_gives_none(
    proposals: list[Proposal], evaluation: Evaluation, kind: str, place: tuple[Any, ...], value: Any
) -> None:
    stored = json.loads(to_text(evaluation, proposals))
    *path, key = place
    inner = stored[kind][0]
    for step in path:
        inner = inner[step]
    inner[key] = value
    assert from_kept(json.dumps(stored), proposals) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pairs": []}', "[" * 100_000, "null"])
def test_a_text_of_something_else_gives_none(proposals: list[Proposal], text: str) -> None:
    assert from_kept(text, proposals) is None
